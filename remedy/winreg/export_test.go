package winreg

// For laws about what the drivers keep in the journal.
var (
	StateOf = stateOf
	ValueOf = valueOf
)
