package cli_test

import (
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/portroom/portroom/test/hivex"
)

// The scripts have the two hives of a Server 2003 in their folder, filled by
// hivexregedit, and damage them.
func TestHiveScripts(t *testing.T) {
	made := t.TempDir()
	for _, name := range []string{"SYSTEM", "SOFTWARE"} {
		text := read(t, filepath.Join("testdata/windows/2003-standard", strings.ToLower(name)+".reg"))
		hivex.Fill(t, filepath.Join(made, name), `HKEY_LOCAL_MACHINE\`+name, text)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/hives",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("LANG", "C.UTF-8")
			return os.CopyFS(e.WorkDir, os.DirFS(made))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exitsCmd,
			"patch": patchCmd,
		},
	})
}

// patchCmd changes bytes of a file, or makes one of zeros:
//
//	patch FILE [size=N] [OFFSET=HEX …] [sum]
//
// Last of all, sum makes the checksum of a hive's base block right.
func patchCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: patch FILE [size=N] [OFFSET=HEX …] [sum]")
	}
	path := ts.MkAbs(args[0])
	b, err := os.ReadFile(path)
	if !os.IsNotExist(err) {
		ts.Check(err)
	}
	for _, a := range args[1:] {
		at, value, _ := strings.Cut(a, "=")
		switch at {
		case "size":
			n, err := strconv.Atoi(value)
			ts.Check(err)
			b = append(b, make([]byte, max(0, n-len(b)))...)[:n]
		case "sum":
			var sum uint32
			for i := 0; i < 508; i += 4 {
				sum ^= binary.LittleEndian.Uint32(b[i:])
			}
			binary.LittleEndian.PutUint32(b[508:], sum)
		default:
			offset, err := strconv.ParseUint(at, 0, 32)
			ts.Check(err)
			data, err := hex.DecodeString(value)
			ts.Check(err)
			copy(b[offset:], data)
		}
	}
	ts.Check(os.WriteFile(path, b, 0o644))
}
