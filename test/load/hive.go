package load

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/registry/hive"
)

// SystemHive makes a file with a SYSTEM hive of a Windows Server 2003 of at least
// size bytes: what Windows has in it, and as many devices as it takes, as on a host
// that has seen many. It is the same each time but for the moments of its writing.
// The writer is our own; the tests of package hives show it to others.
func SystemHive(path string, size int) error {
	f, err := hive.Create(path, hive.Options{})
	if err != nil {
		return err
	}
	defer f.Close()
	s := &system{Store: f, Rand: rand.New(rand.NewPCG(196271, 0))}
	s.add("Select", registry.NewDWORD("Current", 1), registry.NewDWORD("Default", 1), registry.NewDWORD("Failed", 0), registry.NewDWORD("LastKnownGood", 2))
	s.add("MountedDevices", s.binary(`\DosDevices\C:`, 12))
	s.add("Setup", registry.NewDWORD("SystemSetupInProgress", 0), registry.NewSZ("SystemPartition", `\Device\HarddiskVolume1`))
	for n := range 2 {
		s.controlSet(fmt.Sprintf("ControlSet%03d", n+1))
	}
	for i := 0; s.err == nil && len(f.Bytes()) < size; i++ {
		s.device(fmt.Sprintf("ControlSet%03d", i%2+1), i)
	}
	if s.err != nil {
		return s.err
	}
	return f.Flush()
}

// A system fills a SYSTEM hive. What fails first ends it.
type system struct {
	registry.Store
	*rand.Rand
	err error
}

// add makes a key with values.
func (s *system) add(path string, values ...registry.Value) {
	if s.err == nil {
		s.err = s.Create(path)
	}
	for _, v := range values {
		if s.err == nil {
			s.err = s.Set(path, v)
		}
	}
}

func (s *system) binary(name string, n int) registry.Value {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(s.Uint32())
	}
	return registry.Value{Name: name, Type: registry.Binary, Data: b}
}

// guid draws a name such as {4d36e972-e325-11ce-bfc1-08002be10318}.
func (s *system) guid() string {
	return fmt.Sprintf("{%08x-%04x-11ce-%04x-%012x}", s.Uint32(), s.Uint32N(1<<16), s.Uint32N(1<<16), s.Uint64N(1<<48))
}

func (s *system) controlSet(set string) {
	s.add(set+`\Control\ProductOptions`, registry.NewSZ("ProductType", "ServerNT"), registry.NewMultiSZ("ProductSuite", "Enterprise", "Terminal Server"))
	s.add(set+`\Control\Session Manager\Environment`, registry.NewSZ("OS", "Windows_NT"), registry.NewSZ("PROCESSOR_ARCHITECTURE", "x86"))
	s.add(set+`\Control\Windows`, registry.NewDWORD("CSDVersion", 0x200))
	for i := range 600 {
		name := fmt.Sprintf("Service%03d", i)
		if i == 500 {
			name = "Tcpip"
		}
		s.service(set, name)
	}
	s.add(set+`\Services\Tcpip\Parameters`, registry.NewDWORD("MaxUserPort", 65534), registry.NewDWORD("TcpTimedWaitDelay", 30), registry.NewMultiSZ("ReservedPorts", "1433-1434", "8080-8080"))
	for range 200 { // network adapters, of which few are still there
		s.add(set+`\Services\Tcpip\Parameters\Interfaces\`+s.guid(),
			registry.NewDWORD("EnableDHCP", 0), registry.NewMultiSZ("IPAddress", "192.0.2.7"), registry.NewMultiSZ("SubnetMask", "255.255.255.0"),
			registry.NewDWORD("InterfaceMetric", s.Uint32N(30)))
	}
	for i := range 60 {
		class := set + `\Control\Class\` + s.guid()
		s.add(class, registry.NewSZ("Class", fmt.Sprintf("Class%d", i)))
		for j := range s.IntN(20) {
			s.add(fmt.Sprintf(`%s\%04d`, class, j), registry.NewSZ("DriverDesc", "A device of class "+fmt.Sprint(i)), registry.NewSZ("DriverVersion", "5.2.3790.0"), s.binary("DriverDateData", 8))
		}
	}
}

func (s *system) service(set, name string) {
	path := set + `\Services\` + name
	s.add(path,
		registry.NewDWORD("Type", 1<<s.IntN(6)), registry.NewDWORD("Start", s.Uint32N(5)), registry.NewDWORD("ErrorControl", 1),
		registry.Value{Name: "ImagePath", Type: registry.ExpandSZ, Data: registry.NewSZ("", `%SystemRoot%\System32\drivers\`+strings.ToLower(name)+".sys").Data},
		registry.NewSZ("DisplayName", name+" Service"), registry.NewSZ("ObjectName", "LocalSystem"), registry.NewMultiSZ("DependOnService", "RpcSs", "Tcpip"),
		registry.NewSZ("Description", "Gives other programs what they ask "+name+" for. If it is stopped, what depends on it does not start."))
	s.add(path+`\Parameters`, registry.NewDWORD("ServiceDllUnloadOnStop", 1), s.binary("Configuration", 20+s.IntN(200)))
	s.add(path+`\Security`, s.binary("Security", 168))
	s.add(path+`\Enum`, registry.NewSZ("0", `Root\LEGACY_`+strings.ToUpper(name)+`\0000`), registry.NewDWORD("Count", 1), registry.NewDWORD("NextInstance", 1))
}

// device makes what the plug and play manager keeps of one.
func (s *system) device(set string, i int) {
	bus := []string{"PCI", "USB", "USBSTOR", "STORAGE", "HID", "SCSI"}[i%6]
	id := fmt.Sprintf("VEN_%04X&DEV_%04X&SUBSYS_%08X", s.Uint32N(1<<16), s.Uint32N(1<<16), s.Uint32())
	path := fmt.Sprintf(`%s\Enum\%s\%s\%x&%08x&0&%02d`, set, bus, id, s.IntN(10), s.Uint32(), s.IntN(100))
	s.add(path,
		registry.NewSZ("DeviceDesc", fmt.Sprintf("Device %d on %s", i, bus)), registry.NewSZ("LocationInformation", fmt.Sprintf("%s bus %d, device %d, function %d", bus, s.IntN(9), s.IntN(32), s.IntN(8))),
		registry.NewDWORD("Capabilities", s.Uint32N(256)), registry.NewDWORD("ConfigFlags", 0),
		registry.NewMultiSZ("HardwareID", bus+`\`+id+"&REV_01", bus+`\`+id, bus+`\`+id[:17]), registry.NewMultiSZ("CompatibleIDs", bus+`\`+id[:17], bus+`\CC_0200`),
		registry.NewSZ("ClassGUID", s.guid()), registry.NewSZ("Class", "Net"), registry.NewSZ("Driver", s.guid()+`\0001`), registry.NewSZ("Mfg", "(Standard)"), registry.NewSZ("Service", fmt.Sprintf("Service%03d", s.IntN(500))))
	s.add(path+`\Control`, registry.NewDWORD("AllocConfig", 0))
	s.add(path+`\LogConf`, registry.Value{Name: "BasicConfigVector", Type: registry.ResourceRequirementsList, Data: s.binary("", 104).Data})
	s.add(path+`\Device Parameters`, registry.NewDWORD("InstanceIndex", s.Uint32N(8)))
}
