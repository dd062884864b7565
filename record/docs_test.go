package record

import (
	"database/sql"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// docs/record.md names every view with its columns and every table, and its queries
// run.
func TestThePageAboutTheRecordIsRight(t *testing.T) {
	page, err := os.ReadFile("../docs/record.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	r, path := create(t, Options{})
	appendAll(t, r, anIncident()...)
	rec := openRecord(t, path)
	var views, tables []string
	if err := rec.each("SELECT type, name FROM sqlite_schema WHERE type IN ('view', 'table')", func(row *sql.Rows) error {
		var kind, name string
		err := row.Scan(&kind, &name)
		if kind == "view" {
			views = append(views, name)
		} else {
			tables = append(tables, name)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile("`([a-z_]+)`")
	for _, view := range views {
		_, rest, ok := strings.Cut(text, "\n| `"+view+"` |")
		if !ok {
			t.Errorf("the view %s is not described", view)
			continue
		}
		line, _, _ := strings.Cut(rest, "\n")
		var named, is []string
		for _, m := range code.FindAllStringSubmatch(line, -1) {
			named = append(named, m[1])
		}
		if err := rec.each("SELECT name FROM pragma_table_info('"+view+"')", func(row *sql.Rows) error {
			var name string
			err := row.Scan(&name)
			is = append(is, name)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(is, named); d != "" {
			t.Errorf("columns of %s (-is +described):\n%s", view, d)
		}
	}
	for _, table := range tables {
		if !strings.Contains(text, "`"+table+"`") {
			t.Errorf("the table %s is not described", table)
		}
	}
	for _, want := range []string{fmt.Sprint(application), fmt.Sprintf("of the\nschema, %d.", Version), fmt.Sprintf("Up to %d pools", ExactPools), fmt.Sprintf("(%d MiB)", DefaultMaxSize>>20), fmt.Sprintf("(%d days)", int(DefaultKeep.Hours()/24))} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	// The queries are in indented blocks and end in a semicolon.
	queries := regexp.MustCompile(`(?ms)^    SELECT .*?;$`).FindAllString(text, -1)
	if len(queries) != 3 {
		t.Fatalf("%d queries", len(queries))
	}
	rows := make([]int, len(queries))
	for i, q := range queries {
		if err := rec.each(q, func(*sql.Rows) error { rows[i]++; return nil }); err != nil {
			t.Errorf("%s: %v", q, err)
		}
	}
	if slices.Contains(rows, 0) {
		t.Errorf("the queries return %v rows", rows)
	}
}
