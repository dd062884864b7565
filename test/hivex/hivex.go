// Package hivex makes registry hives for tests with hivexregedit, so that what is
// read was not written by this project, and starts from a blank hive of its own.
package hivex

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/portroom/portroom/test/need"
)

// Blank returns the smallest hive there is, of version 1.minor: a base block and
// one bin, in it a root key called ROOT and its security descriptor (SYSTEM owns it,
// everybody may do everything). No tool ships one, and it must not come from our
// writer.
func Blank(minor uint32) []byte {
	b := make([]byte, 8192)
	put32 := func(at int, n uint32) { binary.LittleEndian.PutUint32(b[at:], n) }
	put16 := func(at int, n uint16) { binary.LittleEndian.PutUint16(b[at:], n) }
	copy(b, "regf")
	put32(4, 1)      // both sequence numbers
	put32(8, 1)      //
	put32(20, 1)     // version
	put32(24, minor) //
	put32(32, 1)     // direct memory load
	put32(36, 32)    // root cell, behind the header of the bin
	put32(40, 4096)  // length of the bins
	put32(44, 1)     // clustering
	var sum uint32
	for i := 0; i < 508; i += 4 {
		sum ^= binary.LittleEndian.Uint32(b[i:])
	}
	put32(508, sum)

	const bin, root, sk = 4096, 4096 + 32, 4096 + 32 + 88
	copy(b[bin:], "hbin")
	put32(bin+8, 4096)
	inUse := func(n int32) uint32 { return uint32(-n) }
	put32(root, inUse(88))
	nk := root + 4
	copy(b[nk:], "nk")
	put16(nk+2, 0x2c) // root, cannot be deleted, name in one-byte characters
	for _, at := range []int{16, 28, 32, 40, 48} {
		put32(nk+at, 0xffffffff) // no parent, no subkeys, no values, no class
	}
	put32(nk+44, sk-bin)
	put16(nk+72, 4)
	copy(b[nk+76:], "ROOT")
	put32(sk, inUse(80))
	copy(b[sk+4:], "sk")
	put32(sk+8, sk-bin) // the list of descriptors has this one alone
	put32(sk+12, sk-bin)
	put32(sk+16, 1)
	descriptor := []byte{
		1, 0, 4, 0x80, 48, 0, 0, 0, 48, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0,
		2, 0, 28, 0, 1, 0, 0, 0, 0, 3, 20, 0, 0x3f, 0, 0x0f, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0,
		1, 1, 0, 0, 0, 0, 0, 5,
	}
	put32(sk+20, uint32(len(descriptor)))
	copy(b[sk+24:], descriptor)
	put32(sk+80, 4096-(sk+80-bin)) // the rest is free
	return b
}

// Fill makes a hive of version 1.3 at path, and the folders above it, out of .reg
// text in UTF-8 that names its keys below prefix, such as HKEY_LOCAL_MACHINE\SYSTEM.
// Parents come before their children. hivexregedit does it, so that what is read was
// not written by this project.
func Fill(t testing.TB, path, prefix, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, Blank(3), 0o644); err != nil {
		t.Fatal(err)
	}
	Merge(t, path, prefix, text)
}

// Merge lets hivexregedit change a hive as .reg text says, see [Fill].
func Merge(t testing.TB, path, prefix, text string) {
	t.Helper()
	reg := filepath.Join(t.TempDir(), "tree.reg")
	if err := os.WriteFile(reg, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	hivexregedit(t, "--merge", "--prefix", prefix, path, reg)
}

// Export returns what hivexregedit exports of a hive, in UTF-8, with keys below
// prefix.
func Export(t testing.TB, path, prefix string) string {
	t.Helper()
	return hivexregedit(t, "--export", "--prefix", prefix, path, `\`)
}

func hivexregedit(t testing.TB, args ...string) string {
	t.Helper()
	_, err := exec.LookPath("hivexregedit")
	need.That(t, err == nil, "hivexregedit", "apt-get install libwin-hivex-perl libhivex-bin")
	cmd := exec.CommandContext(t.Context(), "hivexregedit", args...)
	// Without it, Perl prints each line in UTF-8 or in Latin-1 as it comes.
	cmd.Env = append(os.Environ(), "PERL5OPT=-CSD")
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		t.Fatalf("hivexregedit %q: %v: %s", args, err, problems.String())
	}
	return out.String()
}
