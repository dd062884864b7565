package hive_test

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/registry/hive"
)

// system makes a SYSTEM file, where it is in a mounted volume.
func system() (volume, path string) {
	volume, err := os.MkdirTemp("", "volume")
	if err != nil {
		log.Fatal(err)
	}
	path = filepath.Join(volume, "Windows", "System32", "config", "SYSTEM")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		log.Fatal(err)
	}
	f, err := hive.Create(path, hive.Options{Minor: 3})
	if err != nil {
		log.Fatal(err)
	}
	for _, key := range []string{"Select", `ControlSet001\Services\Tcpip\Parameters`} {
		if err := f.Create(key); err != nil {
			log.Fatal(err)
		}
	}
	if err := f.Set("Select", registry.NewDWORD("Current", 1)); err != nil {
		log.Fatal(err)
	}
	if err := f.Flush(); err != nil {
		log.Fatal(err)
	}
	return volume, path
}

func ExampleOpen() {
	volume, path := system()
	defer os.RemoveAll(volume)

	f, err := hive.Open(path, hive.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	current, err := f.Get("Select", "Current")
	if err != nil {
		log.Fatal(err)
	}
	n, err := current.Uint32()
	if err != nil {
		log.Fatal(err)
	}
	keys, err := f.Keys(fmt.Sprintf("ControlSet%03d", n))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("version 1.", f.Version(), keys)
	// Output: version 1. 3 [Services]
}

// A value is set in the hive of a Windows that is shut down.
func ExampleFile_Flush() {
	volume, path := system()
	defer os.RemoveAll(volume)

	f, err := hive.Open(path, hive.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	if err := f.Unclean(); err != nil {
		log.Fatal(err) // says what is to be done first
	}
	const key = `ControlSet001\Services\Tcpip\Parameters`
	if err := f.Set(key, registry.NewDWORD("MaxUserPort", 65534)); err != nil {
		log.Fatal(err)
	}
	if err := f.Flush(); err != nil {
		log.Fatal(err)
	}
	values, err := f.Values(key)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(values)
	// Output: [{MaxUserPort REG_DWORD [254 255 0 0]}]
}

// What stands in the way of a change can be told apart.
func ExampleHive_Unclean() {
	volume, path := system()
	defer os.RemoveAll(volume)
	asleep := append([]byte("HIBR"), make([]byte, 4092)...)
	if err := os.WriteFile(filepath.Join(volume, "hiberfil.sys"), asleep, 0o600); err != nil {
		log.Fatal(err)
	}

	f, err := hive.Open(path, hive.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	var hibernated *hive.HibernatedError
	if errors.As(f.Unclean(), &hibernated) {
		fmt.Println("hibernated:", filepath.Base(hibernated.File))
	}
	err = f.Set("Select", registry.NewDWORD("Current", 2))
	fmt.Println("refused:", err != nil)
	// Output:
	// hibernated: hiberfil.sys
	// refused: true
}
