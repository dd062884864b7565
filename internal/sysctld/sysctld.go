// Package sysctld computes which file of sysctl.d decides about a kernel
// parameter, as systemd-sysctl(8) does at boot (sysctl.d(5); src/sysctl/sysctl.c
// and src/basic/conf-files.c of systemd).
//
// Files are taken from /etc, /run, /usr/local/lib and /usr/lib. Of several with
// one name the first in this order counts and hides the others; those that are
// left are read in the order of their names, whatever their directory. The last
// assignment wins. One through a pattern (net.ipv4.*) counts only for parameters
// that no line names, and a line that begins with "-" and assigns nothing takes a
// parameter out.
//
// sysctl(8) of procps, started as "sysctl --system", reads /etc/sysctl.conf after
// all others. systemd-sysctl does not read it, but for the link 99-sysctl.conf
// that some distributions have; [Config.Legacy] is what it holds.
package sysctld

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// dirs are the directories, the first first; /lib is /usr/lib on most systems.
var dirs = []string{"/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"}

// Dir is where an administrator's files are.
const Dir = "/etc/sysctl.d"

const legacyPath = "/etc/sysctl.conf"

// An Assignment is one line of a file.
type Assignment struct {
	File  string // without the root
	Link  string // what File is a link to; "" for no link
	Line  int
	Key   string // with slashes: net/ipv4/tcp_tw_reuse; perhaps a pattern
	Value string // blanks in it made single
	Drop  bool   // takes the key out instead of assigning
}

// String names the place of the line.
func (a Assignment) String() string {
	s := a.File
	if a.Link != "" {
		s += " (a link to " + a.Link + ")"
	}
	return fmt.Sprintf("%s line %d", s, a.Line)
}

// File is one file that counts.
type File struct {
	Name  string // without directory
	Path  string // without the root
	Lines []Assignment
}

// Config is all that is configured.
type Config struct {
	Files  []File // in the order in which they are read
	Legacy []Assignment
	// Linked says that a file of Files is a link to /etc/sysctl.conf.
	Linked bool
}

// maxFile is far more than a person writes, and bounds what is read.
const maxFile = 1 << 20

// Read reads the configuration under a root, "/" for this system's.
func Read(root string) (*Config, error) {
	c := new(Config)
	seen := make(map[string]bool)
	for _, dir := range dirs {
		entries, err := os.ReadDir(filepath.Join(root, dir))
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
				continue
			}
			return nil, err
		}
		for _, e := range entries {
			name := e.Name()
			if seen[name] || !strings.HasSuffix(name, ".conf") || strings.HasPrefix(name, ".") {
				continue
			}
			p := path.Join(dir, name)
			text, link, err := read(root, p)
			if errors.Is(err, errIrregular) {
				continue
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			seen[name] = true // a link to nothing hides those of its name, too
			if link == legacyPath {
				c.Linked = true
			}
			c.Files = append(c.Files, File{name, p, Parse(p, link, text)})
		}
	}
	c.sort()
	text, link, err := read(root, legacyPath)
	switch {
	case err == nil:
		c.Legacy = Parse(legacyPath, link, text)
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errIrregular):
		return nil, err
	}
	return c, nil
}

func (c *Config) sort() {
	slices.SortFunc(c.Files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
}

var errIrregular = errors.New("no regular file")

// read returns the text of a file under the root, and the path that it is a link
// to. Links that begin with a slash begin at the root.
func read(root, p string) (text, link string, err error) {
	at := p
	for range 40 { // the kernel's MAXSYMLINKS
		to, err := os.Readlink(filepath.Join(root, at))
		if err != nil {
			break // no link
		}
		if !path.IsAbs(to) {
			to = path.Join(path.Dir(at), to)
		}
		at = path.Clean(to)
		link = at
	}
	if at == "/dev/null" {
		return "", at, nil // how a file of that name is hidden
	}
	f, err := os.Open(filepath.Join(root, at))
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		return "", "", errors.Join(err, errIrregular)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return "", "", err
	}
	if len(b) > maxFile {
		return "", "", fmt.Errorf("%s is larger than %d bytes", at, maxFile)
	}
	return string(b), link, nil
}

// Parse reads the lines of a file. What is no assignment is passed over, as
// systemd-sysctl does with a warning.
func Parse(file, link, text string) []Assignment {
	var out []Assignment
	n := 0
	for l := range strings.SplitSeq(text, "\n") {
		n++
		l = strings.Trim(l, blanks)
		if l == "" || l[0] == '#' || l[0] == ';' {
			continue
		}
		a := Assignment{File: file, Link: link, Line: n}
		key, value, assigns := strings.Cut(l, "=")
		key, minus := strings.CutPrefix(strings.Trim(key, blanks), "-")
		if !assigns && !minus {
			continue
		}
		a.Key = normal(strings.Trim(key, blanks))
		a.Value = strings.Join(strings.Fields(value), " ")
		a.Drop = !assigns
		out = append(out, a)
	}
	return out
}

const blanks = " \t\n\r"

// normal writes a key with slashes. Whichever of the two comes first parts the
// names; the other is a part of one.
func normal(key string) string {
	if i := strings.IndexAny(key, "/."); i >= 0 && key[i] == '.' {
		key = strings.Map(func(r rune) rune {
			switch r {
			case '.':
				return '/'
			case '/':
				return '.'
			}
			return r
		}, key)
	}
	return strings.TrimPrefix(path.Clean("/"+key), "/")
}

// Deciding returns the assignment that decides about a parameter at boot. ok is
// false when nothing is assigned.
func (c *Config) Deciding(key string) (a Assignment, ok bool) {
	var lines []Assignment
	for _, f := range c.Files {
		lines = append(lines, f.Lines...)
	}
	return deciding(lines, normal(key))
}

// DecidingLegacy returns what /etc/sysctl.conf assigns to a parameter.
func (c *Config) DecidingLegacy(key string) (a Assignment, ok bool) {
	return deciding(c.Legacy, normal(key))
}

func deciding(lines []Assignment, key string) (a Assignment, ok bool) {
	// A line takes the place of an earlier one for the same key, at its own
	// place; one that says the same leaves the earlier where it is.
	var order []Assignment
	for _, l := range lines {
		i := slices.IndexFunc(order, func(o Assignment) bool { return o.Key == l.Key })
		if i >= 0 && order[i].Drop == l.Drop && order[i].Value == l.Value {
			continue
		}
		if i >= 0 {
			order = slices.Delete(order, i, i+1)
		}
		order = append(order, l)
	}
	for _, l := range order {
		if l.Key == key {
			return l, !l.Drop
		}
	}
	for _, l := range slices.Backward(order) {
		if match, err := path.Match(l.Key, key); err == nil && match && !l.Drop {
			return l, true
		}
	}
	return Assignment{}, false
}

// With returns the configuration as it would be with a file of that name and
// text in [Dir].
func (c *Config) With(name, text string) *Config {
	p := path.Join(Dir, name)
	n := &Config{Legacy: c.Legacy, Linked: c.Linked}
	for _, f := range c.Files {
		if f.Name != name {
			n.Files = append(n.Files, f)
		}
	}
	n.Files = append(n.Files, File{name, p, Parse(p, "", text)})
	n.sort()
	return n
}
