package hives

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/portroom/portroom/registry"
)

// Reglookup is reglookup(1), which prints path, type and data of every key and value,
// bytes that could be mistaken as %XX.
var Reglookup = Judge{
	Name: "reglookup",
	said: func(t testing.TB, path string, _ []Key) (lines []string) {
		program(t, "reglookup", "reglookup")
		for l := range strings.Lines(run(t, nil, "reglookup", "-H", path)) {
			l = strings.TrimSuffix(l, "\n")
			// The time of a key.
			if at := strings.LastIndex(l, ","); at >= 0 {
				l = l[:at]
			}
			lines = append(lines, l)
		}
		return lines
	},
	would: func(keys []Key, segments bool) (lines []string) {
		for _, k := range keys {
			path := ""
			for _, n := range k.Names {
				path += "/" + percent(raw(n), `/,"`)
			}
			if path == "" {
				path = "/"
			}
			lines = append(lines, path+",KEY,")
			for _, v := range k.Values {
				data := unseen
				if !segments || len(v.Data) <= maxSegment {
					data = reglookupData(v)
				}
				lines = append(lines, fmt.Sprintf("%s/%s,%s,%s", path, percent(raw(v.Name), `/,"`), reglookupType(v.Type), data))
			}
		}
		return lines
	},
}

// percent writes bytes as reglookup does; special are characters that it would take
// for its own.
func percent(s, special string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '%' || strings.IndexByte(special, c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func reglookupType(t registry.Type) string {
	names := []string{
		"NONE", "SZ", "EXPAND_SZ", "BINARY", "DWORD", "DWORD_BE", "LINK", "MULTI_SZ", "RSRC_LIST",
		"RSRC_DESC", "RSRC_REQ_LIST", "QWORD",
	}
	if int(t) < len(names) {
		return names[t]
	}
	return fmt.Sprintf("0x%08X", uint32(t))
}

func reglookupData(v registry.Value) string {
	d := v.Data
	switch {
	case len(d) == 0:
		return "(null)"
	case v.Type == registry.DWORD && len(d) >= 4:
		return fmt.Sprintf("0x%08X", binary.LittleEndian.Uint32(d))
	case v.Type == registry.DWORDBigEndian && len(d) >= 4:
		return fmt.Sprintf("0x%08X", binary.BigEndian.Uint32(d))
	case v.Type == registry.QWORD && len(d) >= 8:
		return fmt.Sprintf("0x%016X", binary.LittleEndian.Uint64(d))
	}
	switch v.Type {
	case registry.SZ, registry.ExpandSZ, registry.Link, registry.MultiSZ:
		text, ascii := asciiText(d)
		if !ascii {
			break // it prints the bytes
		}
		if v.Type != registry.MultiSZ {
			text, _, _ = strings.Cut(text, "\x00")
			return percent(text, `,"`)
		}
		var all []string
		for s := range strings.SplitSeq(strings.TrimRight(text, "\x00"), "\x00") {
			all = append(all, percent(s, `|,"`))
		}
		return strings.Join(all, "|")
	case registry.None, registry.Binary, registry.ResourceList, registry.FullResourceDescriptor, registry.ResourceRequirementsList:
		return percent(string(d), `,"`)
	}
	return percent(string(d), `|,"`) // it could not read the data as its type says
}

// asciiText reads UTF-16LE if it is ASCII and of even length.
func asciiText(d []byte) (string, bool) {
	var b strings.Builder
	for i := 0; i+1 < len(d); i += 2 {
		if d[i] >= 0x80 || d[i+1] != 0 {
			return "", false
		}
		b.WriteByte(d[i])
	}
	return b.String(), len(d)%2 == 0
}
