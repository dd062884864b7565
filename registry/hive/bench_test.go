package hive

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/portroom/portroom/registry"
)

// large makes a file of some 20 MB: services with parameters, as a SYSTEM hive has, and
// what devices have.
func large(b *testing.B) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "SYSTEM")
	f, err := Create(path, Options{})
	if err != nil {
		b.Fatal(err)
	}
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	must(f.Create(`Select`))
	must(f.Set(`Select`, registry.NewDWORD("Current", 1)))
	must(f.Create(`ControlSet001\Services\Tcpip\Parameters`))
	for i := range 900 {
		key := fmt.Sprintf(`ControlSet001\Services\service%03d`, i)
		must(f.Create(key + `\Parameters`))
		must(f.Set(key, registry.NewSZ("ImagePath", fmt.Sprintf(`\SystemRoot\System32\drivers\service%03d.sys`, i))))
		must(f.Set(key, registry.NewDWORD("Start", 3)))
	}
	for i := range 400 {
		for j := range 60 {
			key := fmt.Sprintf(`ControlSet001\Enum\PCI\VEN_%04X\%02d`, i, j)
			must(f.Create(key))
			must(f.Set(key, registry.NewSZ("DeviceDesc", "a device of some kind, with a description as they have it")))
			must(f.Set(key, registry.NewMultiSZ("HardwareID", `PCI\VEN_8086&DEV_1234`, `PCI\VEN_8086`)))
			must(f.Set(key, registry.Value{Name: "Data", Type: registry.Binary, Data: make([]byte, 400)}))
		}
	}
	must(f.Flush())
	must(f.Close())
	return path
}

func BenchmarkReadOneValueOfALargeHive(b *testing.B) {
	path := large(b)
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	b.ReportAllocs()
	for b.Loop() {
		f, err := Open(path, Options{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := f.Get("Select", "Current"); err != nil {
			b.Fatal(err)
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSetOneValueOfALargeHive(b *testing.B) {
	path := large(b)
	b.ReportAllocs()
	var n uint32
	for b.Loop() {
		f, err := Open(path, Options{})
		if err != nil {
			b.Fatal(err)
		}
		n++
		if err := f.Set(`ControlSet001\Services\Tcpip\Parameters`, registry.NewDWORD("MaxUserPort", n)); err != nil {
			b.Fatal(err)
		}
		if err := f.Flush(); err != nil {
			b.Fatal(err)
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckOfALargeHive(b *testing.B) {
	f, err := Open(large(b), Options{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := f.Check(); err != nil {
			b.Fatal(err)
		}
	}
}
