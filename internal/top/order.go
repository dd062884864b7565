package top

import (
	"cmp"
	"math"
	"slices"

	"github.com/portroom/portroom/pool"
)

// order is by what the pools are sorted.
type order uint8

const (
	byTightness order = iota
	byLeft
	byIn
	byOut
	byFull
	byRefused
	byDestination
	bySource
	numOrders
)

var orderNames = [numOrders]string{"tightest", "left", "rate in", "rate out", "full soonest", "refused", "destination", "source"}

// sortRows sorts by an order, what is worst or most first; of equal rows the tightest.
func sortRows(rows []Row, o order, reverse bool) {
	slices.SortStableFunc(rows, func(a, b Row) int {
		c := 0
		switch o {
		case byLeft:
			c = cmp.Compare(a.Pool.HeadroomMax, b.Pool.HeadroomMax)
		case byIn:
			c = -cmp.Compare(a.In, b.In)
		case byOut:
			c = -cmp.Compare(a.Out, b.Out)
		case byFull:
			c = cmp.Compare(fullIn(&a), fullIn(&b))
		case byRefused:
			c = cmp.Or(-cmp.Compare(a.RefusedNow, b.RefusedNow), -cmp.Compare(a.Refused, b.Refused))
		case byDestination:
			c = cmp.Or(a.Pool.Key.Dst.Compare(b.Pool.Key.Dst), a.Pool.Key.Src.Compare(b.Pool.Key.Src))
		case bySource:
			c = cmp.Or(a.Pool.Key.Src.Compare(b.Pool.Key.Src), a.Pool.Key.Dst.Compare(b.Pool.Key.Dst))
		}
		c = cmp.Or(c, pool.Tighter(a.Pool, b.Pool), cmp.Compare(a.ID.Netns, b.ID.Netns))
		if reverse {
			c = -c
		}
		return c
	})
}

// fullIn is in how many seconds a pool will be full, infinite for never and unknown.
func fullIn(r *Row) float64 {
	if r.Forecast == nil || r.Forecast.Full.Never {
		return math.Inf(1)
	}
	return r.Forecast.Full.In.Seconds()
}
