package hive

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// A File is a hive with its file. To Flush it writes the file.
type File struct {
	*Hive
	path string      // what the name that was given leads to
	seen os.FileInfo // the file as it was read
}

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
	b := make([]byte, seen.Size())
	if _, err := io.ReadFull(in, b); err != nil {
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
