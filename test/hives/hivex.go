package hives

import (
	"fmt"
	"strings"
	"testing"

	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/registry/regtext"
	"github.com/portroom/portroom/test/hivex"
)

// Hivex is libhivex through hivexregedit --export, whose text package regtext reads.
var Hivex = Judge{
	Name: "hivexregedit",
	said: func(t testing.TB, path string, _ []Key) []string {
		f, err := regtext.Parse([]byte(hivex.Export(t, path, "HKEY_LOCAL_MACHINE")))
		if err != nil {
			t.Fatalf("hivexregedit exports %v", err)
		}
		return plain(Walk(t, registry.Sub(regtext.NewStore(f), "HKEY_LOCAL_MACHINE")))
	},
	would: func(keys []Key, _ bool) []string { return plain(keys) },
}

// plain writes everything there is about keys.
func plain(keys []Key) (lines []string) {
	for _, k := range keys {
		lines = append(lines, k.path(`\`))
		for _, v := range k.Values {
			lines = append(lines, fmt.Sprintf("%s %q %v %x", k.path(`\`), v.Name, v.Type, v.Data))
		}
	}
	return lines
}

// Equal holds the keys that a store has against those that are to be there.
func Equal(t testing.TB, s registry.Store, want []Key) {
	t.Helper()
	compare(t, "this program", plain(want), plain(Walk(t, s)))
}

// Reg writes keys as .reg text in UTF-8 for hivexregedit, all values as bytes.
func Reg(prefix string, keys []Key) string {
	var b strings.Builder
	b.WriteString("Windows Registry Editor Version 5.00\n")
	for _, k := range keys {
		fmt.Fprintf(&b, "\n[%s%s]\n", prefix, strings.TrimSuffix(k.path(`\`), `\`))
		for _, v := range k.Values {
			name := "@"
			if v.Name != "" {
				name = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v.Name) + `"`
			}
			fmt.Fprintf(&b, "%s=hex(%x):%s\n", name, uint32(v.Type), commas(v.Data))
		}
	}
	return b.String()
}

// commas writes bytes as .reg files do.
func commas(data []byte) string {
	return strings.ReplaceAll(fmt.Sprintf("% x", data), " ", ",")
}
