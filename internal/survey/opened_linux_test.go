package survey_test

import (
	"context"
	"net/netip"
	"testing"

	"github.com/portroom/portroom/internal/netns"
	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/test/load"
	"github.com/portroom/portroom/test/need"
)

func TestATimeWaitIsOwnedByWhoOpenedIt(t *testing.T) {
	need.Root(t)
	ns, err := load.NewNetns(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if err := ns.TimeWaits(context.Background(), 20, 1); err != nil {
		t.Fatal(err)
	}
	found, err := netns.Find(ns.Name)
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	opened := func(id uint64, src, dst netip.AddrPort) (pool.Owner, bool) {
		asked++
		if id != found.ID || !src.Addr().IsLoopback() || dst.Port() != load.FirstDest {
			t.Errorf("asked for %d %s to %s", id, src, dst)
		}
		return pool.Owner{PID: 1 << 22, Command: "gone", Cgroup: "/gone"}, src.Port()%2 == 0
	}
	for _, owners := range []bool{true, false} {
		asked = 0
		opt := survey.Options{Namespaces: []netns.Namespace{found}, Owners: owners, Opened: opened}
		err = survey.Each(context.Background(), opt, func(v *survey.View) error {
			for _, p := range v.Pools() {
				if !owners {
					if asked != 0 || len(p.Owners) != 0 {
						t.Errorf("owners were not asked for, but there are %v", p.Owners)
					}
					continue
				}
				if len(p.Owners) != 1 || p.Owners[0].Cgroup != "/gone" || p.Owners[0].Command != "gone" || p.Owners[0].Ports < 5 {
					t.Errorf("the owners of %s are %+v", p.Key.Dst, p.Owners)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if owners && asked != 20 {
			t.Errorf("asked for %d TIME_WAIT of 20", asked)
		}
	}
}
