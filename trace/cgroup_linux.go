package trace

import (
	"slices"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/portroom/portroom/internal/netns"
	"github.com/portroom/portroom/trace/bpf"
)

// groups remembers the paths of control groups.
type groups struct {
	unified map[uint64]string
	process map[int]string // of those whose unified group is the root
}

// most is how many of each are remembered.
const most = 4096

func newGroups() groups {
	return groups{make(map[uint64]string), make(map[int]string)}
}

// of returns the path of a flow's control group. Where all processes are in the root
// of the unified hierarchy (cgroup v1), /proc/PID/cgroup tells of the others, while
// the process lives.
func (g *groups) of(paths *ebpf.Map, f *Flow) string {
	path, ok := g.unified[f.CgroupID]
	if !ok {
		var p bpf.TracePath
		if err := paths.Lookup(f.CgroupID, &p); err != nil {
			return ""
		}
		path = join(&p)
		if len(g.unified) >= most {
			clear(g.unified)
		}
		g.unified[f.CgroupID] = path
	}
	if path != "/" {
		return path
	}
	other, ok := g.process[f.PID]
	if !ok {
		if len(g.process) >= most {
			clear(g.process)
		}
		if other = netns.Cgroup(f.PID); other == "" {
			other = path // it has ended
		}
		g.process[f.PID] = other
	}
	return other
}

// join puts a path together, the root first. The root itself has an empty name;
// what is deeper than the program looks begins with "…".
func join(p *bpf.TracePath) string {
	var names []string
	for i := range p.Names {
		if n := text(p.Names[i][:]); n != "" {
			names = append(names, n)
		}
	}
	slices.Reverse(names)
	path := "/" + strings.Join(names, "/")
	if len(names) == len(p.Names) {
		return "…" + path
	}
	return path
}
