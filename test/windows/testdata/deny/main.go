// Deny forbids everybody to read the keys of HKEY_LOCAL_MACHINE that it is given.
package main

import (
	"log"
	"os"

	"golang.org/x/sys/windows"
)

func main() {
	log.SetFlags(0)
	for _, key := range os.Args[1:] {
		// Everybody may change the list of rights, and no more.
		sd, err := windows.SecurityDescriptorFromString("D:(A;;WD;;;WD)")
		if err != nil {
			log.Fatal(err)
		}
		dacl, _, err := sd.DACL()
		if err != nil {
			log.Fatal(err)
		}
		err = windows.SetNamedSecurityInfo(`MACHINE\`+key, windows.SE_REGISTRY_KEY,
			windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, dacl, nil)
		if err != nil {
			log.Fatal(err)
		}
	}
}
