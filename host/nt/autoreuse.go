package nt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// AutoReuseScript makes PowerShell print what [ParseAutoReuse] reads. The range is
// a property of MSFT_NetTCPSetting, which WMI serves; netsh does not show it, and
// where the registry has it is not documented.
const AutoReuseScript = "$ProgressPreference='SilentlyContinue'; $ErrorActionPreference='Stop'; " +
	"ConvertTo-Json -Compress -InputObject @(Get-NetTCPSetting | Select-Object SettingName,AutoReusePortRangeStartPort,AutoReusePortRangeNumberOfPorts)"

// errNoSetting says that the answer holds no range, on or off.
var errNoSetting = errors.New("Get-NetTCPSetting does not tell AutoReusePortRange: this system has none, or hides it")

// A Template is a named set of TCP settings, and its AutoReusePortRange.
type Template struct {
	Name string
	AutoReuse
}

// Custom reports whether the template is one of those that may be changed.
func (t Template) Custom() bool { return strings.HasSuffix(t.Name, "Custom") }

// ParseAutoReuse reads the TCP templates as JSON. The range may be set in those
// named Custom only; the others show 0. Two templates with two different ranges
// are an error, for which of them serves a connection is not known.
func ParseAutoReuse(text []byte) (*AutoReuse, error) {
	templates, err := ParseTemplates(text)
	if err != nil {
		return nil, err
	}
	var found *AutoReuse
	for _, t := range templates {
		switch a := t.AutoReuse; {
		case found == nil || !found.On():
			found = &a
		case a.On() && a != *found:
			return nil, fmt.Errorf("AutoReusePortRange is %d ports from %d in one template and %d from %d in another: which governs is not known",
				found.Count, found.First, a.Count, a.First)
		}
	}
	return found, nil
}

// ParseTemplates reads the TCP templates as JSON, those that have the range. None
// is an error.
func ParseTemplates(text []byte) ([]Template, error) {
	if len(text) > mostNetsh {
		return nil, fmt.Errorf("the answer is longer than %d bytes", mostNetsh)
	}
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\ufeff")))
	if len(text) == 0 {
		return nil, errors.New("PowerShell said nothing")
	}
	var templates []struct {
		SettingName string
		First       *int `json:"AutoReusePortRangeStartPort"`
		Count       *int `json:"AutoReusePortRangeNumberOfPorts"`
	}
	if err := json.Unmarshal(text, &templates); err != nil {
		return nil, fmt.Errorf("read the answer of Get-NetTCPSetting: %w", err)
	}
	var out []Template
	for _, t := range templates {
		if t.First == nil || t.Count == nil {
			continue // the template Automatic has no values
		}
		a := AutoReuse{Count: *t.Count}
		if a.On() {
			if *t.First < 1 || *t.First > 65535 {
				return nil, fmt.Errorf("AutoReusePortRange of template %q begins at %d: want 1 to 65535", shorten(t.SettingName), *t.First)
			}
			a.First = uint16(*t.First)
			if _, err := a.Range(); err != nil {
				return nil, fmt.Errorf("AutoReusePortRange of template %q: %w", shorten(t.SettingName), err)
			}
		}
		out = append(out, Template{t.SettingName, a})
	}
	if len(out) == 0 {
		return nil, errNoSetting
	}
	return out, nil
}

// SetAutoReuseScript makes PowerShell set the range of templates. Their names must
// be those that [ParseTemplates] returned: letters only.
func SetAutoReuseScript(templates []Template) (string, error) {
	script := "$ProgressPreference='SilentlyContinue'; $ErrorActionPreference='Stop'"
	for _, t := range templates {
		if t.Name == "" || strings.ContainsFunc(t.Name, func(r rune) bool { return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') }) {
			return "", fmt.Errorf("%q is no name of a TCP template", shorten(t.Name))
		}
		script += fmt.Sprintf("; Set-NetTCPSetting -SettingName %s -AutoReusePortRangeStartPort %d -AutoReusePortRangeNumberOfPorts %d", t.Name, t.First, t.Count)
	}
	return script, nil
}
