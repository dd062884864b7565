package nt

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/portroom/portroom/registry"
)

// An Era is one of the two ages of Windows' TCP/IP.
type Era uint8

// The eras.
const (
	UnknownEra Era = iota
	Legacy         // up to Windows XP and Server 2003: the registry decides
	Later          // from Windows Vista and Server 2008 on: netsh decides
)

// A Kind is what a system was installed as.
type Kind uint8

// The kinds, from Control\ProductOptions\ProductType.
const (
	UnknownKind      Kind = iota
	Workstation           // WinNT
	Server                // ServerNT
	DomainController      // LanmanNT
)

// server reports whether a kind is a server of any sort.
func (k Kind) server() bool { return k == Server || k == DomainController }

// A System is a Windows system as far as its registry tells which one it is.
// Empty texts and negative numbers are what it does not tell.
type System struct {
	Product     string // spelled as in KB 196271, without "Microsoft"
	Release     string // "4.0" to "6.3", "10.0"
	Build       int    // such as 3790; -1
	ServicePack int    // 0 for none; -1
	Arch        string // x86, x64, ia64, arm, arm64, alpha, mips or ppc
	Kind        Kind
	Era         Era
	// Notes are sentences on what could not be told and why.
	Notes []string
}

// signals is everything that a product is recognised by.
type signals struct {
	major, minor int // -1 when not known
	build        int
	productName  string
	installation string // InstallationType: Client, Server, Server Core
	kind         Kind
	suites       map[string]bool // ProductSuite in lower case
	tablet       bool            // WPA\TabletPC\Installed is 1
	mediaCenter  bool            // WPA\MediaCenter\Installed is 1
	arch         string
}

// suite reports whether the ProductSuite has an entry.
func (s *signals) suite(name string) bool { return s.suites[strings.ToLower(name)] }

// Identify says which system the registry belongs to.
func (m Machine) Identify() (System, error) {
	set, err := m.ControlSet()
	if err != nil {
		return System{}, err
	}
	return m.identify(set)
}

const currentVersionKey = `Microsoft\Windows NT\CurrentVersion`

func (m Machine) identify(set ControlSet) (System, error) {
	// The keys in the order in which they are read; the first failure ends it.
	var options, environment, windows, tablet, media, version key
	for _, r := range []struct {
		to   *key
		from registry.Store
		path string
	}{
		{&options, m.System, registry.Join(set.Key, `Control\ProductOptions`)},
		{&environment, m.System, registry.Join(set.Key, `Control\Session Manager\Environment`)},
		{&windows, m.System, registry.Join(set.Key, `Control\Windows`)},
		{&tablet, m.System, `WPA\TabletPC`},
		{&media, m.System, `WPA\MediaCenter`},
		{&version, m.Software, currentVersionKey},
	} {
		var err error
		if *r.to, err = readKey(r.from, r.path); err != nil {
			return System{}, fmt.Errorf("identify the system: %w", err)
		}
	}
	s := signals{
		major: -1, minor: -1, build: -1,
		productName: version.text("ProductName"), installation: version.text("InstallationType"),
		kind: kindOf(options.text("ProductType")), suites: make(map[string]bool),
		arch: archOf(environment.text("PROCESSOR_ARCHITECTURE")),
	}
	for _, suite := range options.lines("ProductSuite") {
		s.suites[strings.ToLower(strings.TrimSpace(suite))] = true
	}
	if n, ok := tablet.number("Installed"); ok {
		s.tablet = n == 1
	}
	if n, ok := media.number("Installed"); ok {
		s.mediaCenter = n == 1
	}
	s.readVersion(version)

	out := System{Release: s.release(), Build: s.build, ServicePack: servicePack(windows, version), Arch: s.arch}
	if s.kind == UnknownKind {
		s.kind = s.kindByName()
	}
	out.Kind = s.kind
	switch {
	case s.major < 0:
		var err error
		if out.Era, err = m.eraBySystem(set, options); err != nil {
			return System{}, fmt.Errorf("identify the system: %w", err)
		}
		why := "SOFTWARE is not at hand"
		if m.Software != nil {
			why = `SOFTWARE has no CurrentVersion in Microsoft\Windows NT\CurrentVersion`
		}
		out.Notes = append(out.Notes, why+", so the release is not known")
	case s.major < 6:
		out.Era = Legacy
	default:
		out.Era = Later
	}
	var notes []string
	out.Product, notes = s.product(out.Era)
	out.Notes = append(out.Notes, notes...)
	return out, nil
}

