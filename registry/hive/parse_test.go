package hive

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portroom/portroom/registry"
)

// sample is a hive with something of everything.
func sample(t testing.TB, minor int) []byte {
	t.Helper()
	h := empty(t, minor)
	for _, path := range []string{`Select`, `ControlSet001\Services\Tcpip\Parameters`, `Größe`, `日本`} {
		if err := h.Create(path); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range []registry.Value{
		registry.NewDWORD("Current", 1), registry.NewSZ("", "default"), {Name: "Empty", Type: registry.Binary},
		{Name: "long", Type: registry.Binary, Data: bytes.Repeat([]byte{1, 2, 3}, 6000)},
		{Name: "日本", Type: 0x10001, Data: []byte{1, 2, 3, 4, 5}},
	} {
		if err := h.Set("Select", v); err != nil {
			t.Fatal(err)
		}
	}
	return h.Bytes()
}

// reseal makes the checksum right.
func reseal(b []byte) { put32(b, atChecksum, checksum(b)) }

// cellOf returns the offset of a key's cell.
func cellOf(t testing.TB, h *Hive, path string) uint32 {
	t.Helper()
	k, err := h.open(path)
	if err != nil {
		t.Fatal(err)
	}
	return k.off
}

// everything walks over a hive and returns its errors, one for each call that failed.
func everything(h *Hive) (errs []error) {
	for paths := []string{""}; len(paths) > 0; {
		path := paths[len(paths)-1]
		paths = paths[:len(paths)-1]
		values, err := h.Values(path)
		if err != nil {
			errs = append(errs, err)
		}
		for _, v := range values {
			if _, err := h.Get(path, v.Name); err != nil {
				errs = append(errs, err)
			}
		}
		keys, err := h.Keys(path)
		if err != nil {
			errs = append(errs, err)
		}
		for _, k := range keys {
			paths = append(paths, registry.Join(path, k))
		}
	}
	return errs
}

func TestWhatIsNoHiveIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(b []byte) []byte
		want   string // part of the error
	}{
		"no bytes":             {func(b []byte) []byte { return nil }, "not a registry hive"},
		"text":                 {func(b []byte) []byte { return []byte("REGEDIT4\r\n") }, "not a registry hive"},
		"another magic":        {func(b []byte) []byte { b[0] = 'R'; return b }, "not a registry hive"},
		"half a header":        {func(b []byte) []byte { return b[:600] }, "the file ends within its header"},
		"a header alone":       {func(b []byte) []byte { return b[:baseSize] }, "the file ends before its bins"},
		"half a bin":           {func(b []byte) []byte { return b[:baseSize+100] }, "the file ends before its bins"},
		"a bit of the header":  {func(b []byte) []byte { b[200] ^= 1; return b }, "checksum"},
		"a bit of the sum":     {func(b []byte) []byte { b[atChecksum] ^= 1; return b }, "at byte 508: the checksum"},
		"version 1.2":          {func(b []byte) []byte { b[atMinor] = 2; reseal(b); return b }, "version 1.2: want 1.3 to 1.6, of Windows NT 4.0 and later; this one is of Windows NT 3"},
		"version 1.7":          {func(b []byte) []byte { b[atMinor] = 7; reseal(b); return b }, "version 1.7: want 1.3 to 1.6"},
		"version 2.3":          {func(b []byte) []byte { b[atMajor] = 2; reseal(b); return b }, "version 2."},
		"an old log":           {func(b []byte) []byte { b[atType] = 1; reseal(b); return b }, "the log of a hive"},
		"a new log":            {func(b []byte) []byte { b[atType] = 6; reseal(b); return b }, "the log of a hive"},
		"another type":         {func(b []byte) []byte { b[atType] = 9; reseal(b); return b }, "type 9"},
		"another format":       {func(b []byte) []byte { b[atFormat] = 0; reseal(b); return b }, "format 0"},
		"no bins":              {func(b []byte) []byte { put32(b, atBinsSize, 0); reseal(b); return b }, "bins of 0 bytes"},
		"bins of odd length":   {func(b []byte) []byte { put32(b, atBinsSize, 4097); reseal(b); return b }, "bins of 4097 bytes"},
		"bins of 4 GiB":        {func(b []byte) []byte { put32(b, atBinsSize, 0xfffff000); reseal(b); return b }, "the file ends before its bins"},
		"no bin":               {func(b []byte) []byte { b[baseSize] = 'x'; return b }, "at byte 4096: no bin begins here"},
		"a bin from elsewhere": {func(b []byte) []byte { b[baseSize+5] = 0x10; return b }, "the bin says that it begins 4096 bytes"},
		"a bin of no length":   {func(b []byte) []byte { put32(b, baseSize+8, 0); return b }, "a bin of 0 bytes"},
		"a bin too long":       {func(b []byte) []byte { put32(b, baseSize+8, 0x100000); return b }, "a bin of 1048576 bytes"},
		"a bin of odd length":  {func(b []byte) []byte { put32(b, baseSize+8, 4095); return b }, "a bin of 4095 bytes"},
		"a cell of no length":  {func(b []byte) []byte { put32(b, baseSize+32, 0); return b }, "at byte 4128: a cell of 0 bytes"},
		"a cell of 4 bytes":    {func(b []byte) []byte { put32(b, baseSize+32, 4); return b }, "a cell of 4 bytes"},
		"a cell not aligned":   {func(b []byte) []byte { put32(b, baseSize+32, ^uint32(12)+1); return b }, "a cell of 12 bytes"},
		"a cell too long":      {func(b []byte) []byte { put32(b, baseSize+32, 4096); return b }, "a cell of 4096 bytes"},
		"the longest cell":     {func(b []byte) []byte { put32(b, baseSize+32, 0x80000000); return b }, "a cell of 2147483648 bytes"},
		"no root":              {func(b []byte) []byte { put32(b, atRoot, none); reseal(b); return b }, "the root key is said to be at 0xffffffff"},
		"a root beside a cell": {func(b []byte) []byte { put32(b, atRoot, 40); reseal(b); return b }, "the root key is said to be at 0x28"},
		"a root that is no key": {func(b []byte) []byte {
			b[baseSize+32+4] = 'x'
			return b
		}, "no key where one must be"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(c.damage(bytes.Clone(sample(t, 5))), Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			var f *FormatError
			var v *VersionError
			if !errors.Is(err, ErrNotHive) && !errors.As(err, &f) && !errors.As(err, &v) {
				t.Errorf("the error is of another kind: %T", err)
			}
		})
	}
	if _, err := Parse(sample(t, 5), Options{MaxSize: 4096}); err == nil || !strings.Contains(err.Error(), "larger than 4096") {
		t.Errorf("a hive that is too large: %v", err)
	}
}

