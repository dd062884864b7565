package remote

import (
	"testing"
	"time"

	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/registry/registrytest"
	"github.com/portroom/portroom/test/samba"
)

var versions = []string{samba.NT1, samba.SMB2, samba.SMB3}

// options reach a server of the test.
func options(s *samba.Server) Options {
	return Options{User: samba.User, Password: samba.Password, Port: s.Port, MinProtocol: NT1, Timeout: 30 * time.Second}
}

// open1 opens a registry that is closed with the test.
func open1(t *testing.T, s *samba.Server, o Options) registry.Store {
	t.Helper()
	store, err := Open(t.Context(), s.Host, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func TestARegistryOverSMBBehavesAsEveryOther(t *testing.T) {
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel() // most of the time goes into starting net(8), call by call
			s := samba.Start(t, version)
			o := options(s)
			registrytest.Run(t, open1(t, s, o), registrytest.Options{
				Base:    `SYSTEM\portroom`,
				FewKeys: true,
				Reopen: func(t *testing.T, old registry.Store) registry.Store {
					if err := old.Close(); err != nil {
						t.Error(err)
					}
					return open1(t, s, o)
				},
			})
		})
	}
}
