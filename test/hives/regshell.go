package hives

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/portroom/portroom/registry"
)

// Regshell is regshell(1) of Samba's registry-tools, which is asked key by key.
var Regshell = Judge{
	Name: "regshell",
	said: func(t testing.TB, path string, want []Key) (lines []string) {
		program(t, "regshell", "registry-tools")
		// It writes what it opened when it ends.
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		copied := filepath.Join(t.TempDir(), "copy")
		if err := os.WriteFile(copied, b, 0o600); err != nil {
			t.Fatal(err)
		}
		var script strings.Builder
		lengths := make(map[string]int) // of the bytes of values
		for _, k := range listed(want) {
			if len(k.Names) > 0 { // it begins at the root
				// There is no way to put this quotation mark behind a backslash.
				fmt.Fprintf(&script, "ck '%s'\n", k.path(`\`))
			}
			script.WriteString("list\n")
			for _, v := range k.Values {
				lengths[fmt.Sprintf("%s V %q", k.path(`\`), regshellName(v.Name))] = len(v.Data)
			}
		}
		script.WriteString("exit\n")
		out := run(t, strings.NewReader(script.String()), "regshell", "--option=dos charset=ISO-8859-1", "-F", copied)
		key := `\`
		if len(listed(want[:1])) > 0 {
			lines = append(lines, key)
		}
		for l := range strings.Lines(out) {
			l = strings.TrimSuffix(l, "\n")
			if p, ok := strings.CutPrefix(l, "New path is: "); ok {
				key = p
				lines = append(lines, key)
				continue
			}
			lines = append(lines, strings.ToValidUTF8(cutToLength(key, l, lengths), "\ufffd"))
		}
		return lines
	},
	would: func(keys []Key, segments bool) (lines []string) {
		for _, k := range listed(keys) {
			key := k.path(`\`)
			lines = append(lines, key)
			for _, sub := range k.Subkeys {
				lines = append(lines, key+" K "+sub)
			}
			for _, v := range k.Values {
				data := unseen
				if !segments || len(v.Data) <= maxSegment {
					data = regshellData(v)
				}
				lines = append(lines, strings.ToValidUTF8(fmt.Sprintf("%s V %q %s %s", key, regshellName(v.Name), regshellType(v.Type), data), "\ufffd"))
			}
		}
		return lines
	},
}

// listed are the keys that regshell finds and lists without aborting.
func listed(keys []Key) []Key {
	return slices.DeleteFunc(slices.Clone(keys), func(k Key) bool {
		return k.Indexed || slices.ContainsFunc(k.Names, func(n string) bool { return len(n) > utf8.RuneCountInString(n) }) || slices.ContainsFunc(k.Values, func(v registry.Value) bool {
			number := v.Type == registry.DWORD || v.Type == registry.DWORDBigEndian
			return v.Type == registry.QWORD || number && len(v.Data) != 4
		})
	})
}

// regshellName is the name of a value in UTF-8, of which regshell takes as many bytes
// as it has characters.
func regshellName(name string) string { return name[:utf8.RuneCountInString(name)] }

func regshellType(t registry.Type) string {
	if t > registry.QWORD {
		return "Unknown"
	}
	return t.String()
}

// null is what regshell shows of data of most types.
const null = "(null)"

func regshellData(v registry.Value) string {
	switch {
	case v.Type == registry.SZ || v.Type == registry.ExpandSZ:
		text, _ := v.Text()
		return text
	case v.Type == registry.DWORD || v.Type == registry.DWORDBigEndian:
		return fmt.Sprintf("0x%08x", binary.LittleEndian.Uint32(v.Data))
	case v.Type == registry.Binary && len(v.Data) > 0:
		return fmt.Sprintf("%X", v.Data)
	}
	return null
}

// cutToLength writes a line of a list as regshell's would does: V lines with their
// name quoted as Go does, bytes without the rest of their cell.
func cutToLength(key, line string, lengths map[string]int) string {
	rest, ok := strings.CutPrefix(line, `V "`)
	if !ok {
		return key + " " + line
	}
	// The name may have quotation marks of its own; a type follows it.
	name, rest, ok := strings.Cut(rest, `" REG_`)
	if ok {
		rest = "REG_" + rest
	} else if name, rest, ok = strings.Cut(name, `" Unknown`); ok {
		rest = "Unknown" + rest
	}
	id := fmt.Sprintf("%s V %q", key, name)
	kind, data, _ := strings.Cut(rest, " ")
	n, known := lengths[id]
	switch {
	case known && kind == registry.Binary.String() && n == 0 && data == "00000000":
		data = null
	case known && kind == registry.Binary.String() && n > 0 && len(data) > 2*n && len(data) <= 2*n+2*15:
		data = data[:2*n]
	}
	return id + " " + kind + " " + data
}
