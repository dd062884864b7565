// Package top is the live screen: what it shows, how it answers to keys, mouse and
// size, and how it is drawn. It measures nothing: whoever runs it sends it a
// [Snapshot] after each measurement and is told by a [Request] what to measure.
//
// [Model] is a model of Bubble Tea: Update and View do no I/O.
package top

import (
	"time"

	"github.com/portroom/portroom/forecast"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
)

// Level is how bad a pool is.
type Level uint8

// The levels, as check has them.
const (
	OK Level = iota
	Warning
	Critical
)

// ID names a pool of a network namespace.
type ID struct {
	Netns uint64
	Key   pool.Key
}

// Row is one pool.
type Row struct {
	ID    ID
	Label string // who lives in the namespace
	Pool  pool.Pool
	Level Level
	Left  string // connects that are left: "81", or a bound as "≥ 81"

	Rated    bool    // In and Out are known
	In, Out  float64 // ports taken and given back a second
	Forecast *forecast.Forecast

	Refused    uint64  // connects refused since the start
	RefusedNow float64 // a second
}

// Refusals are those of all pools that are measured.
type Refusals struct {
	Unseen string // why none can be seen; "" when they can
	Since  time.Time
	Total  uint64  // since then
	Now    float64 // a second
	Last   string  // whose was the last and to whom, "" for none
	LastAt time.Time
	Lost   uint64 // refusals of which is not known whose they were
}

// Namespace is one that may be chosen.
type Namespace struct {
	ID    uint64
	Label string
}

// Detail is what is measured of one pool only while it is looked at.
type Detail struct {
	ID        ID
	Range     port.Range
	Map       *pool.Map // what each port of the range is used for in this pool
	Traced    bool      // the following are known
	Since     time.Time
	Processes []Process  // those that connected, the most refused first
	Ends      []Count    // which side closed, and what else became of connections
	Lifetimes []Lifetime // the classes that occurred and those between, shortest first
}

// Process is what one process did in a pool.
type Process struct {
	PID               int
	Command           string
	Where             string // container, pod or unit
	Connects, Refused uint64
}

// Count is a number with its name.
type Count struct {
	Name string
	N    uint64
}

// Lifetime is how many connections lived less than Below and not less than the class
// before. Below is 0 for the last class, which has no upper end.
type Lifetime struct {
	Below time.Duration
	N     uint64
}

// Scope is which network namespaces are measured.
type Scope struct {
	All bool
	ID  uint64 // of the one, unless All; 0 on a system that has none
}

// Request is what is to be measured.
type Request struct {
	Scope  Scope
	Detail *ID // the pool that is looked at, nil for none
}

// Snapshot is one measurement.
type Snapshot struct {
	At      time.Time
	Every   time.Duration // until the next
	Share   float64       // of one processor, taken by this program since the last; 0 for the first
	Sockets int           // with a port of the range
	Scope   Scope
	Where   string // what Scope is called: "network namespace web1"
	Rows    []Row  // tightest first
	Limited string // why some numbers are bounds, "" when none is

	Namespaces []Namespace // that could be measured; empty on a system that has none
	Refusals   Refusals
	Detail     *Detail // nil unless asked for
	Err        error   // why there are no rows this time
}
