package remedy

// A Proposal is a plan, and what a person should know before saying yes to it.
type Proposal struct {
	Plan Plan
	// System is what the target runs: Linux, Windows, FreeBSD or macOS; Release is
	// that of a Windows, such as 5.2, "" when it is not known.
	System, Release string
	Gains           []Gain   // of the tightest pools, the tightest first
	Notes           []string // sentences
	Risks           []Risk   // each must be accepted by its name
	// Backups are put beside the journal before anything is changed, for people and
	// other tools.
	Backups []Backup
	Emitted []string // files that the plan was written as, instead of being carried out
}

// A Backup is one file of a backup.
type Backup struct {
	Name string // such as backup.reg
	Data []byte
	Path string // where [Journal.Save] has put it
}

// A Risk is harm that the plan may do at once: to a running service, or to the
// connection over which it is carried out.
type Risk struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Room is what a pool gives. Integers are counts of ports.
type Room struct {
	Capacity    int     `json:"capacity"`
	Headroom    int     `json:"headroom"` // connects that would succeed from now on; a lower bound unless Exact
	HeadroomMax int     `json:"headroom_max"`
	Exact       bool    `json:"exact"`
	Ceiling     float64 `json:"ceiling_per_second"` // connects a second; 0 where nothing is held after close
}

// A Gain is what a plan brings to one pool.
type Gain struct {
	Pool   string `json:"pool"` // for people: source → destination
	Before Room   `json:"before"`
	After  Room   `json:"after"`
}
