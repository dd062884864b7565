//go:build !windows

package remote

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/portroom/portroom/registry"
)

const (
	// exportBuffer is the size of Samba's output buffer (source3/registry/
	// reg_format.c: setvbuf).
	exportBuffer = 64000
	// maxArg bounds text on the child's command line; Linux takes 128 KiB for each
	// argument (execve(2), MAX_ARG_STRLEN). More goes through the child's input.
	maxArg = 32 << 10
	// maxDepth is how deep Windows lets keys be nested.
	maxDepth = 512
)

func open(ctx context.Context, host string, o Options) (registry.Store, error) {
	c, err := newClient(ctx, host, o)
	if err != nil {
		return nil, err
	}
	s := &store{client: c}
	s.forget()
	if _, err := s.keysOf("open", ""); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return s, nil
}

// store is a registry through net(8). Each call is a connection of its own, so
// what was read is kept until something is written.
type store struct {
	*client
	keys   map[string][]string         // by key path in lower case
	values map[string][]registry.Value // likewise
}

func (s *store) forget() {
	s.keys, s.values = map[string][]string{}, map[string][]registry.Value{}
}

func fold(path string) string { return strings.ToLower(clean(path)) }

// full is the path as net(8) takes it.
func full(path string) string { return registry.Join("HKLM", clean(path)) }

func (s *store) Keys(path string) ([]string, error) {
	names, err := s.keysOf("read", path)
	return slices.Clone(names), err
}

func (s *store) keysOf(op, path string) ([]string, error) {
	if names, ok := s.keys[fold(path)]; ok {
		return names, nil
	}
	if err := checkName(path); err != nil {
		return nil, err
	}
	var text []byte
	r, err := s.run(op, path, "", func(r io.Reader) (bool, error) {
		var err error
		text, err = io.ReadAll(r)
		return false, err
	}, "enumerate", full(path))
	if err != nil {
		return nil, err
	}
	if r.err != nil {
		return nil, s.failed(op, path, r)
	}
	names, err := parseKeys(string(text))
	if err != nil {
		return nil, &Error{Op: op, Key: path, Host: s.host, Err: err}
	}
	s.keys[fold(path)] = names
	return names, nil
}

func (s *store) Values(path string) ([]registry.Value, error) {
	list, err := s.valuesOf(path)
	if err != nil {
		return nil, err
	}
	list = slices.Clone(list)
	for i := range list {
		list[i].Data = bytes.Clone(list[i].Data)
	}
	return list, nil
}

