package survey

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/portroom/portroom/internal/netns"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
	"github.com/portroom/portroom/test/load"
	"github.com/portroom/portroom/test/need"
)

func TestANamespaceThatVanished(t *testing.T) {
	var made []*load.Netns
	var list []netns.Namespace
	for i := range 3 {
		n, ns := place(t)
		populate(t, n, i+1)
		made, list = append(made, n), append(list, ns)
	}
	if err := made[1].Close(); err != nil {
		t.Fatal(err)
	}
	t.Run("is passed over among others", func(t *testing.T) {
		got := make(map[string]int)
		var progress []string
		opt := Options{Namespaces: list, Progress: func(done, total int) { progress = append(progress, fmt.Sprintf("%d of %d", done, total)) }}
		err := Each(t.Context(), opt, func(v *View) error {
			got[v.Namespace.Label] = v.Room(key).Held
			// The function runs inside the namespace, too.
			if self, err := netns.Self(); err != nil || self.ID != v.Namespace.ID {
				t.Errorf("called in namespace %d, want %d: %v", self.ID, v.Namespace.ID, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]int{list[0].Label: 1, list[2].Label: 3}, got); diff != "" {
			t.Errorf("ports held by namespace (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"0 of 3", "1 of 3", "2 of 3"}, progress); diff != "" {
			t.Errorf("progress (-want +got):\n%s", diff)
		}
	})
	for name, gone := range map[string][]netns.Namespace{
		"is an error when alone":            {list[1]},
		"is an error when none is left":     {list[1], list[1]},
		"is one whose name is another's":    {{ID: list[1].ID, Path: list[0].Path}},
		"is one that its path says nothing": {{ID: list[0].ID, Path: "/run/netns/no-such-namespace"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := Each(t.Context(), Options{Namespaces: gone}, func(*View) error {
				t.Error("a view of what is not there")
				return nil
			})
			if !Vanished(err) {
				t.Fatalf("error %v, want one for which Vanished is true", err)
			}
			if len(gone) == 1 && !strings.Contains(err.Error(), gone[0].Path) {
				t.Errorf("the error does not name %s: %v", gone[0].Path, err)
			}
		})
	}
}

func TestVanishedIsNotAnyError(t *testing.T) {
	for err, want := range map[error]bool{
		nil: false, context.Canceled: false, os.ErrNotExist: false, netns.ErrGone: true, fmt.Errorf("x: %w", netns.ErrGone): true,
	} {
		if Vanished(err) != want {
			t.Errorf("Vanished(%v) = %v", err, !want)
		}
	}
}

func TestEachPassesTheErrorOn(t *testing.T) {
	_, a := place(t)
	_, b := place(t)
	failure := errors.New("failure")
	calls := 0
	err := Each(t.Context(), Options{Namespaces: []netns.Namespace{a, b}}, func(*View) error { calls++; return failure })
	if !errors.Is(err, failure) || calls != 1 {
		t.Errorf("error %v after %d calls, want the function's after 1", err, calls)
	}
}

func TestEachOfNone(t *testing.T) {
	need.Root(t)
	if err := Each(t.Context(), Options{}, func(*View) error { t.Error("called"); return nil }); err != nil {
		t.Error(err)
	}
}

func TestEachStops(t *testing.T) {
	n, a := place(t)
	_, b := place(t)
	populate(t, n, connections)
	for name, engine := range map[string]socket.Engine{"auto": socket.Auto, "iterator": socket.Iterator, "diag": socket.Diag, "plain": socket.Plain} {
		t.Run(name+", before it begins", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			err := Each(ctx, Options{Namespaces: []netns.Namespace{a, b}, Engine: engine}, func(v *View) error {
				t.Errorf("called for %s", v.Namespace.Label)
				return nil
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want %v", err, context.Canceled)
			}
		})
		t.Run(name+", between two namespaces", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			calls := 0
			err := Each(ctx, Options{Namespaces: []netns.Namespace{b, a}, Engine: engine}, func(*View) error {
				calls++
				cancel()
				return nil
			})
			if !errors.Is(err, context.Canceled) || calls != 1 {
				t.Errorf("error %v after %d calls, want %v after 1", err, calls, context.Canceled)
			}
		})
	}
}

func TestAnUnknownEngineIsAnError(t *testing.T) {
	need.Root(t)
	self, err := netns.Self()
	if err != nil {
		t.Fatal(err)
	}
	err = Each(t.Context(), Options{Namespaces: []netns.Namespace{self}, Engine: "steam"}, func(*View) error {
		t.Error("called")
		return nil
	})
	if err == nil {
		t.Error("no error")
	}
}

// Sockets that are bound and not connected are in no list before Linux 6.8; the
// kernel counts them.
func TestAllocatedCountsBoundSockets(t *testing.T) {
	const many = 50
	for range many {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := allocated(); err != nil || n < many {
		t.Errorf("allocated() = %d, %v, want at least the %d of our own", n, err, many)
	}
}

func TestUDPSocketsAreCounted(t *testing.T) {
	n, ns := place(t)
	err := n.Do(func() error {
		for range connections {
			c, err := net.Dial("udp4", "127.0.0.1:53")
			if err != nil {
				return err
			}
			keep(t, c)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, engine := range map[string]socket.Engine{"auto": socket.Auto, "iterator": socket.Iterator, "diag": socket.Diag, "plain": socket.Plain} {
		t.Run(name, func(t *testing.T) {
			one(t, Options{Namespaces: []netns.Namespace{ns}, Engine: engine}, func(v *View) {
				got := v.Room(pool.Key{Proto: socket.UDP, Src: key.Src})
				if got.Range != 100 || got.Held != connections || got.Headroom > 100-connections || got.HeadroomMax != 100-connections {
					t.Errorf("the pool is %+v", got)
				}
			})
		})
	}
}
