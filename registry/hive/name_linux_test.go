package hive

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/portroom/portroom/test/need"
)

// Wine's l_intl.nls is made from the same data as that of Windows, whose kernel takes
// its capitals from it: two offsets of tables, then, behind the second word, a tree of
// three levels with what is to be added to a character.
func TestCapitalsAreThoseOfWindows(t *testing.T) {
	var b []byte
	for _, dir := range []string{"/usr/share/wine/nls", "/usr/share/wine/wine/nls", "/opt/wine-stable/share/wine/nls"} {
		if got, err := os.ReadFile(filepath.Join(dir, "l_intl.nls")); err == nil {
			b = got
		}
	}
	need.That(t, b != nil, "Wine's l_intl.nls", "apt-get install wine")
	table := make([]uint16, len(b)/2-2)
	for i := range table {
		table[i] = binary.LittleEndian.Uint16(b[4+2*i:])
	}
	different := 0
	for c := range 0x10000 {
		want := uint16(c) + table[int(table[int(table[c>>8])+c>>4&15])+c&15]
		if got := upper(uint16(c)); got != want {
			if different++; different < 10 {
				t.Errorf("the capital of %#04x is %#04x, want %#04x", c, got, want)
			}
		}
	}
	if different > 0 {
		t.Errorf("%d of 65536 differ", different)
	}
}
