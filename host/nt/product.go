package nt

import (
	"fmt"
	"strings"
)

// product names the system as far as it is known, and says in sentences why it is
// not named further. Legacy systems are named by what they are, because their
// ProductName is the same for all editions; later ones by their ProductName.
func (s *signals) product(era Era) (string, []string) {
	switch {
	case s.major < 0:
		return s.unreleased(era), nil
	case s.major < 5:
		return s.nt4(), nil
	case s.major == 5 && s.minor == 0:
		return s.windows2000()
	case s.major == 5 && s.minor == 1:
		return s.windowsXP()
	case s.major == 5 && s.minor == 2:
		return s.server2003()
	}
	return s.later()
}

// unreleased names a system whose release is not known.
func (s *signals) unreleased(era Era) string {
	switch era {
	case Legacy:
		return "Windows NT 4.0, 2000, XP or Server 2003"
	case Later:
		switch {
		case s.kind.server():
			return "Windows Server 2008 or later"
		case s.kind == Workstation:
			return "Windows Vista or later"
		}
		return "Windows Vista, Windows Server 2008 or later"
	}
	if s.kind.server() {
		return "Windows Server"
	}
	return "Windows"
}

func (s *signals) nt4() string {
	release := s.release()
	switch {
	case s.kind == Workstation:
		return "Windows NT Workstation " + release
	case s.kind.server() && s.suite("Enterprise"):
		return "Windows NT Server " + release + ", Enterprise Edition"
	case s.kind.server() && s.suite("Terminal Server"):
		return "Windows NT Server " + release + ", Terminal Server Edition"
	case s.kind.server():
		return "Windows NT Server " + release
	}
	return "Windows NT " + release
}

const noKind = `Control\ProductOptions\ProductType is absent, so the edition is not known`

func (s *signals) windows2000() (string, []string) {
	switch {
	case s.kind == Workstation:
		return "Windows 2000 Professional", nil
	case s.kind == UnknownKind:
		return "Windows 2000", []string{noKind}
	case s.suite("DataCenter"):
		return "Windows 2000 Datacenter Server", nil
	case s.suite("Small Business(Restricted)"):
		return "Small Business Server 2000", nil
	case s.suite("Enterprise"):
		return "Windows 2000 Advanced Server", nil
	}
	return "Windows 2000 Server", nil
}

// windowsXP tells the editions of release 5.1 apart. Tablet PC and Media Center
// are Professional with a mark below WPA, which is what GetSystemMetrics answers
// SM_TABLETPC and SM_MEDIACENTER from.
func (s *signals) windowsXP() (string, []string) {
	switch {
	case s.tablet && s.mediaCenter:
		return "Windows XP", []string{"it is marked as Tablet PC and as Media Center: which edition it is cannot be told"}
	case s.tablet:
		return "Windows XP Tablet PC Edition", nil
	case s.mediaCenter:
		return "Windows XP Media Center Edition", nil
	case s.suite("Personal"):
		return "Windows XP Home Edition", nil
	case s.suite("EmbeddedNT"):
		return "Windows XP Embedded", nil
	case s.arch == "ia64":
		return "Windows XP 64-Bit Edition", nil
	case s.kind == Workstation:
		return "Windows XP Professional", nil
	}
	return "Windows XP", []string{noKind}
}

// server2003 tells the editions of release 5.2 apart, XP Professional x64 among
// them, which is built from the same sources.
func (s *signals) server2003() (string, []string) {
	switch {
	case s.kind == Workstation && s.arch == "ia64":
		return "Windows XP 64-Bit Edition", nil
	case s.kind == Workstation:
		return "Windows XP Professional x64 Edition", nil
	case s.kind == UnknownKind:
		return "Windows Server 2003 or Windows XP Professional x64 Edition", []string{noKind}
	case s.suite("WH Server"):
		return "Windows Home Server", nil
	case s.suite("Storage Server"):
		return "Windows Storage Server 2003", nil
	case s.suite("Small Business(Restricted)"):
		return "Windows Small Business Server 2003", nil
	case s.suite("Compute Server"):
		return "Windows Compute Cluster Server 2003", nil
	}
	base := "Windows Server 2003"
	if strings.Contains(s.productName, "R2") {
		base = "Windows Server 2003 R2"
	}
	edition := "Standard"
	switch {
	case s.suite("Blade"):
		return base + ", Web Edition", nil // there is a 32-bit one only
	case s.suite("DataCenter"):
		edition = "Datacenter"
	case s.suite("Enterprise"):
		edition = "Enterprise"
	}
	switch s.arch {
	case "x86":
		return base + ", " + edition + " Edition", nil
	case "x64":
		return base + ", " + edition + " x64 Edition", nil
	case "ia64":
		return base + ", " + edition + " Edition for Itanium-based Systems", nil
	}
	return base, []string{fmt.Sprintf(
		`PROCESSOR_ARCHITECTURE is absent or unknown, so whether this is %s Edition or %s x64 Edition is not known`, edition, edition)}
}

// server10 are the servers of release 10.0 by build, those that have a year.
var server10 = map[int]string{
	14393: "Windows Server 2016",
	17763: "Windows Server 2019",
	20348: "Windows Server 2022",
	26100: "Windows Server 2025",
}

// windows11 is the first build of Windows 11, whose ProductName still says
// "Windows 10".
const windows11 = 22000

// families are the client and the server of each release from 6.0 on.
var families = map[string][2]string{
	"6.0": {"Windows Vista", "Windows Server 2008"},
	"6.1": {"Windows 7", "Windows Server 2008 R2"},
	"6.2": {"Windows 8", "Windows Server 2012"},
	"6.3": {"Windows 8.1", "Windows Server 2012 R2"},
}

// later names the systems from Windows Vista on: by their own name, which has the
// edition, where there is one, and by release and build elsewhere.
func (s *signals) later() (string, []string) {
	name := plainName(s.productName)
	base := s.family()
	if base == "Windows 11" {
		if rest, ok := strings.CutPrefix(name, "Windows 10"); ok {
			name = base + rest
		}
	}
	switch {
	case name != "":
		return name, nil
	case base != "":
		return base, []string{"ProductName is absent, so the edition is not known"}
	}
	return "Windows NT " + s.release(), []string{"no product of this release is known, and ProductName is absent"}
}

// family is the product without its edition, "" when release, build and kind do
// not tell it.
func (s *signals) family() string {
	if pair, ok := families[s.release()]; ok {
		switch {
		case s.kind == Workstation:
			return pair[0]
		case s.kind.server():
			return pair[1]
		}
		return pair[0] + " or " + pair[1]
	}
	if s.release() != "10.0" {
		return ""
	}
	switch {
	case s.kind.server() && server10[s.build] != "":
		return server10[s.build]
	case s.kind.server():
		return "Windows Server" // a build between those with a year
	case s.kind == Workstation && s.build >= windows11:
		return "Windows 11"
	case s.kind == Workstation && s.build >= 0:
		return "Windows 10"
	}
	return ""
}

// plainName takes "Microsoft" and trade marks out of a ProductName.
func plainName(s string) string {
	s = strings.NewReplacer("(TM)", "", "(R)", "", "®", "", "™", "").Replace(s)
	return strings.TrimPrefix(strings.Join(strings.Fields(s), " "), "Microsoft ")
}