// Each damage is found where the damaged thing is read, and costs nothing elsewhere.
func TestDamageCostsNothingElsewhere(t *testing.T) {
	const key = `ControlSet001\Services\Tcpip`
	for name, c := range map[string]struct {
		damage func(h *Hive, k, v uint32) // cells of the key above and of Select; of its first value
		path   string                     // where it is read
		want   string
	}{
		"no key":                   {func(h *Hive, k, v uint32) { h.at(k)[0] = 'x' }, "Select", "no key"},
		"a key's name too long":    {func(h *Hive, k, v uint32) { put16(h.at(k), nkNameLength, 500) }, "Select", "the name of the key"},
		"half a character":         {func(h *Hive, k, v uint32) { put16(h.at(k), nkFlags, 0); put16(h.at(k), nkNameLength, 3) }, "Select", "half a character"},
		"another parent":           {func(h *Hive, k, v uint32) { put32(h.at(k), nkParent, k) }, "Select", "but below one at"},
		"subkeys without end":      {func(h *Hive, k, v uint32) { put32(h.at(k), nkSubkeys, 0x7fffffff) }, "Select", "2147483647 subkeys"},
		"subkeys nowhere":          {func(h *Hive, k, v uint32) { put32(h.at(k), nkSubkeys, 1) }, "Select", "no cell in use begins"},
		"subkeys in a key":         {func(h *Hive, k, v uint32) { put32(h.at(k), nkSubkeys, 1); put32(h.at(k), nkSubkeyList, k) }, "Select", "no list of subkeys"},
		"values without end":       {func(h *Hive, k, v uint32) { put32(h.at(k), nkValues, none) }, "Select", "4294967295 values"},
		"values nowhere":           {func(h *Hive, k, v uint32) { put32(h.at(k), nkValueList, 8) }, "Select", "no cell in use begins"},
		"no value":                 {func(h *Hive, k, v uint32) { h.at(v)[0] = 'x' }, "Select", "no value"},
		"a value's name too long":  {func(h *Hive, k, v uint32) { put16(h.at(v), vkNameLength, 9999) }, "Select", "the name of the value"},
		"half a character, value":  {func(h *Hive, k, v uint32) { put16(h.at(v), vkFlags, 0); put16(h.at(v), vkNameLength, 3) }, "Select", "half a character"},
		"five bytes in four":       {func(h *Hive, k, v uint32) { put32(h.at(v), vkSize, inline|5) }, "Select", "5 bytes lie in it"},
		"data nowhere":             {func(h *Hive, k, v uint32) { put32(h.at(v), vkSize, 5) }, "Select", "no cell in use begins"},
		"data longer than its end": {func(h *Hive, k, v uint32) { put32(h.at(v), vkSize, 5000); put32(h.at(v), vkData, v) }, "Select", "data of 5000 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := Parse(bytes.Clone(sample(t, 5)), Options{})
			if err != nil {
				t.Fatal(err)
			}
			k := cellOf(t, h, "Select")
			c.damage(h, k, get32(h.at(get32(h.at(k), nkValueList)), 0))
			errs := everything(h)
			if len(errs) == 0 {
				t.Fatal("no error")
			}
			for _, err := range errs {
				var f *FormatError
				if !strings.Contains(err.Error(), c.want) || !errors.As(err, &f) {
					t.Errorf("%v, want %q", err, c.want)
				}
			}
			if keys, err := h.Keys(key); err != nil || !cmp.Equal(keys, []string{"Parameters"}) {
				t.Errorf("elsewhere: %q, %v", keys, err)
			}
			if err := h.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the check: %v, want %q", err, c.want)
			}
			before := bytes.Clone(h.b)
			if err := h.Set(key, registry.NewDWORD("x", 1)); err == nil {
				t.Error("the hive was changed elsewhere")
			}
			if !bytes.Equal(before, h.Bytes()) {
				t.Error("a refused change has changed bytes")
			}
		})
	}
}

