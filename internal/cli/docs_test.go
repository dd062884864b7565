package cli

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/remedy"
	"github.com/portroom/portroom/remedy/sysctl"
)

// docs/json.md names every field that is printed, and every reason.
func TestTheJSONPageNamesEveryField(t *testing.T) {
	text, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	named := make(map[string]bool)
	for _, m := range regexp.MustCompile("`[.]?([a-z0-9_-]+)`").FindAllStringSubmatch(string(text), -1) {
		named[m[1]] = true
	}
	var fields func(reflect.Type)
	seen := make(map[reflect.Type]bool)
	fields = func(typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			fields(typ.Elem())
			return
		case reflect.Struct:
		default:
			return
		}
		if typ == reflect.TypeFor[time.Time]() {
			return // a string of RFC 3339
		}
		if seen[typ] {
			return
		}
		seen[typ] = true
		for i := range typ.NumField() {
			f := typ.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "" && f.Anonymous {
				fields(f.Type)
				continue
			}
			if name == "" {
				t.Errorf("%s.%s has no JSON name", typ, f.Name)
			} else if !named[name] {
				t.Errorf("docs/json.md does not name `%s` of %s", name, typ)
			}
			fields(f.Type)
		}
	}
	for _, v := range []any{poolJSON{}, checkJSON{}, sum{}, portJSON{}, mapJSON{}, settingsJSON{}, versionJSON{},
		ntSettingsJSON{}, ntRangeJSON{}, ntPoolJSON{}, checkTargetJSON{},
		changeJSON{}, journalJSON{}, confirmJSON{}, demoJSON{}, explanationJSON{}, logJSON{}, ruleJSON{},
		planJSON{}, profileJSON{}, simulateJSON{}, refusalJSON{}, historyJSON{}, momentJSON{}} {
		fields(reflect.TypeOf(v))
	}
	for _, c := range nt.Codes {
		if !named[c] {
			t.Errorf("docs/json.md does not name the code `%s`", c)
		}
	}
	for _, s := range []nt.State{nt.Absent, nt.Good, nt.OutOfRange, nt.WrongType, nt.Malformed, nt.Leftover} {
		if !named[string(s)] {
			t.Errorf("docs/json.md does not name the state `%s`", s)
		}
	}
	for _, s := range []remedy.Status{remedy.Pending, remedy.InForce, remedy.Undone, remedy.Undo, remedy.RolledBack} {
		if !strings.Contains(string(text), "`"+string(s)+"`") {
			t.Errorf("docs/json.md does not name the status `%s`", s)
		}
	}
	page, err := os.ReadFile("../../docs/remedies.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range append(slices.Clone(sysctl.Remedies), sysctl.UnprotectedPorts, sysctl.FewerPorts) {
		if !strings.Contains(string(page), "`"+r+"`") {
			t.Errorf("docs/remedies.md does not name `%s`", r)
		}
	}
	for r := range reasons {
		if !named[string(r)] {
			t.Errorf("docs/json.md does not name the reason `%s`", r)
		}
	}
	for k := pool.Reserved; k <= pool.OutOfReach; k++ {
		if !named[k.String()] {
			t.Errorf("docs/json.md does not name the kind `%s`", k)
		}
	}
}
