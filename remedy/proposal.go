package remedy

// A Proposal is a plan, and what a person should know before saying yes to it.
type Proposal struct {
	Plan  Plan
	Gains []Gain   // of the tightest pools, the tightest first
	Notes []string // sentences
	Risks []Risk   // each must be accepted by its name
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
