package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/portroom/portroom/internal/target"
	"github.com/portroom/portroom/remedy"
	"github.com/portroom/portroom/remedy/emit"
)

const emitFlag = "emit"

func emitFormats() string {
	var names []string
	for _, f := range emit.Formats {
		names = append(names, string(f))
	}
	return strings.Join(names, ", ")
}

// joinEmit makes one argument of the two that --emit takes, FORMAT and DIR: flags
// take one.
func joinEmit(args []string) []string {
	for i, arg := range args {
		switch {
		case arg == "--":
			return args
		case arg == "--"+emitFlag && i+2 < len(args) && !strings.Contains(args[i+1], ":") && !strings.HasPrefix(args[i+2], "-"):
			return slices.Concat(args[:i+1], []string{args[i+1] + ":" + args[i+2]}, args[i+3:])
		case strings.HasPrefix(arg, "--"+emitFlag+"=") && i+1 < len(args) && !strings.Contains(arg, ":") && !strings.HasPrefix(args[i+1], "-"):
			return slices.Concat(args[:i], []string{arg + ":" + args[i+1]}, args[i+2:])
		}
	}
	return args
}

// parseEmit parts FORMAT:DIR.
func parseEmit(text string) (f emit.Format, dir string, err error) {
	name, dir, _ := strings.Cut(text, ":")
	f = emit.Format(name)
	switch {
	case !slices.Contains(emit.Formats, f):
		return f, dir, usagef("--emit %q is no format: want %s", name, emitFormats())
	case dir == "":
		return f, dir, usagef("--emit %s: want the folder that the files go to after it", name)
	}
	return f, dir, nil
}

// emit writes a plan as files.
func (a *app) emit(f *changeFlags, p *remedy.Proposal) error {
	if len(p.Plan.Steps) == 0 {
		return a.printProposal(f, p, nothing, 0, nil)
	}
	format, dir, err := parseEmit(f.emit)
	if err != nil {
		return err
	}
	kind := target.Kind(p.Plan.Target.Kind)
	to := emit.For{System: emit.System(p.System), Release: p.Release, Offline: kind != target.Local && kind != target.Remote}
	files, err := emit.Files(format, to, p.Plan)
	if err != nil {
		return err
	}
	for _, file := range files {
		path := filepath.Join(dir, filepath.FromSlash(file.Name))
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is there already: want a folder without it; nothing was written", path)
		}
	}
	for _, file := range files {
		path := filepath.Join(dir, filepath.FromSlash(file.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := writeNew(path, file); err != nil {
			return err
		}
		p.Emitted = append(p.Emitted, path)
	}
	return a.printProposal(f, p, planned, 0, nil)
}

func writeNew(path string, file emit.File) error {
	mode := fs.FileMode(0o644)
	if file.Executable {
		mode = 0o755
	}
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = out.Write(file.Data)
	return errors.Join(err, out.Close())
}
