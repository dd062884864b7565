package socket

import "testing"

func TestTheOwnerFoundFirstKeepsTheSocket(t *testing.T) {
	o := NewOwners()
	o.Add(100, 7, "parent")
	o.Add(100, 8, "child") // after fork() both hold it
	o.Add(101, 8, "child")
	o.Add(102, 7, "parent")
	if o.Len() != 2 {
		t.Errorf("%d owners, want one for each process", o.Len())
	}
	for inode, want := range map[uint64]Owner{100: {7, "parent"}, 101: {8, "child"}, 102: {7, "parent"}} {
		i := o.Of(inode)
		if i == NoOwner {
			t.Errorf("inode %d has no owner", inode)
		} else if got := o.At(i); got != want {
			t.Errorf("inode %d belongs to %+v, want %+v", inode, got, want)
		}
	}
	if i := o.Of(103); i != NoOwner {
		t.Errorf("an unknown inode belongs to %d", i)
	}
}

// Inode 0 is that of all sockets without a file.
func TestNobodyOwnsInodeZero(t *testing.T) {
	o := NewOwners()
	o.Add(0, 7, "x")
	if i := o.Of(0); i != NoOwner {
		t.Errorf("inode 0 belongs to %d", i)
	}
}

func TestOwnersThatWereNotReadKnowOfNone(t *testing.T) {
	for name, o := range map[string]*Owners{"nil": nil, "zero": {}} {
		if o.Len() != 0 || o.Of(0) != NoOwner || o.Of(123) != NoOwner {
			t.Errorf("%s: %d owners, inode 123 belongs to %d", name, o.Len(), o.Of(123))
		}
	}
}
