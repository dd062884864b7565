package load

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/registry/hive"
)

func TestASystemHiveIsThatOfAWindows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "SYSTEM")
	const size = 3 << 20
	if err := SystemHive(path, size); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() < size || info.Size() > size+size/4 {
		t.Fatalf("%v, %v: want %d bytes", info.Size(), err, size)
	}
	f, err := hive.Open(path, hive.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Check(); err != nil {
		t.Error(err)
	}
	s, err := nt.Machine{System: f}.Settings(nil)
	if err != nil {
		t.Fatal(err)
	}
	if v := s.Value(nt.MaxUserPort); v == nil || v.Number == nil || *v.Number != 65534 || s.System.Era != nt.Legacy {
		t.Errorf("MaxUserPort %v, era %v", v, s.System.Era)
	}
}
