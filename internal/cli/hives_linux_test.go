package cli_test

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/portroom/portroom/test/need"
)

// blankHive writes the smallest hive there is: a base block and one bin with a root
// key and its security. No tool ships one, and it must not come from our writer.
func blankHive(t *testing.T, path string) {
	t.Helper()
	b := make([]byte, 0x2000)
	put := func(at int, n uint32) { binary.LittleEndian.PutUint32(b[at:], n) }
	copy(b, "regf")
	put(4, 1)       // sequence numbers, both alike
	put(8, 1)       //
	put(20, 1)      // version 1.3
	put(24, 3)      //
	put(32, 1)      // loaded as a file
	put(36, 0x20)   // the root key, counted from the first bin
	put(40, 0x1000) // length of the bins
	put(44, 1)      // cluster
	bin := 0x1000
	copy(b[bin:], "hbin")
	put(bin+8, 0x1000)

	root := bin + 0x20
	put(root, ^uint32(0x58-1)) // in use: minus the length
	copy(b[root+4:], "nk")
	binary.LittleEndian.PutUint16(b[root+6:], 0x2c) // root, not to be deleted, name in Latin-1
	for _, at := range []int{20, 32, 36, 44, 52} {
		put(root+at, ^uint32(0)) // no parent, no subkeys, no values, no class
	}
	put(root+48, 0x78) // security
	binary.LittleEndian.PutUint16(b[root+76:], 4)
	copy(b[root+80:], "ROOT")

	sk := bin + 0x78
	put(sk, ^uint32(0x30-1))
	copy(b[sk+4:], "sk")
	put(sk+8, 0x78) // the list of securities has this one alone
	put(sk+12, 0x78)
	put(sk+16, 1)
	put(sk+20, 20)
	b[sk+24], b[sk+26] = 1, 0 // revision of the descriptor
	b[sk+27] = 0x80           // self-relative, nothing in it
	free := sk + 0x30
	put(free, uint32(0x2000-free))

	var sum uint32
	for i := 0; i < 508; i += 4 {
		sum ^= binary.LittleEndian.Uint32(b[i:])
	}
	put(508, sum)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// fillHive makes a hive out of .reg text. hivexregedit does it, so that what is
// read was not written by this project.
func fillHive(t *testing.T, path, root, text string) {
	t.Helper()
	_, err := exec.LookPath("hivexregedit")
	need.That(t, err == nil, "hivexregedit(1)", "apt-get install libwin-hivex-perl libhivex-bin")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	blankHive(t, path)
	reg := filepath.Join(t.TempDir(), "tree.reg")
	if err := os.WriteFile(reg, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("hivexregedit", "--merge", "--prefix", `HKEY_LOCAL_MACHINE\`+root, path, reg).CombinedOutput()
	if err != nil {
		t.Fatalf("hivexregedit: %v: %s", err, out)
	}
}
