package cli

import (
	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/internal/facts"
	"github.com/portroom/portroom/internal/netns"
)

// factsOptions are what is known of this host beside the namespace that is judged.
func factsOptions(f checkFlags) facts.Options {
	return facts.Options{
		Root: "/", Warn: f.warn, Crit: f.crit, First: firstSettings(), Units: facts.Units("/"),
	}
}

// firstSettings returns the settings that those of another namespace are compared
// with: of the namespace of process 1, or where that may not be looked at of the
// caller's own. Nil when they cannot be read.
func firstSettings() (s *host.Settings) {
	ns, err := netns.Find("1")
	if err != nil {
		if ns, err = netns.Self(); err != nil {
			return nil
		}
	}
	_ = ns.Do(func() (err error) {
		s, err = host.Read("/")
		return err
	})
	return s
}
