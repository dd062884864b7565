// Package record keeps what was measured: the flight recorder. A record is one
// SQLite file that any SQLite tool can read; docs/record.md describes its tables and
// views.
//
// [Create] opens a record to write, [Recorder.Append] adds a sample; [Open] opens one
// to read, also while it is written. Package record measures nothing.
//
// # What is kept
//
// A [Sample] is one transaction, on the disk before Append returns: killed or without
// power at whatever moment, a record opens and is complete up to the last sample.
// Rows are written for what changed. Every few minutes a sample is whole, that is, it
// holds everything there is, so that what is older can be let go.
//
// Up to [ExactPools] pools each change of a pool is kept. With more of them a change
// that is smaller than a 256th of the capacity waits for a minute, unless the pool
// comes to its end or leaves it. Of each namespace the tightest [MostPools] pools are
// kept; how many others there were, and what they held, is kept as a sum.
//
// # Bounds
//
// A record grows no larger than [Options.MaxSize], its write-ahead log included, and
// no older than [Options.Keep]: the oldest samples are let go first.
package record

import (
	"errors"
	"fmt"
	"time"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
)

// ExactPools is up to how many pools, of all namespaces together, each change of a
// pool is kept.
const ExactPools = 256

// MostPools is how many pools of a namespace are kept apart.
const MostPools = 5000

// A Sample is what was measured at a moment.
type Sample struct {
	Time     time.Time
	Took     time.Duration // processor time that it took, 0 when not known
	Interval time.Duration // since the sample before, as it was meant

	Namespaces []Namespace // those that are there now
	Refusals   []Refusal   // since the sample before
	Events     []Event
}

// Namespace is the state of a network namespace, or of a host that has none.
type Namespace struct {
	ID      uint64     // inode number; 0 where there are none
	Label   string     // who lives there, "" for that of the recorder
	Range   port.Range // of TCP
	Blocked Blocked
	Status  string // ok, warning or critical
	Verdict string // the same in one sentence
	Limited string // why numbers are bounds only, "" when nothing is missing

	// Pools, tightest first. Their owners are kept only if Holders.
	Pools   []pool.Pool
	Holders bool // it was asked who holds the ports

	Settings []Setting

	// Judged says that Findings was filled in: there may be none.
	Judged   bool
	Findings []finding.Finding
}

// Blocked are the ports of the range that are out of reach for every destination.
type Blocked struct {
	Total int            `json:"total"`
	Kinds map[string]int `json:"kinds"`
	By    []Blocker      `json:"by"`
}

// Blocker is who blocks ports.
type Blocker struct {
	Kind    string `json:"kind"`
	PID     int    `json:"pid"`
	Command string `json:"command"`
	Cgroup  string `json:"cgroup"`
	Ports   int    `json:"ports"`
}

// Setting is one thing that a namespace is set to.
type Setting struct{ Name, Value string }

// Process is a process as it was when it was seen.
type Process struct {
	PID     int    // 0 when it could not be found out
	Command string // comm, at most 15 bytes
	Cgroup  string
}

// Refusal is a number of connects from one process that failed for want of a port.
type Refusal struct {
	Netns   uint64
	Label   string
	Key     pool.Key
	Process Process
	Errno   string // its name, such as EADDRNOTAVAIL
	Reason  string // no-port: none was free; port-taken: the one that had been bound was in use
	Count   int
}

// Event is something that happened to the recording itself.
type Event struct {
	Kind string // see the Event constants
	Text string // one sentence
}

// The kinds of event.
const (
	EventStart    = "start"
	EventStop     = "stop"
	EventClock    = "clock"    // the clock was set back
	EventFailed   = "failed"   // could not measure
	EventFull     = "full"     // could not write; told once it can
	EventInterval = "interval" // samples became rarer or more frequent
	EventLost     = "lost"     // refusals were counted, but not whose they were
	EventTrace    = "trace"    // whether refused connects are seen
)

// Options of a recorder. Zero means the default.
type Options struct {
	MaxSize int64         // bytes, write-ahead log included; by default 256 MiB
	Keep    time.Duration // how old a sample may become; by default 14 days

	// Of the run that begins, for people to read.
	Host, Kernel, Version string
}

// The defaults, and the least that a record needs.
const (
	DefaultMaxSize = 256 << 20
	DefaultKeep    = 14 * 24 * time.Hour
	LeastSize      = 8 << 20
	LeastKeep      = time.Minute
)

func (o *Options) fill() error {
	if o.MaxSize == 0 {
		o.MaxSize = DefaultMaxSize
	}
	if o.Keep == 0 {
		o.Keep = DefaultKeep
	}
	if o.MaxSize < LeastSize {
		return fmt.Errorf("a record of %d bytes is too small: want at least %d MiB", o.MaxSize, LeastSize>>20)
	}
	if o.Keep < LeastKeep {
		return fmt.Errorf("keeping samples for %v is too short: want at least %v", o.Keep, LeastKeep)
	}
	return nil
}

// A BusyError says that somebody else records into the file.
type BusyError struct {
	File string
	PID  int // 0 when not known
}

func (e *BusyError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("%s is being written by another recorder", e.File)
	}
	return fmt.Sprintf("%s is being written by another recorder, process %d", e.File, e.PID)
}

// ErrNoRoom is wrapped by what Append returns while the disk is full. The sample is
// lost, the record is whole, and the next one may succeed.
var ErrNoRoom = errors.New("there is no room on the disk")

// ErrNoRecord is wrapped when a file is not a record.
var ErrNoRecord = errors.New("not a record of portroom")
