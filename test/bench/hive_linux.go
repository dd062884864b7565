package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/registry/hive"
	"github.com/portroom/portroom/test/load"
)

// These in the environment make the program one that makes a hive of a size, or
// that sets a value in one: processes of their own, because what this one has in
// memory would count as theirs.
const (
	makeHiveEnv = "PORTROOM_BENCH_MAKE_HIVE" // path and size
	setEnv      = "PORTROOM_BENCH_SET"       // path
)

const parameters = `ControlSet001\Services\Tcpip\Parameters`

func hiveChild() {
	var err error
	if spec := os.Getenv(makeHiveEnv); spec != "" {
		var path string
		var size int
		if _, err = fmt.Sscan(spec, &path, &size); err == nil {
			err = load.SystemHive(path, size)
		}
	} else if path := os.Getenv(setEnv); path != "" {
		err = setValue(path)
	} else {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hive:", err)
		os.Exit(3)
	}
	os.Exit(0)
}

// setValue sets MaxUserPort to what it is not.
func setValue(path string) error {
	f, err := hive.Open(path, hive.Options{})
	if err != nil {
		return err
	}
	defer f.Close()
	v, err := f.Get(parameters, "MaxUserPort")
	if err != nil {
		return err
	}
	n, err := v.Uint32()
	if err != nil {
		return err
	}
	if err := f.Set(parameters, registry.NewDWORD("MaxUserPort", n^1)); err != nil {
		return err
	}
	return f.Flush()
}

// hive returns the path of a SYSTEM hive, which is made first.
func (b *bench) hive(ctx context.Context) (string, error) {
	path := filepath.Join(b.dir, "SYSTEM")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	c := command{name: "the maker of a hive", args: []string{b.self}, env: []string{fmt.Sprintf("%s=%s %d", makeHiveEnv, path, b.hiveBytes)}}
	s, err := c.execute(ctx, nil)
	if err == nil {
		b.say("a SYSTEM hive of %d bytes in %.1f s", b.hiveBytes, s.wall.Seconds())
	}
	return path, err
}

// needs says which package brings a peer that is missing.
func needs(tool, debian string) error {
	if _, err := exec.LookPath(tool); err != nil {
		return fmt.Errorf("%s, which it measures against, is missing; install %s", tool, debian)
	}
	return nil
}

// turns measures x and y in turn where they are.
func (b *bench) turns(ctx context.Context, x, y command) (xs, ys samples, err error) {
	for range b.runs {
		sx, err := x.execute(ctx, nil)
		if err != nil {
			return nil, nil, err
		}
		sy, err := y.execute(ctx, nil)
		if err != nil {
			return nil, nil, err
		}
		xs, ys = append(xs, sx), append(ys, sy)
	}
	return xs, ys, nil
}

func (b *bench) rowH1(ctx context.Context) error {
	return b.readHive(ctx, "h1", "libhivex-bin", func(path string) []string {
		return []string{"hivexget", path, parameters}
	})
}

func (b *bench) rowH2(ctx context.Context) error {
	return b.readHive(ctx, "h2", "reglookup", func(path string) []string {
		return []string{"reglookup", "-p", "/ControlSet001/Services/Tcpip/Parameters", path}
	})
}

// readHive measures the reading of a hive's settings against a peer that prints the
// values of the one key that has most of them.
func (b *bench) readHive(ctx context.Context, row, debian string, peer func(path string) []string) error {
	path, err := b.hive(ctx)
	if err != nil {
		return err
	}
	args := peer(path)
	if err := needs(args[0], debian); err != nil {
		return err
	}
	x := command{name: "portroom settings --target hive:", args: []string{b.portroom, "settings", "--target", "hive:" + path}}
	y := command{name: args[0], args: args}
	xs, ys, err := b.turns(ctx, x, y)
	if err != nil {
		return err
	}
	b.add(row, b.hiveWork("settings"), x, xs, y, ys, "A ≤ 150 ms, peak ≤ 60 MiB", func(r result) bool {
		return r.ASecs <= 0.150 && r.PeakKiB <= 60<<10
	})
	return nil
}

func (b *bench) hiveWork(what string) string {
	return fmt.Sprintf("%s of a SYSTEM hive of %d MiB", what, b.hiveBytes>>20)
}

func (b *bench) rowI(ctx context.Context) error {
	path, err := b.hive(ctx)
	if err != nil {
		return err
	}
	if err := needs("hivexregedit", "libwin-hivex-perl"); err != nil {
		return err
	}
	reg := filepath.Join(b.dir, "set.reg")
	text := "Windows Registry Editor Version 5.00\n\n[HKLM\\" + parameters + "]\n\"MaxUserPort\"=dword:0000fffe\n"
	if err := os.WriteFile(reg, []byte(text), 0o600); err != nil {
		return err
	}
	x := command{name: "hive.Open, Set, Flush", args: []string{b.self}, env: []string{setEnv + "=" + path}}
	y := command{name: "hivexregedit --merge", args: []string{"hivexregedit", "--merge", "--prefix", "HKLM", path, reg}}
	xs, ys, err := b.turns(ctx, x, y)
	if err != nil {
		return err
	}
	b.add("i", b.hiveWork("one value"), x, xs, y, ys, "A ≤ 400 ms", func(r result) bool { return r.ASecs <= 0.400 })
	return nil
}
