package regtext_test

import (
	"fmt"
	"log"

	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/registry/regtext"
)

func ExampleParse() {
	f, err := regtext.Parse([]byte("REGEDIT4\r\n\r\n" +
		"[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters]\r\n" +
		"\"MaxUserPort\"=dword:0000fffe\r\n"))
	if err != nil {
		log.Fatal(err)
	}
	v, err := regtext.NewStore(f).Get(`HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters`, "MaxUserPort")
	if err != nil {
		log.Fatal(err)
	}
	n, err := v.Uint32()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(f.Encoding, n)
	// Output: ANSI (taken for Windows-1252) 65534
}

// A file that puts things back: what was there is set, what was not is deleted.
func ExampleFile_Print() {
	const key = `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters`
	f := regtext.File{Form: regtext.Form{Encoding: regtext.UTF8, LF: true}}
	f.Set(key, registry.NewDWORD("MaxUserPort", 5000))
	f.Delete(key, "TcpTimedWaitDelay")
	b, err := f.Print()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", b)
	// Output:
	// Windows Registry Editor Version 5.00
	//
	// [HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters]
	// "MaxUserPort"=dword:00001388
	// "TcpTimedWaitDelay"=-
}
