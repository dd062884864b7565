package hives

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/portroom/portroom/test/hivex"
)

// population draws keys with values, parents before children.
func (r *source) population(keys int) []Key {
	all := []Key{{}}
	for range keys {
		above := r.IntN(len(all))
		for len(all[above].Names) > 5 {
			above = r.IntN(len(all))
		}
		name := r.keyName()
		k := Key{Names: append(slices.Clone(all[above].Names), name)}
		all[above].Subkeys = append(all[above].Subkeys, name)
		for i := range r.IntN(10) {
			n := ""
			if i > 0 {
				n = r.valueName()
			}
			k.Values = append(k.Values, r.value(n))
		}
		all = append(all, k)
	}
	return all
}

// judges are those who can be asked about what the source draws.
func (r *source) judges() []Judge {
	if r.all {
		return Judges[:2]
	}
	return Judges
}

// Before the judges judge us, they agree about hives of hivexregedit.
func TestTheJudgesAgreeOnHivesThatHivexregeditWrote(t *testing.T) {
	for seed := range uint64(6) {
		r := newSource(seed, 3, seed%2 == 0)
		want := r.population(60)
		hive := filepath.Join(t.TempDir(), "hive")
		hivex.Fill(t, hive, "HKLM", Reg("HKLM", want))
		for _, j := range r.judges() {
			t.Logf("seed %d: %s says %d lines", seed, j.Name, j.Compare(t, hive, want))
		}
	}
}
