// Reg reads and writes the registry through package live, for tests that compare
// with what another program sees:
//
//	reg get KEY NAME            prints type and data
//	reg set KEY NAME TYPE DATA  makes the key, too; type and data in hexadecimal
//	reg delete KEY NAME
//
// The keys are those of HKEY_LOCAL_MACHINE.
package main

import (
	"encoding/hex"
	"fmt"
	"os"
	"strconv"

	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/registry/live"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	s, err := live.Open(live.LocalMachine)
	if err != nil {
		return err
	}
	defer s.Close()
	switch {
	case len(args) == 3 && args[0] == "get":
		v, err := s.Get(args[1], args[2])
		if err != nil {
			return err
		}
		fmt.Printf("%s %x\n", v.Type, v.Data)
		return nil
	case len(args) == 5 && args[0] == "set":
		typ, err := strconv.ParseUint(args[3], 16, 32)
		if err != nil {
			return err
		}
		data, err := hex.DecodeString(args[4])
		if err != nil {
			return err
		}
		if err := s.Create(args[1]); err != nil {
			return err
		}
		if err := s.Set(args[1], registry.Value{Name: args[2], Type: registry.Type(typ), Data: data}); err != nil {
			return err
		}
		return s.Flush()
	case len(args) == 3 && args[0] == "delete":
		if err := s.Delete(args[1], args[2]); err != nil {
			return err
		}
		return s.Flush()
	}
	return fmt.Errorf("unknown arguments %q", args)
}
