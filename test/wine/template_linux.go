package wine

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// compiler makes the shim.
const compiler = "x86_64-w64-mingw32-gcc"

//go:embed testdata/bcryptprimitives.c
var shim []byte

// template returns the prefix that all others are copied from, and makes it if
// this machine has none for this Wine and this shim. Its server does not run.
func template(ctx context.Context) (string, error) {
	version, err := exec.CommandContext(ctx, "wine", "--version").Output()
	if err != nil {
		return "", fmt.Errorf("ask Wine for its version: %w", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("keep a Wine prefix: %w", err)
	}
	cache = filepath.Join(cache, "portroom")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", fmt.Errorf("keep a Wine prefix: %w", err)
	}
	// The tests of several packages run at the same time.
	lock, err := os.OpenFile(filepath.Join(cache, "wine.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", fmt.Errorf("keep a Wine prefix: %w", err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	key := sha256.Sum256(append(version, shim...))
	dir := filepath.Join(cache, fmt.Sprintf("wine-%x", key[:8]))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	half, err := os.MkdirTemp(cache, "wine-unfinished-")
	if err != nil {
		return "", fmt.Errorf("keep a Wine prefix: %w", err)
	}
	defer os.RemoveAll(half)
	if err := boot(ctx, half); err != nil {
		return "", err
	}
	return dir, os.Rename(half, dir)
}

// boot makes a new prefix.
func boot(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "wine", "wineboot", "--init")
	cmd.Env = env(dir)
	// Its outputs stay unset: processes that remain would hold a pipe open.
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("make a Wine prefix in %s: %w", dir, err)
	}
	if err := stop(dir); err != nil {
		return err
	}
	// Wine must not set about renewing the copies.
	if err := os.WriteFile(filepath.Join(dir, ".update-timestamp"), []byte("disable\n"), 0o644); err != nil {
		return err
	}
	to := filepath.Join(dir, "drive_c", "windows", "system32", "bcryptprimitives.dll")
	cmd = exec.CommandContext(ctx, compiler, "-O", "-Wall", "-shared", "-nostdlib", "-Wl,--entry,entry", "-o", to, "-x", "c", "-", "-ladvapi32")
	cmd.Stdin = bytes.NewReader(shim)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build bcryptprimitives.dll: %w: %s", err, out)
	}
	return nil
}

// stop ends the processes of a prefix and waits for them. The registry is in its
// files afterwards. That there were none is no error.
func stop(dir string) error {
	for _, arg := range []string{"-k", "-w"} {
		cmd := exec.Command("wineserver", arg)
		cmd.Env = env(dir)
		// -k says by its status that no server was there.
		if err := cmd.Run(); err != nil && arg != "-k" {
			return fmt.Errorf("wineserver %s in %s: %w", arg, dir, err)
		}
	}
	return nil
}

// clone copies a prefix whose server does not run. Its libraries, 620 of 700 MB,
// become links where that is possible: no program writes to them.
func clone(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		at := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			return os.Mkdir(at, 0o700)
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(target, at)
		case !d.Type().IsRegular():
			return nil
		}
		if strings.EqualFold(filepath.Ext(path), ".dll") && os.Link(path, at) == nil {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(at, data, 0o755)
	})
}
