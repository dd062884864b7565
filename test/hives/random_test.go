package hives

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/portroom/portroom/registry"
)

// The letters of names and texts. The apostrophe is not among them: there is no way
// to put both it and a quotation mark behind a backslash to regshell.
const (
	ascii = "abcXYZ 019_.-%/,\"|;=[]<&>~"
	latin = ascii + "äßÄéñÿ¤"
	wide  = latin + "日本Ωж€ŸİŒ😀"
)

// A source draws names and values.
type source struct {
	*rand.Rand
	minor uint32
	// all lets it draw names in UTF-16, text without an end and numbers of a wrong
	// length, too, which not every judge can be asked about.
	all   bool
	plain bool // only names that reged -I can be told
	drawn int  // names so far: each has a number, so that no two are the same
}

func newSource(seed uint64, minor uint32, all bool) *source {
	return &source{Rand: rand.New(rand.NewPCG(seed, uint64(minor))), minor: minor, all: all}
}

func (r *source) text(letters string, most int) string {
	all := []rune(letters)
	s := make([]rune, r.IntN(most+1))
	for i := range s {
		s[i] = all[r.IntN(len(all))]
	}
	return string(s)
}

// name draws one that nothing else has.
func (r *source) name(more string) string {
	r.drawn++
	letters := []string{ascii, ascii, latin, wide}
	if !r.all {
		letters = letters[:3]
	}
	if r.plain {
		letters, more = []string{"abcXYZ 019_.-%/,|;<>~"}, ""
	}
	most := 20
	if r.IntN(40) == 0 {
		most = 200
	}
	return fmt.Sprintf("%s#%d", r.text(letters[r.IntN(len(letters))]+more, most), r.drawn)
}

func (r *source) keyName() string   { return r.name("") }
func (r *source) valueName() string { return r.name(`\`) }

// sizes are those at which a value is stored in another way, or just before.
var sizes = []int{0, 1, 2, 3, 4, 5, 8, 12, 13, 20, 21, 60, 252, 1000, 16343, 16344, 16345, 16348, 2 * 16344, 2*16344 + 1, 100_000}

func (r *source) bytes() []byte {
	n := r.IntN(200)
	switch r.IntN(8) {
	case 0, 1:
		n = sizes[r.IntN(14)]
	case 2:
		if r.IntN(3) == 0 {
			n = sizes[r.IntN(len(sizes))]
		}
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// value draws the type and data of a value.
func (r *source) value(name string) registry.Value {
	v := registry.Value{Name: name, Type: registry.Type(r.IntN(13))}
	if v.Type == 12 {
		v.Type = registry.Type(r.Uint32() | 12)
	}
	if v.Type == registry.QWORD && !r.all && r.IntN(4) > 0 {
		v.Type = registry.Binary // few, for regshell lists no key that has one
	}
	if r.all && r.IntN(4) == 0 {
		v.Data = r.bytes()
		return v
	}
	switch v.Type {
	case registry.SZ, registry.ExpandSZ, registry.Link:
		letters := []string{ascii, wide}[r.IntN(2)] + `\`
		most := 60
		if r.IntN(40) == 0 {
			most = 9000
		}
		v.Data = registry.NewSZ("", r.text(letters, most)).Data
	case registry.MultiSZ:
		v.Data = registry.NewMultiSZ("", r.text(ascii, 20), r.text(ascii+`\`, 20), "x").Data
	case registry.DWORD, registry.DWORDBigEndian:
		v.Data = binary.LittleEndian.AppendUint32(nil, r.Uint32())
	case registry.QWORD:
		v.Data = binary.LittleEndian.AppendUint64(nil, r.Uint64())
	default:
		v.Data = r.bytes()
	}
	return v
}
