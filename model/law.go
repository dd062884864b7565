package model

import "math"

// Never is the time of a failure that does not come.
var Never = math.Inf(1)

// The closed forms. N is the capacity in ports, r a rate in connects a second, H the
// seconds for which a connect holds its port: its life, and TIME_WAIT if this side
// closes. All are Little's law, occupancy = r·H, followed through the first H
// seconds; a result in seconds is [Never] where the pool holds.

// Ceiling is the highest rate that n ports sustain.
func Ceiling(n, hold float64) float64 {
	if hold == 0 {
		return math.Inf(1)
	}
	return n / hold
}

// ConstantCold is a rate that starts on an empty pool.
func ConstantCold(n, r, hold float64) float64 {
	if r*hold <= n {
		return Never
	}
	return n / r
}

// ConstantWarm is a step from r0, which has lasted for at least hold, to r.
func ConstantWarm(n, r0, r, hold float64) float64 {
	switch {
	case r0*hold >= n:
		return 0
	case r*hold <= n:
		return Never
	}
	return (n - r0*hold) / (r - r0)
}

// LinearCold is a rate r0 + g·t that starts on an empty pool.
func LinearCold(n, r0, g, hold float64) float64 {
	if g <= 0 {
		return ConstantCold(n, r0, hold)
	}
	// The same root as (−r0 + √(r0² + 2gN))/g, without the cancellation.
	if t := 2 * n / (r0 + math.Sqrt(r0*r0+2*g*n)); t <= hold {
		return t
	}
	return linearLate(n, r0, g, hold)
}

// LinearWarm is a rate that was r0 and grows by g a second from now on.
func LinearWarm(n, r0, g, hold float64) float64 {
	switch {
	case r0*hold >= n:
		return 0
	case g <= 0:
		return Never
	}
	if t := math.Sqrt(2 * (n - r0*hold) / g); t <= hold {
		return t
	}
	return linearLate(n, r0, g, hold)
}

// linearLate is a growing rate once the first connects have been let go.
func linearLate(n, r0, g, hold float64) float64 {
	if hold == 0 {
		return Never
	}
	return (n/hold-r0)/g + hold/2
}

// ExponentialWarm is a rate r0·e^(kt) that has always grown so.
func ExponentialWarm(n, r0, k, hold float64) float64 {
	held := -math.Expm1(-k*hold) * r0 / k // now
	switch {
	case held == 0:
		return Never
	case held >= n:
		return 0
	}
	return math.Log(n/held) / k
}

// Leak is l sockets a second that are never closed, on top of held ones.
func Leak(n, held, l float64) float64 {
	switch {
	case held >= n:
		return 0
	case l <= 0:
		return Never
	}
	return (n - held) / l
}

// ErlangB is the share of connects refused when they come at random and offer an
// occupancy of so many ports to n. It holds for every distribution of hold times.
func ErlangB(n int, offered float64) float64 {
	if offered <= 0 {
		return 0
	}
	inverse := 1.0
	for i := 1; i <= n; i++ {
		inverse = 1 + inverse*float64(i)/offered
		if math.IsInf(inverse, 1) {
			return 0
		}
	}
	return 1 / inverse
}

// SafeRate leaves three standard deviations of a random occupancy free.
func SafeRate(n, hold float64) float64 {
	return Ceiling(max(0, n-3*math.Sqrt(n)), hold)
}

// NATRefused is the share of new connections that nf_nat drops when a share u of
// its ports is taken, if its 248 probes were independent. Runs of taken ports make
// it worse.
func NATRefused(u float64) float64 { return math.Pow(u, 248) }
