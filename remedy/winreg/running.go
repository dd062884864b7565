package winreg

import (
	"errors"
	"fmt"

	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/remedy"
)

// A Running is the driver of the Windows that it runs on: of its registry, and of
// what netsh and PowerShell set. Both are known to end well where they did
// nothing, so what counts is what is read back.
type Running struct {
	*Driver
	// Netsh runs netsh.exe, and PowerShell a script; each returns what was printed.
	Netsh      func(args ...string) ([]byte, error)
	PowerShell func(script string) ([]byte, error)
}

// Read implements [remedy.Driver].
func (d Running) Read(kind, object string) (remedy.State, error) {
	switch kind {
	case KindDynamic:
		p, ok := pools[object]
		if !ok {
			return remedy.State{}, fmt.Errorf("%q is no dynamic port range", object)
		}
		text, err := d.Netsh(nt.DynamicArgs(p.proto, p.family)...)
		if err != nil {
			return remedy.State{}, err
		}
		r, err := nt.ParseDynamic(text, p.proto, p.family)
		if err != nil {
			return remedy.State{}, fmt.Errorf("read the dynamic port range from netsh: %w", err)
		}
		return dynamicState(r)
	case KindAutoReuse:
		text, err := d.PowerShell(nt.AutoReuseScript)
		if err != nil {
			return remedy.State{}, err
		}
		list, err := nt.ParseTemplates(text)
		if err != nil {
			return remedy.State{}, err
		}
		return templatesState(list)
	}
	return d.Driver.Read(kind, object)
}

// Write implements [remedy.Driver].
func (d Running) Write(kind, object string, s remedy.State) error {
	switch kind {
	case KindDynamic:
		r, err := parseDynamicState(object, s)
		if err != nil {
			return err
		}
		_, err = d.Netsh(nt.SetDynamicArgs(r)...)
		return hint(err)
	case KindAutoReuse:
		list, err := parseTemplatesState(s)
		if err != nil {
			return err
		}
		script, err := nt.SetAutoReuseScript(list)
		if err != nil {
			return err
		}
		_, err = d.PowerShell(script)
		return hint(err)
	}
	return d.Driver.Write(kind, object, s)
}

// hint adds the usual cause: neither tool says it in a language that is known.
func hint(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w (does portroom run as administrator?)", err)
}

// Torn implements [remedy.Driver]: PowerShell sets one template after the other.
func (d Running) Torn(s remedy.Step, now remedy.State) bool {
	if s.Kind != KindAutoReuse {
		return d.Driver.Torn(s, now)
	}
	from, err1 := parseTemplatesState(s.From)
	to, err2 := parseTemplatesState(s.To)
	list, err3 := parseTemplatesState(now)
	if errors.Join(err1, err2, err3) != nil || len(from) != len(list) || len(to) != len(list) {
		return false
	}
	for i, t := range list {
		if t != from[i] && t != to[i] {
			return false
		}
	}
	return true
}

// Clean implements [remedy.Driver].
func (d Running) Clean(kind, object string) error {
	if kind == KindDynamic || kind == KindAutoReuse {
		return nil
	}
	return d.Driver.Clean(kind, object)
}
