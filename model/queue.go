package model

import "math"

// An event is due at a time, for one port of one pool. mark tells a stale event.
type event struct {
	at   int64 // nanoseconds
	pool int32
	slot int32
	mark uint32
}

// A ring holds events that come in order of time: what is due a fixed time after
// something else.
type ring struct {
	buf  []event // its length is a power of two
	head int
	n    int
}

func (r *ring) push(e event) {
	if r.n == len(r.buf) {
		grown := make([]event, max(1024, 2*len(r.buf)))
		for i := range r.n {
			grown[i] = r.buf[(r.head+i)&(len(r.buf)-1)]
		}
		r.buf, r.head = grown, 0
	}
	r.buf[(r.head+r.n)&(len(r.buf)-1)] = e
	r.n++
}

func (r *ring) pop() event {
	e := r.buf[r.head]
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.n--
	return e
}

// first is when the first event is due; far, when there is none.
func (r *ring) first() int64 {
	if r.n == 0 {
		return far
	}
	return r.buf[r.head].at
}

// far is later than every event.
const far int64 = math.MaxInt64

// A heap holds events in any order: lifetimes that differ. Four children to a node
// keep a node's children in one or two cache lines.
type heap struct{ buf []event }

func (h *heap) first() int64 {
	if len(h.buf) == 0 {
		return far
	}
	return h.buf[0].at
}

func (h *heap) push(e event) {
	h.buf = append(h.buf, e)
	i := len(h.buf) - 1
	for i > 0 {
		up := (i - 1) / 4
		if h.buf[up].at <= e.at {
			break
		}
		h.buf[i] = h.buf[up]
		i = up
	}
	h.buf[i] = e
}

func (h *heap) pop() event {
	top := h.buf[0]
	last := len(h.buf) - 1
	e := h.buf[last]
	h.buf = h.buf[:last]
	if last == 0 {
		return top
	}
	i := 0
	for {
		child := 4*i + 1
		if child >= last {
			break
		}
		least := child
		for c := child + 1; c < min(child+4, last); c++ {
			if h.buf[c].at < h.buf[least].at {
				least = c
			}
		}
		if h.buf[least].at >= e.at {
			break
		}
		h.buf[i] = h.buf[least]
		i = least
	}
	h.buf[i] = e
	return top
}