func TestSegmentsAreChecked(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(h *Hive, table, list uint32)
		want   string
	}{
		"no table":          {func(h *Hive, table, list uint32) { h.at(table)[0] = 'x' }, "data of 18000 bytes, in a cell"},
		"one segment":       {func(h *Hive, table, list uint32) { put16(h.at(table), 2, 1) }, "in 1 segments"},
		"many segments":     {func(h *Hive, table, list uint32) { put16(h.at(table), 2, 0xffff) }, "in 65535 segments"},
		"no list":           {func(h *Hive, table, list uint32) { put32(h.at(table), 4, none) }, "no cell in use begins"},
		"a segment nowhere": {func(h *Hive, table, list uint32) { put32(h.at(list), 4, none) }, "no cell in use begins"},
		"a short segment":   {func(h *Hive, table, list uint32) { put32(h.at(list), 0, table) }, "a segment of 16344 bytes"},
		"a short last one":  {func(h *Hive, table, list uint32) { put32(h.at(list), 4, table) }, "a segment of 1656 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := Parse(bytes.Clone(sample(t, 5)), Options{})
			if err != nil {
				t.Fatal(err)
			}
			k, err := h.open("Select")
			if err != nil {
				t.Fatal(err)
			}
			n, _ := encodeName("long")
			v, _, _, err := h.find(k, n)
			if err != nil {
				t.Fatal(err)
			}
			table := v.get(vkData)
			c.damage(h, table, get32(h.at(table), 4))
			if _, err := h.Get("Select", "long"); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// To name one cell many times must not make much of a small hive.
func TestSharedCellsMultiplyNothing(t *testing.T) {
	const n = 2000
	build := func(t *testing.T, share func(h *Hive)) *Hive {
		h := empty(t, 5)
		long := strings.Repeat("x", 200)
		for i := range n {
			if err := h.Create(fmt.Sprintf(`k\%s%04d`, long, i)); err != nil {
				t.Fatal(err)
			}
			if err := h.Set("k", registry.Value{Name: fmt.Sprint(i), Type: registry.Binary, Data: make([]byte, 3000)}); err != nil {
				t.Fatal(err)
			}
		}
		share(h)
		again, err := Parse(bytes.Clone(h.Bytes()), Options{})
		if err != nil {
			t.Fatal(err)
		}
		return again
	}
	t.Run("one value many times", func(t *testing.T) {
		h := build(t, func(h *Hive) {
			// The value's data is all of a large cell.
			if err := h.Set("k", registry.Value{Name: "big", Type: registry.Binary, Data: make([]byte, 1<<20)}); err != nil {
				t.Fatal(err)
			}
			list := h.at(get32(h.at(cellOf(t, h, "k")), nkValueList))
			for i := range n {
				put32(list, 4*i, get32(list, 4*n))
			}
		})
		if _, err := h.Values("k"); err == nil || !strings.Contains(err.Error(), "larger than the hive") {
			t.Errorf("%v", err)
		}
		if err := h.Check(); err == nil || !strings.Contains(err.Error(), "another owner") {
			t.Errorf("%v", err)
		}
	})
	t.Run("one key many times", func(t *testing.T) {
		h := build(t, func(h *Hive) {
			k, _ := h.open("k")
			all, err := h.leaves(k)
			if err != nil {
				t.Fatal(err)
			}
			for i := range all[0].n {
				put32(all[0].b, 4+i*8, all[0].subkey(0))
			}
		})
		if _, err := h.Keys("k"); err == nil || !strings.Contains(err.Error(), "twice") {
			t.Errorf("%v", err)
		}
	})
	t.Run("one list many times", func(t *testing.T) {
		h := build(t, func(h *Hive) {
			k, _ := h.open("k")
			root := h.at(k.get(nkSubkeyList))
			if string(root[:2]) != "ri" {
				t.Fatal("no index root")
			}
			put32(root, 8, get32(root, 4))
			put16(root, 2, 2)
		})
		if _, err := h.Keys("k"); err == nil {
			t.Error("no error")
		}
	})
	t.Run("an index root below itself", func(t *testing.T) {
		h := build(t, func(h *Hive) {
			k, _ := h.open("k")
			put32(h.at(k.get(nkSubkeyList)), 4, k.get(nkSubkeyList))
		})
		if _, err := h.Keys("k"); err == nil || !strings.Contains(err.Error(), "no list of subkeys") {
			t.Errorf("%v", err)
		}
	})
	t.Run("a key below itself", func(t *testing.T) {
		h := build(t, func(h *Hive) {
			k, _ := h.open("k")
			list := h.at(get32(h.at(h.root), nkSubkeyList))
			put32(list, 4, h.root)
			put32(h.at(h.root), nkParent, h.root)
			_ = k
		})
		var depth int
		path := ""
		for range 2 * maxDepth {
			keys, err := h.Keys(path)
			if err != nil {
				break
			}
			path = registry.Join(path, keys[0])
			depth++
		}
		if depth > maxDepth+1 {
			t.Errorf("%d keys one below the other", depth)
		}
		if err := h.Check(); err == nil || !strings.Contains(err.Error(), "another owner") {
			t.Errorf("%v", err)
		}
	})
}

func TestADirtyHiveIsReadButNotChanged(t *testing.T) {
	b := bytes.Clone(sample(t, 5))
	put32(b, atPrimary, get32(b, atSecondary)+1)
	reseal(b)
	h, err := Parse(b, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var dirty *DirtyError
	if err := h.Unclean(); !errors.As(err, &dirty) || dirty.Primary != dirty.Secondary+1 {
		t.Errorf("unclean: %v", err)
	}
	if errs := everything(h); len(errs) > 0 {
		t.Errorf("reading: %v", errs)
	}
	for what, err := range map[string]error{
		"create":       h.Create("new"),
		"set":          h.Set("Select", registry.NewDWORD("Current", 2)),
		"delete":       h.Delete("Select", "Current"),
		"delete a key": h.DeleteKey("Select"),
	} {
		if !errors.As(err, &dirty) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if !bytes.Equal(h.Bytes(), b) {
		t.Error("bytes were changed")
	}
}

func TestAClosedHiveIsClosed(t *testing.T) {
	h := empty(t, 5)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := h.Keys("")
	for what, err := range map[string]error{"keys": err, "create": h.Create("x"), "check": h.Check()} {
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
