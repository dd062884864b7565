package live

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"testing"

	"golang.org/x/sys/windows"

	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/registry/registrytest"
	"github.com/portroom/portroom/test/need"
)

// scratch returns a store and a key below which the test may do what it likes.
func scratch(t *testing.T, root Root) (registry.Store, string) {
	t.Helper()
	s, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	base := fmt.Sprintf(`Software\portroom-test-%d`, os.Getpid())
	err = s.Create(base)
	need.That(t, !errors.Is(err, fs.ErrPermission), "the right to write to "+root.String(), "run the tests as an administrator")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.DeleteKey(base); err != nil {
			t.Error(err)
		}
	})
	return s, base
}

func TestALiveRegistryBehavesAsARegistry(t *testing.T) {
	for _, root := range []Root{CurrentUser, LocalMachine} {
		t.Run(root.String(), func(t *testing.T) {
			s, base := scratch(t, root)
			registrytest.Run(t, s, registrytest.Options{
				Base: base,
				Reopen: func(t *testing.T, s registry.Store) registry.Store {
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					again, err := Open(root)
					if err != nil {
						t.Fatal(err)
					}
					return again
				},
			})
		})
	}
}

func TestATypeWithoutANameIsKept(t *testing.T) {
	s, base := scratch(t, CurrentUser)
	want := registry.Value{Name: "x", Type: 0x12345678, Data: []byte{1, 2, 3}}
	if err := s.Set(base, want); err != nil {
		t.Fatal(err)
	}
	got, err := s.Get(base, "x")
	if err != nil || got.Type != want.Type || string(got.Data) != string(want.Data) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestARootIsNotEmptied(t *testing.T) {
	s, err := Open(ClassesRoot)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", `\`} {
		if err := s.DeleteKey(path); err == nil {
			t.Fatalf("no error for %q", path)
		}
	}
	if _, err := Open(Root(99)); err == nil {
		t.Error("no error for an unknown root")
	}
}

// protect sets the access list of a key.
func protect(t *testing.T, key, sddl string) {
	t.Helper()
	sd, err := windows.SecurityDescriptorFromString(sddl)
	if err != nil {
		t.Fatal(err)
	}
	dacl, _, err := sd.DACL()
	if err != nil {
		t.Fatal(err)
	}
	err = windows.SetNamedSecurityInfo(key, windows.SE_REGISTRY_KEY,
		windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, dacl, nil)
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatTheAccessListForbidsIsAnErrPermission(t *testing.T) {
	s, base := scratch(t, CurrentUser)
	key := registry.Join(base, "protected")
	if err := s.Create(key); err != nil {
		t.Fatal(err)
	}
	if err := s.Set(key, registry.NewDWORD("x", 1)); err != nil {
		t.Fatal(err)
	}
	name := `CURRENT_USER\` + key
	t.Cleanup(func() { protect(t, name, "D:(A;;KA;;;WD)") })

	protect(t, name, "D:(A;;KR;;;WD)(A;;WD;;;WD)") // everybody may read, and change the list
	if v, err := s.Get(key, "x"); err != nil {
		t.Errorf("a value that may be read: %+v, %v", v, err)
	}
	if err := s.Create(key); err != nil {
		t.Errorf("a key that is there already: %v", err)
	}
	// Wine 8 asks no access list when a key is made or deleted.
	for what, err := range map[string]error{
		"set":    s.Set(key, registry.NewDWORD("x", 2)),
		"delete": s.Delete(key, "x"),
	} {
		if !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: %v, want fs.ErrPermission", what, err)
		} else {
			t.Logf("%s: %v", what, err)
		}
	}

	protect(t, name, "D:(A;;WD;;;WD)") // nobody may read
	_, err := s.Get(key, "x")
	_, verr := s.Values(key)
	_, kerr := s.Keys(key)
	for what, err := range map[string]error{"get": err, "values": verr, "keys": kerr} {
		if !errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, want fs.ErrPermission", what, err)
		}
	}
}
