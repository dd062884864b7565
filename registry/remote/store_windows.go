package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
	winreg "golang.org/x/sys/windows/registry"

	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/registry/internal/rawvalue"
)

// open connects through RegConnectRegistryW, as the user who runs the program.
func open(ctx context.Context, host string, o Options) (registry.Store, error) {
	own := o
	own.Timeout = 0
	if own != (Options{}) {
		return nil, fmt.Errorf("registry of %s: on Windows the system connects as the user who runs portroom: "+
			"leave user, password and SMB version away, and start it through runas /netonly to be another user", host)
	}
	s := &store{ctx: ctx, host: host, timeout: o.Timeout}
	err := s.call("open", "", func() (err error) {
		s.root, err = winreg.OpenRemoteKey(host, winreg.LOCAL_MACHINE)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

type store struct {
	ctx     context.Context
	host    string
	timeout time.Duration
	root    winreg.Key
	left    bool // a call was left running, and may still use root
}

// call runs f, which may block in the system for as long as that likes, and
// leaves it behind when the time is over: a call of the registry cannot be ended.
func (s *store) call(op, path string, f func() error) error {
	if s.left {
		return &Error{Op: op, Key: path, Host: s.host, Err: ErrGone, Hint: hintGone}
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.timeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return s.failed(op, path, err)
	case <-ctx.Done():
		s.left = true
		return cutShort(s.ctx, Error{Op: op, Key: path, Host: s.host}, s.timeout)
	}
}

// codes are the system's error codes that have a meaning of their own (winerror.h).
var codes = map[syscall.Errno]struct {
	err  error
	hint string
}{
	windows.ERROR_ACCESS_DENIED:      {fs.ErrPermission, hintAccess},
	windows.ERROR_LOGON_FAILURE:      {ErrLogon, "start portroom through runas /netonly as a user whom the host knows"},
	windows.ERROR_BAD_NETPATH:        {ErrUnreachable, hintUnreachable + ", or " + hintService},
	windows.RPC_S_SERVER_UNAVAILABLE: {ErrUnreachable, hintUnreachable + ", or " + hintService},
	windows.ERROR_NETNAME_DELETED:    {ErrGone, hintGone},
	windows.ERROR_UNEXP_NET_ERR:      {ErrGone, hintGone},
	windows.RPC_S_CALL_FAILED:        {ErrGone, hintGone},
	windows.RPC_S_CALL_FAILED_DNE:    {ErrGone, hintGone},
	windows.ERROR_SEM_TIMEOUT:        {timeoutError(0), hintTimeout},
}

func (s *store) failed(op, path string, err error) error {
	var absent *registry.AbsentError
	var code syscall.Errno
	switch {
	case err == nil, errors.As(err, &absent):
		return err
	case errors.Is(err, windows.ERROR_FILE_NOT_FOUND), errors.Is(err, windows.ERROR_KEY_DELETED):
		return registry.NoKey(path)
	case errors.As(err, &code):
		if c, ok := codes[code]; ok {
			return &Error{Op: op, Key: path, Host: s.host, Status: fmt.Sprintf("error %d", uint32(code)), Hint: c.hint, Err: c.err}
		}
	}
	return &Error{Op: op, Key: path, Host: s.host, Err: err}
}

// in opens a key and runs f on it.
func (s *store) in(op, path string, access uint32, f func(k winreg.Key) error) error {
	return s.call(op, path, func() error {
		k, err := winreg.OpenKey(s.root, clean(path), access)
		if err != nil {
			return err
		}
		defer k.Close()
		return f(k)
	})
}

func (s *store) Keys(path string) (names []string, err error) {
	err = s.in("read", path, winreg.READ, func(k winreg.Key) (err error) {
		names, err = k.ReadSubKeyNames(-1)
		return err
	})
	if err != nil {
		return nil, err // names belongs to the call, which may still run
	}
	return names, nil
}

func (s *store) Values(path string) (list []registry.Value, err error) {
	err = s.in("read", path, winreg.READ, func(k winreg.Key) error {
		names, err := k.ReadValueNames(-1)
		if err != nil {
			return err
		}
		for _, name := range names {
			v, err := rawvalue.Get(k, name)
			if errors.Is(err, windows.ERROR_FILE_NOT_FOUND) {
				continue // deleted meanwhile
			}
			if err != nil {
				return err
			}
			list = append(list, v)
		}
		return nil
	})
	if err != nil {
		return nil, err // as in Keys
	}
	return list, nil
}

func (s *store) Get(path, name string) (v registry.Value, err error) {
	err = s.in("read", path, winreg.READ, func(k winreg.Key) (err error) {
		v, err = rawvalue.Get(k, name)
		return absentValue(err, path, name)
	})
	if err != nil {
		return registry.Value{}, err
	}
	return v, nil
}

func absentValue(err error, path, name string) error {
	if errors.Is(err, windows.ERROR_FILE_NOT_FOUND) {
		return registry.NoValue(path, name)
	}
	return err
}

func (s *store) Create(path string) error {
	return s.call("create", path, func() error {
		k, _, err := winreg.CreateKey(s.root, clean(path), winreg.READ)
		if err != nil {
			return err
		}
		return k.Close()
	})
}

func (s *store) Set(path string, v registry.Value) error {
	name, err := windows.UTF16PtrFromString(v.Name)
	if err != nil {
		return fmt.Errorf("registry name %q: it holds a zero", v.Name)
	}
	var got registry.Value
	err = s.in("write to", path, winreg.SET_VALUE|winreg.QUERY_VALUE, func(k winreg.Key) error {
		err := rawvalue.Set(k, name, v)
		if err == nil {
			got, err = rawvalue.Get(k, v.Name)
		}
		return err
	})
	if err == nil && (got.Type != v.Type || !bytes.Equal(got.Data, v.Data)) {
		return &Error{Op: "write to", Key: path, Host: s.host, Err: ErrUnchanged}
	}
	return err
}

func (s *store) Delete(path, name string) error {
	return s.in("delete a value of", path, winreg.SET_VALUE, func(k winreg.Key) error {
		return absentValue(k.DeleteValue(name), path, name)
	})
}

func (s *store) DeleteKey(path string) error {
	if clean(path) == "" {
		return fmt.Errorf("delete HKLM of %s: the root stays", s.host)
	}
	names, err := s.Keys(path)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := s.DeleteKey(registry.Join(path, name)); err != nil {
			return err
		}
	}
	return s.call("delete", path, func() error { return winreg.DeleteKey(s.root, clean(path)) })
}

// Flush has nothing to do: the host was written to at once.
func (s *store) Flush() error { return nil }

func (s *store) Close() error {
	if s.left {
		return nil // the handle goes with the process
	}
	return s.root.Close()
}