// readVersion takes the release from SOFTWARE. From Windows 10 on CurrentVersion
// stays at 6.3 for the sake of old programs, and two numbers of their own tell.
func (s *signals) readVersion(version key) {
	if major, ok := version.number("CurrentMajorVersionNumber"); ok && major < 1000 {
		s.major, s.minor = int(major), 0
		if minor, ok := version.number("CurrentMinorVersionNumber"); ok && minor < 1000 {
			s.minor = int(minor)
		}
	} else if a, b, ok := strings.Cut(version.text("CurrentVersion"), "."); ok {
		major, err1 := strconv.ParseUint(a, 10, 10)
		minor, err2 := strconv.ParseUint(b, 10, 10)
		if err1 == nil && err2 == nil {
			s.major, s.minor = int(major), int(minor)
		}
	}
	for _, name := range []string{"CurrentBuildNumber", "CurrentBuild"} {
		// CurrentBuild of Windows XP reads "1.511.1 () (Obsolete data - do not use)".
		if n, err := strconv.ParseUint(version.text(name), 10, 31); err == nil {
			s.build = int(n)
			break
		}
	}
}

// release writes the release, or "" when it is not known.
func (s *signals) release() string {
	if s.major < 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d", s.major, s.minor)
}

// kindByName takes the kind from SOFTWARE where SYSTEM does not tell.
func (s *signals) kindByName() Kind {
	switch installation := strings.ToLower(s.installation); {
	case installation == "client":
		return Workstation
	case strings.HasPrefix(installation, "server"):
		return Server
	case strings.Contains(strings.ToLower(s.productName), "server"):
		return Server
	}
	return UnknownKind
}

func kindOf(productType string) Kind {
	switch strings.ToLower(productType) {
	case "winnt":
		return Workstation
	case "servernt":
		return Server
	case "lanmannt":
		return DomainController
	}
	return UnknownKind
}

// archOf names an architecture the way its systems are sold.
func archOf(processor string) string {
	switch a := strings.ToLower(processor); a {
	case "amd64":
		return "x64"
	case "x86", "ia64", "arm", "arm64", "alpha", "mips", "ppc":
		return a
	}
	return ""
}

// servicePack reads the number of the service pack: from SYSTEM the high byte of
// a number, which is what the kernel goes by, else from SOFTWARE the text "Service
// Pack 2". A system with a CurrentVersion and none of both has no service pack.
func servicePack(windows, version key) int {
	if n, ok := windows.number("CSDVersion"); ok {
		return int(n >> 8 & 0xff)
	}
	if rest, ok := strings.CutPrefix(version.text("CSDVersion"), "Service Pack "); ok {
		digits, _, _ := strings.Cut(rest, ",")
		if n, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 8); err == nil {
			return int(n)
		}
	}
	if _, ok := version.get("CSDVersion"); !ok && version.text("CurrentVersion") != "" {
		return 0
	}
	return -1
}

// eraBySystem tells the era of a SYSTEM hive without its SOFTWARE hive. The TCP/IP
// of Windows Vista and later keeps its settings below Control\Nsi, and their
// licensing its own in ProductPolicy; no earlier system has either. That they are
// absent says something only of a whole hive, not of a part that was exported.
func (m Machine) eraBySystem(set ControlSet, options key) (Era, error) {
	nsi, err := exists(m.System, registry.Join(set.Key, `Control\Nsi`))
	if err != nil {
		return UnknownEra, err
	}
	if _, policy := options.get("ProductPolicy"); policy || nsi {
		return Later, nil
	}
	path := registry.Join(set.Key, "Services")
	if there, err := exists(m.System, path); err != nil || !there {
		return UnknownEra, err
	}
	services, err := m.System.Keys(path)
	if err != nil {
		return UnknownEra, err
	}
	// Drivers are services too, and every Windows brings well over a hundred.
	const whole = 100
	if len(services) >= whole {
		return Legacy, nil
	}
	return UnknownEra, nil
}
