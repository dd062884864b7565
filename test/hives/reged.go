package hives

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/portroom/portroom/registry"
)

// Reged is reged(8) -x of chntpw, which exports names in Latin-1 and text in UTF-8.
var Reged = Judge{
	Name: "reged",
	said: func(t testing.TB, path string, _ []Key) (lines []string) {
		program(t, "reged", "chntpw")
		to := filepath.Join(t.TempDir(), "exported.reg")
		run(t, nil, "reged", "-x", path, "HKLM", `\`, to)
		b, err := os.ReadFile(to)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(b), "\\\r\n  ", "") // a long line goes on
		for last := ""; text != last; {                       // the next value begins a line then
			last, text = text, emptyHex.ReplaceAllString(text, "$1\r\n$2")
		}
		key := ""
		for l := range strings.SplitSeq(text, "\r\n") {
			switch {
			case strings.HasPrefix(l, "[HKLM"):
				key = oneByte(l)
				lines = append(lines, key)
			case key != "" && l != "":
				lines = append(lines, key+" "+oneByte(l))
			}
		}
		return lines
	},
	would: func(keys []Key, segments bool) (lines []string) {
		for _, k := range keys {
			key := oneByte("[HKLM")
			for _, n := range k.Names {
				key += `\` + n // which is in Latin-1
			}
			key += "]"
			lines = append(lines, key)
			for _, v := range k.Values {
				data := unseen
				if !segments || len(v.Data) <= maxSegment {
					data = oneByte(regedData(v))
				}
				lines = append(lines, key+" "+oneByte(regedName(v.Name))+"="+data)
			}
		}
		return lines
	},
}

// emptyHex finds data of no bytes, behind which reged forgets to end the line.
var emptyHex = regexp.MustCompile(`(?m)(^(?:@|"(?:[^"\\\r\n]|\\.)*")=hex(?:\([0-9a-f]+\))?:)(["@])`)

var quoteReg = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

func regedName(name string) string {
	if name == "" {
		return "@"
	}
	return `"` + quoteReg.Replace(latin1(name)) + `"`
}

func regedData(v registry.Value) string {
	switch {
	case v.Type == registry.DWORD && len(v.Data) == 4:
		return fmt.Sprintf("dword:%08x", binary.LittleEndian.Uint32(v.Data))
	case v.Type == registry.SZ:
		if text := eachUnit(v.Data); !strings.ContainsAny(text, "\r\n") {
			return `"` + quoteReg.Replace(text) + `"`
		}
	case v.Type == registry.Binary:
		return "hex:" + commas(v.Data)
	}
	return fmt.Sprintf("hex(%x):%s", uint32(v.Type), commas(v.Data))
}

// eachUnit reads UTF-16LE up to its first zero and writes UTF-8 as reged does: halves
// of surrogate pairs, too, are three bytes each.
func eachUnit(d []byte) string {
	var b []byte
	for ; len(d) >= 2; d = d[2:] {
		switch u := binary.LittleEndian.Uint16(d); {
		case u == 0:
			return string(b)
		case 0xd800 <= u && u <= 0xdfff:
			b = append(b, byte(0xe0|u>>12), byte(0x80|u>>6&0x3f), byte(0x80|u&0x3f))
		default:
			b = utf8.AppendRune(b, rune(u))
		}
	}
	return string(b)
}
