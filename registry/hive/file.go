package hive

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/portroom/portroom/internal/atomicfile"
	"github.com/portroom/portroom/registry"
)

// A File is a hive with its file. To Flush it writes the file.
type File struct {
	*Hive
	path    string      // what the name that was given leads to
	seen    os.FileInfo // the file as it was read, nil if there is none yet
	replace Replacer
	// written is how many changes the file has.
	written uint64
}

var _ registry.Store = (*File)(nil)

// Open reads the hive at path. Errors are those of the file system and of [Parse].
// That the hive may not be changed is no error here: see [Hive.Unclean].
func Open(path string, o Options) (*File, error) {
	f, err := open(path, o)
	if err != nil {
		var p *os.PathError
		if errors.As(err, &p) {
			return nil, fmt.Errorf("read hive: %w", err)
		}
		return nil, fmt.Errorf("read hive %s: %w", path, err)
	}
	return f, nil
}

func open(path string, o Options) (*File, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	seen, err := in.Stat()
	if err != nil {
		return nil, err
	}
	if !seen.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	if seen.Size() > o.maxSize() {
		return nil, tooLarge(o)
	}
	// Of what is no hive no more is read than its beginning.
	head := make([]byte, min(baseSize, seen.Size()))
	if _, err := io.ReadFull(in, head); err != nil {
		return nil, err
	}
	if len(head) < baseSize {
		return nil, short(head)
	}
	if err := checkBase(head); err != nil {
		return nil, err
	}
	b := make([]byte, seen.Size())
	if _, err := io.ReadFull(in, b[copy(b, head):]); err != nil {
		return nil, err
	}
	h, err := Parse(b, o)
	if err != nil {
		return nil, err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, err
	}
	if h.unclean == nil {
		h.unclean = findUnclean(path, get32(b, atSecondary))
	}
	return &File{Hive: h, path: path, seen: seen}, nil
}

// Create makes an empty hive. Its file is written by Flush, at path, and is readable
// by its owner only. Where a file is already, the error is an [fs.ErrExist], of Create
// or, if it came later, of Flush.
func Create(path string, o Options) (*File, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("create hive: %w", &os.PathError{Op: "create", Path: path, Err: os.ErrExist})
	}
	h, err := New(o)
	if err != nil {
		return nil, fmt.Errorf("create hive %s: %w", path, err)
	}
	h.nameFile(filepath.Base(path))
	return &File{Hive: h, path: path}, nil
}

// Flush writes the file, if there are changes that it has not. It refuses if the file
// was changed since it was read or written, or if a reason has come up in the meantime
// why the hive may not be changed. Before anything is written the whole tree is
// checked.
func (f *File) Flush() error {
	if f.b == nil {
		return errClosed
	}
	if f.edits == f.written && f.seen != nil {
		return nil
	}
	if err := f.flush(); err != nil {
		var p *os.PathError
		if errors.As(err, &p) {
			return fmt.Errorf("write hive: %w", err)
		}
		return fmt.Errorf("write hive %s: %w", f.path, err)
	}
	f.written = f.edits
	return nil
}

func (f *File) flush() error {
	t, err := f.walkTree()
	if err == nil && !f.keepSecurity {
		err = f.checkSecurity(t)
	}
	if err != nil {
		return fmt.Errorf("the changed hive is not good (please report this): %w", err)
	}
	if f.seen == nil {
		if err := atomicfile.New(f.path, f.Bytes()); err != nil {
			return err
		}
		f.seen, err = os.Stat(f.path)
		return err
	}
	if err := findUnclean(f.path, get32(f.b, atSecondary)); err != nil {
		return err
	}
	replace := f.replace
	if replace == nil {
		replace = atomicfile.Replace
	}
	seen, err := replace(f.path, f.Bytes(), f.seen)
	if err != nil {
		return err
	}
	f.seen = seen
	return nil
}

// A Replacer puts a file in place of the one at path if that is still as it was when
// seen was made of it, and returns what seen is for the new file.
type Replacer func(path string, b []byte, seen os.FileInfo) (os.FileInfo, error)

// ReplaceBy makes Flush write the file by another way than the package's own, which
// keeps either the old or the new content whatever happens: another must, too.
func (f *File) ReplaceBy(r Replacer) { f.replace = r }

// Close lets go of the hive's memory. Changes that were not flushed are lost.
func (f *File) Close() error { return f.Hive.Close() }
