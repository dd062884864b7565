package host

// TickRate returns how many ticks a second the kernel's timers have (CONFIG_HZ), 0
// where that is not known. It decides how late TIME_WAIT ends.
func TickRate() int { return tickRate() }