// valuesOf reads the values with `export`, the one subcommand that prints every
// type without loss. It would go on to all keys below; as soon as the first of
// them is named, the child is ended. Samba holds its output back until a buffer
// is full, so the separator of key names is made so long that the name of a key
// below fills it alone.
func (s *store) valuesOf(path string) ([]registry.Value, error) {
	if list, ok := s.values[fold(path)]; ok {
		return list, nil
	}
	if err := checkName(path); err != nil {
		return nil, err
	}
	depth := len(registry.Split(path)) + 1
	separator := `\` + strings.Repeat("x", exportBuffer/depth)
	var list []registry.Value
	var complete bool
	r, err := s.run("read", path, "", func(r io.Reader) (bool, error) {
		var more bool
		var err error
		list, more, err = parseExport(r)
		complete = err == nil
		if errors.Is(err, errCut) {
			return false, nil // why is on stderr
		}
		if complete && !more {
			_, err = io.Copy(io.Discard, r)
		}
		return more, err
	}, "export", full(path), "/dev/stdout", "fileenc=UTF-8,strenc=UTF-16LE,flags=7,sep="+separator)
	switch {
	case err != nil:
		return nil, err
	case strings.Contains(r.stderr, "iconvert_talloc failed"):
		return nil, &Error{Op: "read", Key: path, Host: s.host, Err: errors.New("a value's name is no text, so that Samba leaves it out")}
	case !complete, strings.Contains(r.stderr, "enumerating values failed"):
		return nil, s.failed("read", path, r)
	}
	s.values[fold(path)] = list
	return list, nil
}

func (s *store) Get(path, name string) (registry.Value, error) {
	list, err := s.valuesOf(path)
	if err != nil {
		return registry.Value{}, err
	}
	v, ok := find(list, name)
	if !ok {
		return v, registry.NoValue(path, name)
	}
	v.Data = bytes.Clone(v.Data)
	return v, nil
}

func find(list []registry.Value, name string) (registry.Value, bool) {
	i := slices.IndexFunc(list, func(v registry.Value) bool { return strings.EqualFold(v.Name, name) })
	if i < 0 {
		return registry.Value{}, false
	}
	return list[i], true
}

func (s *store) Create(path string) error {
	if err := checkName(path); err != nil {
		return err
	}
	_, err := s.keysOf("create", path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	r, err := s.write("create", path, "", "createkey", full(path))
	if err != nil {
		return err
	}
	if _, err := s.keysOf("create", path); errors.Is(err, fs.ErrNotExist) {
		return s.unchanged("create", path, r, "the host does not let this key be made")
	} else if err != nil {
		return err
	}
	return nil
}

func (s *store) Set(path string, v registry.Value) error {
	if err := checkName(v.Name); err != nil {
		return err
	}
	if _, err := s.valuesOf(path); err != nil {
		return err
	}
	var stdin string
	var args []string
	hint := hintValue
	if kind, text := plain(v); kind != "" {
		args = []string{"setvalue", full(path), v.Name, kind, text}
	} else {
		stdin = string(appendImport(nil, full(path), v))
		args = []string{"import", "/dev/stdin", "fileenc=UTF-8,strenc=UTF-16LE"}
		hint = hintImport
	}
	r, err := s.write("write to", path, stdin, args...)
	if err != nil {
		return err
	}
	list, err := s.valuesOf(path)
	if err != nil {
		return err
	}
	got, ok := find(list, v.Name)
	if !ok || got.Type != v.Type || !bytes.Equal(got.Data, v.Data) {
		return s.unchanged("write to", path, r, hint)
	}
	return nil
}

// plain is the value as `net rpc registry setvalue` takes it, which knows but
// numbers, and text with its zero.
func plain(v registry.Value) (kind, text string) {
	switch {
	case v.Type == registry.DWORD && len(v.Data) == 4:
		return "dword", strconv.FormatUint(uint64(binary.LittleEndian.Uint32(v.Data)), 10)
	case v.Type == registry.SZ && len(v.Data) <= maxArg:
		// A half of a surrogate pair is U+FFFD in the text, and so does not compare.
		text, _ := v.Text()
		if bytes.Equal(registry.NewSZ("", text).Data, v.Data) {
			return "sz", text
		}
	}
	return "", ""
}

func (s *store) Delete(path, name string) error {
	list, err := s.valuesOf(path)
	if err != nil {
		return err
	}
	v, ok := find(list, name)
	if !ok {
		return registry.NoValue(path, name)
	}
	r, err := s.write("delete a value of", path, "", "deletevalue", full(path), v.Name)
	if err != nil {
		return err
	}
	if list, err = s.valuesOf(path); err != nil {
		return err
	}
	if _, ok := find(list, name); ok {
		return s.unchanged("delete a value of", path, r, "the host's registry keeps it")
	}
	return nil
}

func (s *store) DeleteKey(path string) error {
	if clean(path) == "" {
		return fmt.Errorf("delete HKLM of %s: the root stays", s.host)
	}
	r, err := s.deleteTree(path, 0)
	if err != nil {
		return err
	}
	_, err = s.keysOf("delete", path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return s.unchanged("delete", path, r, "the host's registry keeps the key, or one below it")
}

// deleteTree deletes a key after those below it: the host deletes but keys that
// have none.
func (s *store) deleteTree(path string, depth int) (result, error) {
	names, err := s.keysOf("delete", path)
	if err != nil {
		return result{}, err
	}
	if depth > maxDepth {
		return result{}, &Error{Op: "delete", Key: path, Host: s.host, Err: fmt.Errorf("keys are nested deeper than %d", maxDepth)}
	}
	for _, name := range names {
		if _, err := s.deleteTree(registry.Join(path, name), depth+1); err != nil {
			return result{}, err
		}
	}
	return s.write("delete", path, "", "deletekey", full(path))
}

// Flush has nothing to do: the host was written to at once.
func (s *store) Flush() error { return nil }

func (s *store) Close() error {
	s.forget()
	return s.close()
}

// write runs a call that changes something. The caller reads back whether it did.
func (s *store) write(op, path, stdin string, args ...string) (result, error) {
	s.forget()
	r, err := s.run(op, path, stdin, nil, args...)
	if err != nil {
		return r, err
	}
	// When the connection is gone, to read back would only tell so again, later.
	e := classify(r.stderr, s.o)
	if errors.Is(e.Err, ErrGone) || errors.Is(e.Err, ErrUnreachable) || errors.Is(e.Err, ErrLogon) || errors.Is(e.Err, ErrProtocol) {
		return r, s.failed(op, path, r)
	}
	return r, nil
}

// unchanged is the error of a change that does not read back.
func (s *store) unchanged(op, path string, r result, hint string) error {
	e := classify(r.stderr, s.o)
	denied := errors.Is(e.Err, fs.ErrPermission)
	if !denied {
		e.Err = ErrUnchanged
	}
	switch {
	case hint == hintImport && !denied && e.Status != "":
		e.Hint = hintValue
	case hint == hintImport || !denied:
		e.Hint = hint
	}
	e.Op, e.Key, e.Host = op, path, s.host
	return &e
}

// failed is the error of a call that did not do what it was to do.
func (s *store) failed(op, path string, r result) error {
	e := classify(r.stderr, s.o)
	switch {
	case errors.Is(e.Err, errAbsent):
		return registry.NoKey(path)
	case e.Err == nil && r.err != nil:
		e.Err = fmt.Errorf("net(8) failed without a reason: %w", r.err)
	case e.Err == nil:
		e.Err = errCut
	}
	e.Op, e.Key, e.Host = op, path, s.host
	return &e
}

// checkName refuses what does not get through a command line or a .reg file.
func checkName(name string) error {
	if strings.ContainsAny(name, "\x00\r\n") {
		return fmt.Errorf("registry name %q: it holds a line break or a zero", name)
	}
	return nil
}
