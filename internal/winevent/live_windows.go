package winevent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

var (
	wevtapi       = windows.NewLazySystemDLL("wevtapi.dll")
	procEvtQuery  = wevtapi.NewProc("EvtQuery")
	procEvtNext   = wevtapi.NewProc("EvtNext")
	procEvtRender = wevtapi.NewProc("EvtRender")
	procEvtClose  = wevtapi.NewProc("EvtClose")
)

// Of winevt.h.
const (
	evtQueryChannelPath      = 0x1
	evtQueryReverseDirection = 0x200 // the newest first
	evtRenderEventXML        = 1
)

const (
	mostLive  = 1000 // events that are read
	batch     = 16
	waitEvent = 5000 // ms for one batch
)

// Live sums up the events of the System log that are no older than age, the
// newest [mostLive] of them. The error wraps [ErrUnreadable].
func Live(ctx context.Context, age time.Duration) (*Log, error) {
	if err := wevtapi.Load(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	h, err := query(age)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	defer evtClose(h)
	l := &Log{}
	buf := make([]uint16, 4<<10)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var events [batch]uintptr
		var n uint32
		ok, _, err := procEvtNext.Call(h, batch, uintptr(unsafe.Pointer(&events[0])), waitEvent, 0, uintptr(unsafe.Pointer(&n)))
		if ok == 0 {
			if errors.Is(err, windows.ERROR_NO_MORE_ITEMS) {
				return l, nil
			}
			return nil, fmt.Errorf("%w: EvtNext: %w", ErrUnreadable, whole(err))
		}
		// A number from outside: never more than the array holds.
		got := events[:min(n, batch)]
		err = nil
		for _, e := range got {
			if err == nil && l.Total < mostLive {
				err = l.take(e, &buf)
			}
			evtClose(e)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
		}
		if l.Total >= mostLive || len(got) == 0 {
			l.Cut = l.Total >= mostLive
			return l, nil
		}
	}
}

// query opens the events of the System log that concern ports.
func query(age time.Duration) (uintptr, error) {
	var ids []string
	for _, k := range Kinds {
		ids = append(ids, fmt.Sprintf("EventID=%d", k.ID))
	}
	text := fmt.Sprintf("*[System[Provider[@Name='%s'] and (%s) and TimeCreated[timediff(@SystemTime) <= %d]]]",
		provider, strings.Join(ids, " or "), age.Milliseconds())
	path, err := windows.UTF16PtrFromString("System")
	if err != nil {
		return 0, err
	}
	q, err := windows.UTF16PtrFromString(text)
	if err != nil {
		return 0, err
	}
	h, _, err := procEvtQuery.Call(0, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(q)), evtQueryChannelPath|evtQueryReverseDirection)
	if h == 0 {
		return 0, fmt.Errorf("EvtQuery: %w", whole(err))
	}
	return h, nil
}

// errNothing stands for an error number of 0 after a failure, as Wine gives it.
var errNothing = errors.New("this system gives no reason; it may have no event log")

func whole(err error) error {
	if errors.Is(err, windows.ERROR_SUCCESS) {
		return errNothing
	}
	return err
}

// take renders one event and counts it. The buffer grows as needed.
func (l *Log) take(event uintptr, buf *[]uint16) error {
	for {
		var used, properties uint32 // used is in bytes
		ok, _, err := procEvtRender.Call(0, event, evtRenderEventXML, uintptr(len(*buf)*2),
			uintptr(unsafe.Pointer(&(*buf)[0])), uintptr(unsafe.Pointer(&used)), uintptr(unsafe.Pointer(&properties)))
		if ok != 0 {
			text := windows.UTF16ToString((*buf)[:min(int(used/2), len(*buf))])
			n, err := Each(strings.NewReader(text), func(e *Event) error {
				l.add(e)
				return nil
			})
			l.Total += n
			return err
		}
		if !errors.Is(err, windows.ERROR_INSUFFICIENT_BUFFER) || int(used) <= len(*buf)*2 || used > 2*mostEvent {
			return fmt.Errorf("EvtRender: %w", whole(err))
		}
		*buf = make([]uint16, used/2+1)
	}
}

func evtClose(h uintptr) { _, _, _ = procEvtClose.Call(h) }
