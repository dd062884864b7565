package winreg_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/registry/regtext"
	"github.com/portroom/portroom/remedy/winreg"
)

func TestABackupHoldsTheKeyAndWhatRestoresIt(t *testing.T) {
	for product, version := range map[string]regtext.Version{"nt4": regtext.REGEDIT4, "xp-home": regtext.Version5} {
		h := system(t, product, registry.NewSZ("Hostname", "Größe"))
		key := h.settings.ControlSet.Key + `\Services\Tcpip\Parameters`
		sub := key + `\Winsock`
		if err := h.machine.System.Create(sub); err != nil {
			t.Fatal(err)
		}
		if err := h.machine.System.Set(sub, registry.NewDWORD("HelperDllName", 1)); err != nil {
			t.Fatal(err)
		}
		if err := h.all.Flush(); err != nil {
			t.Fatal(err)
		}
		h.open(t)
		_ = h.machine.System.Delete(key, "MaxUserPort")
		if err := h.machine.System.Set(key, registry.NewDWORD("TcpTimedWaitDelay", 120)); err != nil {
			t.Fatal(err)
		}
		if err := h.all.Flush(); err != nil {
			t.Fatal(err)
		}
		h.open(t)
		r, _ := h.request(t)
		p, err := r.Set([]string{"MaxUserPort=65534", "TcpTimedWaitDelay=30"})
		if err != nil {
			t.Fatal(err)
		}
		files, err := winreg.Backup(h.machine.System, h.settings.System, p.Plan)
		if err != nil || len(files) != 2 || files[0].Name != "backup.reg" || files[1].Name != "restore.reg" {
			t.Fatalf("%v, %v", files, err)
		}
		backup, err := regtext.Parse(files[0].Data)
		if err != nil || backup.Version != version {
			t.Fatalf("%v, %v", backup, err)
		}
		kept := regtext.NewStore(backup)
		for _, path := range []string{key, sub} {
			want, err := h.machine.System.Values(path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := kept.Values(`HKEY_LOCAL_MACHINE\SYSTEM\` + path)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s %s (-want +got):\n%s", product, path, d)
			}
		}
		restore, err := regtext.Parse(files[1].Data)
		if err != nil {
			t.Fatal(err)
		}
		restore.Form = regtext.Form{Encoding: regtext.UTF8, LF: true}
		text, err := restore.Print()
		want := "[HKEY_LOCAL_MACHINE\\SYSTEM\\" + key + "]\n\"MaxUserPort\"=-\n\"TcpTimedWaitDelay\"=dword:00000078\n"
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%v\n%s", err, text)
		}
	}
}
