// Deny forbids everybody to read the keys of HKEY_LOCAL_MACHINE that it is given, or,
// after -write, to change them.
package main

import (
	"log"
	"os"

	"golang.org/x/sys/windows"
)

func main() {
	log.SetFlags(0)
	keys := os.Args[1:]
	rights := "D:(A;;WD;;;WD)" // everybody may change the list of rights, and no more
	if len(keys) > 0 && keys[0] == "-write" {
		keys, rights = keys[1:], "D:(A;;KRWD;;;WD)"
	}
	for _, key := range keys {
		sd, err := windows.SecurityDescriptorFromString(rights)
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
