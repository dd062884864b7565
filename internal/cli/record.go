package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/internal/flight"
	"github.com/portroom/portroom/internal/sdnotify"
	"github.com/portroom/portroom/record"
)

const recordLong = `Record what happens, for portroom history: pools with who holds them, settings that
change, connects that are refused, and what is wrong. It runs until it is stopped; as
a service it is started by packaging/portroom-record.service.

All network namespaces are recorded, or the one that --netns names. Each sample is on
the disk before the next is taken; a power cut loses at most the last. The file grows
no larger than --max-size and no older than --keep, the oldest going first. While the
disk is full nothing is recorded, and the recorder goes on when there is room.

--max-cpu is what all of it may take of one processor. Where the sockets are so many
that a sample each --interval would take more, samples become rarer, and the record
says so. Refused connects are counted by the kernel meanwhile; none is missed.

The file is an SQLite database that docs/record.md describes.

EXIT STATUS
  0   stopped by Ctrl-C or SIGTERM, or after --for
  3   could not be measured or written, or another recorder has the file
  64  wrong usage`

type recordFlags struct {
	db       string
	interval time.Duration
	span     time.Duration
	maxSize  sizeValue
	keep     spanValue
	maxCPU   float64
}

// defaultRecord is where the service keeps its record.
func defaultRecord() string {
	if runtime.GOOS == "windows" {
		return filepath.Join(os.Getenv("ProgramData"), "portroom", "record.db")
	}
	return "/var/lib/portroom/record.db"
}

func (a *app) recordCommand() *cobra.Command {
	f := recordFlags{maxSize: record.DefaultMaxSize, keep: spanValue(record.DefaultKeep)}
	c := &cobra.Command{
		Use:   "record",
		Short: "Record what happens, for history",
		Long:  recordLong,
		Example: `  portroom record
  portroom record --db /tmp/night.db --interval 1s --for 8h
  portroom record --max-size 1GiB --keep 30d`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case f.interval < 100*time.Millisecond || f.interval > time.Hour:
				return usagef("--interval %v: want 100ms to 1h", f.interval)
			case f.maxSize < record.LeastSize:
				return usagef("--max-size %s: want at least %s", &f.maxSize, sizeText(record.LeastSize))
			case f.keep < spanValue(record.LeastKeep):
				return usagef("--keep %s: want at least %s", &f.keep, spanText(record.LeastKeep))
			case f.maxCPU < 0.1 || f.maxCPU > 100:
				return usagef("--max-cpu %g: want 0.1 to 100 percent", f.maxCPU)
			case f.span < 0:
				return usagef("--for %v: want a time such as 8h", f.span)
			case a.json:
				return usagef("record prints nothing: portroom history --json prints what was recorded")
			}
			return a.record(cmd.Context(), f)
		},
	}
	c.Flags().StringVar(&f.db, "db", defaultRecord(), "record into this `file`")
	c.Flags().DurationVar(&f.interval, "interval", time.Second, "the `time` from sample to sample")
	c.Flags().DurationVar(&f.span, "for", 0, "end after this `time` instead of at Ctrl-C")
	c.Flags().Var(&f.maxSize, "max-size", "let the oldest go when the file with its log reaches this `size`")
	c.Flags().Var(&f.keep, "keep", "let go what is older than this `time`")
	c.Flags().Float64Var(&f.maxCPU, "max-cpu", 1, "take at most this `percent` of one processor")
	return c
}

// record runs the recorder until it is stopped.
func (a *app) record(ctx context.Context, f recordFlags) (err error) {
	if err := supported(); err != nil {
		return err
	}
	if f.span > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.span)
		defer cancel()
	}
	// It lives long: rather some more work for the collector than memory that others
	// miss.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(30)
	}
	if f.db == defaultRecord() {
		if err := os.MkdirAll(filepath.Dir(f.db), 0o750); err != nil {
			return err
		}
	}
	name, _ := os.Hostname() // "" says as much as an error would
	r, err := record.Create(f.db, record.Options{
		MaxSize: int64(f.maxSize), Keep: time.Duration(f.keep), Host: name, Kernel: kernelRelease(), Version: thisVersion().Version,
	})
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: the folder of --db must be there", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	m, err := a.newMeasurer(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.close()) }()

	loop := flight.Loop{
		Interval: f.interval, MaxCPU: f.maxCPU / 100, Measure: m.measure, CPU: processorTime,
		Log: func(text string) { fmt.Fprintln(a.stderr, "portroom:", text) },
	}
	ready := false
	loop.Append = func(s *record.Sample) error {
		if err := r.Append(s); err != nil {
			return err
		}
		if !ready {
			ready = true
			fmt.Fprintf(a.stderr, "portroom: recording into %s every %v\n", f.db, f.interval)
			return notify("READY=1")
		}
		return nil
	}
	if every := sdnotify.Watchdog(); every > 0 {
		loop.AliveEvery = every / 2
		loop.Alive = func() { _ = notify("WATCHDOG=1") } // if it is not heard we are restarted
	}
	err = loop.Run(ctx)
	_ = notify("STOPPING=1") // it is stopping anyway
	return err
}

func notify(state string) error { return sdnotify.Send(state) }

// kernelRelease is that of Linux; elsewhere the settings in the record tell the system.
func kernelRelease() string {
	if runtime.GOOS != "linux" {
		return systemName(runtime.GOOS)
	}
	r, err := host.KernelRelease("/")
	if err != nil {
		return ""
	}
	return "Linux " + r.Text
}
