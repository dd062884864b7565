package cli

import (
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/internal/survey"
	"github.com/portroom/portroom/internal/target"
	"github.com/portroom/portroom/internal/winhost"
)

const settingsLong = `Print what decides about source ports on a target, with the source of each value
and its default, and what follows from them.

--root reads the files of another system from DIR/proc/sys, such as an unpacked
support archive.

--target reads a Windows system, none of which need be running: hive:FILE a SYSTEM
hive (and the SOFTWARE hive beside it, for the name of the product), system:DIR a
mounted volume or Windows folder, reg:FILE an export of HKEY_LOCAL_MACHINE\SYSTEM,
remote:HOST the registry of another host. Nothing is changed there.

EXIT STATUS
  0   printed
  3   could not be read, or netsh of a running Windows did not tell what governs it
  64  wrong usage`

func (a *app) settingsCommand() *cobra.Command {
	var root string
	var where targetFlags
	c := &cobra.Command{
		Use:   "settings",
		Short: "Print what the host is set to",
		Long:  settingsLong,
		Example: `  portroom settings
  portroom settings --netns web1 --json
  portroom settings --root ./sosreport-web1
  portroom settings --target system:/mnt/windows`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := where.parse(a)
			if err != nil {
				return err
			}
			if t.Kind != target.Local {
				if root != "" {
					return usagef("--root reads files of a Linux system; it does not go with --target")
				}
				s, err := where.read(cmd.Context(), t)
				if err != nil {
					return err
				}
				return a.printNTSettings(t, s)
			}
			if root != "" {
				if a.allNamespaces || a.netns != "" {
					return usagef("--root reads files; it does not go with --netns or --all-namespaces")
				}
				s, err := host.Read(root)
				if err != nil {
					return err
				}
				return a.printSettings([]namedSettings{{settings: s}})
			}
			if err := supported(); err != nil {
				return err
			}
			if runtime.GOOS == "windows" {
				s, err := winhost.Settings(cmd.Context())
				if err != nil {
					return err
				}
				if err := a.printNTSettings(t, s); err != nil {
					return err
				}
				return s.Untold()
			}
			list, err := a.namespaces()
			if err != nil {
				return err
			}
			var all []namedSettings
			for _, ns := range list {
				err := ns.Do(func() error {
					s, err := host.Read("/")
					all = append(all, namedSettings{ns.ID, ns.Label, s})
					return err
				})
				if survey.Vanished(err) && len(list) > 1 {
					continue
				}
				if err != nil {
					return err
				}
			}
			return a.printSettings(all)
		},
	}
	where.add(c)
	c.Flags().StringVar(&root, "root", "", "read DIR/proc/sys instead of this host's: `dir`")
	return c
}

type namedSettings struct {
	id       uint64
	label    string
	settings *host.Settings
}

type settingsJSON struct {
	System    systemJSON    `json:"system"`
	Netns     uint64        `json:"netns,omitempty"`
	Label     string        `json:"label,omitempty"`
	Ephemeral rangeJSON     `json:"ephemeral"`
	Reserved  int           `json:"reserved_in_range"`
	Ceiling   float64       `json:"ceiling_per_second"`
	Settings  []settingJSON `json:"settings"`
}

type systemJSON struct {
	Product string `json:"product"`
	Release string `json:"release"`
}

type settingJSON struct {
	Name    string  `json:"name"`
	Value   *string `json:"value"` // null when this kernel has no such setting
	Default string  `json:"default"`
	Unit    string  `json:"unit"`
	Valid   string  `json:"valid"`
	Meaning string  `json:"meaning"`
	Since   string  `json:"since"`
	Source  string  `json:"source"`
}

func jsonSettings(n namedSettings) settingsJSON {
	s := n.settings
	free := s.Range.Len() - s.Reserved.LenIn(s.Range)
	j := settingsJSON{
		System: systemJSON{"Linux", s.Kernel.Text}, Netns: n.id, Label: n.label,
		Ephemeral: rangeJSON{s.Range.First, s.Range.Last, s.Range.Len()},
		Reserved:  s.Reserved.LenIn(s.Range), Ceiling: round1(float64(free) / 60),
		Settings: []settingJSON{},
	}
	for _, v := range s.Values {
		r := settingJSON{v.Name, nil, v.Default, v.Unit, v.Valid, v.Meaning, v.Since, v.Source}
		if v.Present {
			text := v.Text
			r.Value = &text
		}
		j.Settings = append(j.Settings, r)
	}
	return j
}

func (a *app) printSettings(all []namedSettings) error {
	if a.json {
		if a.allNamespaces {
			return printJSONArray(a.stdout, len(all), func(i int) any { return jsonSettings(all[i]) })
		}
		return printJSON(a.stdout, jsonSettings(all[0]))
	}
	for i, n := range all {
		w := &lines{a: a}
		if i > 0 {
			w.text = append(w.text, "")
		}
		s, j := n.settings, jsonSettings(n)
		head := "Linux " + s.Kernel.Text
		if n.label != "" {
			head += ", " + clean(n.label)
		}
		w.add(bold, "%s", head)
		w.add("", "%s are ephemeral (%s), %d of them reserved; %s to one destination when this side closes first (TIME_WAIT 60 s)",
			count(s.Range.Len(), "port"), s.Range, j.Reserved, rate(j.Ceiling))
		if err := w.flush(); err != nil {
			return err
		}
		t := &table{head: []string{"SETTING", "VALUE", "DEFAULT", "MEANING"}}
		for _, v := range s.Values {
			value := v.Text
			if !v.Present {
				value = "(absent)"
			} else if value == "" {
				value = "(empty)"
			}
			sgr := ""
			if v.Present && v.Default != "" && flat(v.Text) != flat(v.Default) {
				sgr = bold
			}
			t.add(sgr, v.Name, flat(value), flat(v.Default), v.Meaning)
		}
		if err := a.writeTable(a.stdout, t); err != nil {
			return err
		}
	}
	return nil
}

// flat puts a value on one line with single blanks.
func flat(s string) string { return strings.Join(strings.Fields(s), " ") }
