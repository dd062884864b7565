package cli_test

import "slices"

type roomOfTarget struct {
	Capacity int
	Ceiling  float64 `json:"ceiling_per_second"`
}

type gainOfTarget struct {
	Findings []struct {
		Remedies []struct {
			ID   string
			Gain *struct{ To roomOfTarget }
		}
	}
}

// widening is what check states that max-user-port gives; nil for nothing.
func (g gainOfTarget) widening() *roomOfTarget {
	for _, f := range g.Findings {
		for _, m := range f.Remedies {
			if m.ID == "max-user-port" && m.Gain != nil {
				return &m.Gain.To
			}
		}
	}
	return nil
}

type gainOfFix struct {
	Gains []struct{ After roomOfTarget }
}

// checked is what check prints of the disk, whatever it thinks of it.
func (d *disk) checked() string {
	d.t.Helper()
	cmd := d.command("check", "--target", "system:"+d.dir, "--json")
	cmd.Args = slices.DeleteFunc(cmd.Args, func(s string) bool { return s == "--state-dir" || s == d.state })
	out, err := cmd.Output()
	if len(out) == 0 {
		d.t.Fatal(err)
	}
	return string(out)
}
