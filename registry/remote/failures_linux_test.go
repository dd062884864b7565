package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/test/samba"
)

const parameters = `SYSTEM\ControlSet001\Services\Tcpip\Parameters`

// tree is a Windows XP as far as its settings go.
const tree = `Windows Registry Editor Version 5.00

[HKLM\SYSTEM\Select]
"Current"=dword:00000001

[HKLM\SYSTEM\ControlSet001\Services\Tcpip\Parameters]
"MaxUserPort"=dword:0000fffe
"ReservedPorts"=hex(7):31,00,2d,00,32,00,00,00,00,00
"-odd name"="with \"quotes\" and \\ and Größe"

[HKLM\SYSTEM\ControlSet001\Services\Tcpip\Parameters\Interfaces]
"below"=dword:00000001

[HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion]
"ProductName"="Microsoft Windows XP"
`

// each runs a test against a server of each version of SMB.
func each(t *testing.T, f func(t *testing.T, s *samba.Server)) {
	for _, version := range versions {
		t.Run(version, func(t *testing.T) { f(t, samba.Start(t, version)) })
	}
}

// want sees that err is of a kind and says each of some words, in one line, and
// not the password.
func want(t *testing.T, err error, kind error, words ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("error %v, want one that is %q", err, kind)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
	if strings.Contains(err.Error(), samba.Password) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q", err)
	}
}

func TestSettingsAreReadOverEveryVersion(t *testing.T) {
	each(t, func(t *testing.T, s *samba.Server) {
		s.Fill(t, tree)
		r := open1(t, s, options(s))
		current, err := r.Get(`SYSTEM\Select`, "Current")
		if n, nerr := current.Uint32(); err != nil || nerr != nil || n != 1 {
			t.Errorf("Current is %d: %v, %v", n, err, nerr)
		}
		list, err := r.Values(parameters)
		if err != nil || len(list) != 3 {
			t.Fatalf("%d values, %v: want 3, without those of the key below", len(list), err)
		}
		ports, err := list[1].Strings()
		if err != nil || len(ports) != 1 || ports[0] != "1-2" {
			t.Errorf("ReservedPorts is %q, %v", ports, err)
		}
		odd, err := r.Get(parameters, "-odd name")
		if text, terr := odd.Text(); err != nil || terr != nil || text != `with "quotes" and \ and Größe` {
			t.Errorf("the odd value is %q, %v, %v", text, err, terr)
		}
		keys, err := r.Keys(parameters)
		if err != nil || len(keys) != 1 || keys[0] != "Interfaces" {
			t.Errorf("keys %q, %v", keys, err)
		}
		var absent *registry.AbsentError
		if _, err := r.Get(parameters, "TcpTimedWaitDelay"); !errors.As(err, &absent) || !absent.IsValue {
			t.Errorf("an absent value: %v", err)
		}
		if _, err := r.Get(parameters+`\none`, "x"); !errors.As(err, &absent) || absent.IsValue {
			t.Errorf("an absent key: %v", err)
		}
	})
}

func TestTheValuesOfAKeyAreReadWithoutThoseOfTheKeysBelow(t *testing.T) {
	s := samba.Start(t, samba.SMB3)
	var text strings.Builder
	text.WriteString("Windows Registry Editor Version 5.00\n\n[HKLM\\SYSTEM\\top]\n\"own\"=dword:00000007\n")
	for i := range 50 {
		fmt.Fprintf(&text, "\n[HKLM\\SYSTEM\\top\\key%d]\n\"below\"=\"%s\"\n", i, strings.Repeat("x", 10_000))
	}
	s.Fill(t, text.String())
	r := open1(t, s, options(s)).(*store)
	sent := make(chan int, 1)
	r.o.Port = relay(t, s, 1<<30, sent, nil)
	list, err := r.Values(`SYSTEM\top`)
	if err != nil || len(list) != 1 || list[0].Name != "own" {
		t.Fatalf("%v, %v", list, err)
	}
	// Each value below is 20 kB on the wire, a million bytes in all.
	if n := <-sent; n > 200_000 {
		t.Errorf("the server sent %d bytes for one number", n)
	}
	// Read once, it is known until something is written.
	r.o.Port = 1
	if _, err := r.Get(`system\TOP`, "OWN"); err != nil {
		t.Error(err)
	}
	want(t, r.Set(`SYSTEM\top`, registry.NewDWORD("own", 8)), ErrUnreachable)
	_, err = r.Get(`SYSTEM\top`, "own")
	want(t, err, ErrUnreachable)
}

func TestAnAccountWithoutAPasswordIsNotAskedForOne(t *testing.T) {
	s := samba.Start(t, samba.SMB3)
	o := options(s)
	o.Password = ""
	_, err := Open(t.Context(), s.Host, o)
	want(t, err, ErrLogon)
}

func TestAWrongPasswordIsSaidToBeOne(t *testing.T) {
	each(t, func(t *testing.T, s *samba.Server) {
		o := options(s)
		o.Password = "falsch"
		_, err := Open(t.Context(), s.Host, o)
		want(t, err, ErrLogon, "NT_STATUS_LOGON_FAILURE", "password is wrong", "--user")
	})
}

func TestARefusedWriteIsAnErrorThoughNetEndsWithZero(t *testing.T) {
	each(t, func(t *testing.T, s *samba.Server) {
		// Samba computes the values of this key, and takes none.
		const key = `SYSTEM\CurrentControlSet\Services\Tcpip\Parameters`
		r := open1(t, s, options(s))
		want(t, r.Set(key, registry.NewDWORD("MaxUserPort", 65534)), ErrUnchanged, key, "NT_STATUS_REGISTRY_IO_FAILED")
		want(t, r.Set(key, registry.NewMultiSZ("ReservedPorts", "1-2")), ErrUnchanged, key, "REGISTRY_IO_FAILED")
		if list, err := r.Values(key); err != nil {
			t.Errorf("the key afterwards: %d values, %v", len(list), err)
		}
	})
}

func TestAHostOfSMB1NeedsTheFlagAndTheErrorSaysSo(t *testing.T) {
	s := samba.Start(t, samba.NT1)
	o := options(s)
	o.MinProtocol = ""
	_, err := Open(t.Context(), s.Host, o)
	want(t, err, ErrProtocol, "--smb1", "Server 2003")
}

func TestAHostWithoutTheVersionAskedForIsSaidToBeOne(t *testing.T) {
	s := samba.Start(t, samba.SMB3)
	o := options(s)
	o.MinProtocol, o.MaxProtocol = NT1, NT1
	_, err := Open(t.Context(), s.Host, o)
	want(t, err, ErrProtocol, "refuses the versions of SMB")
}

func TestAHostThatGoesDownIsAnErrorWithinTheTimeOut(t *testing.T) {
	each(t, func(t *testing.T, s *samba.Server) {
		s.Fill(t, tree)
		r := open1(t, s, options(s))
		if _, err := r.Keys("SYSTEM"); err != nil {
			t.Fatal(err)
		}
		s.Stop()
		_, err := r.Values(parameters)
		want(t, err, ErrUnreachable, parameters, "firewall")
	})
}

func TestAHostThatGoesDownWithinACallIsAnErrorWithinTheTimeOut(t *testing.T) {
	each(t, func(t *testing.T, s *samba.Server) {
		r := open1(t, s, options(s)).(*store)
		// The values make up the greater part of what the server sends, so half of
		// all is in their midst.
		const key = `SYSTEM\many`
		var text strings.Builder
		text.WriteString("Windows Registry Editor Version 5.00\n\n[HKLM\\" + key + "]\n")
		for i := range 100 {
			fmt.Fprintf(&text, "\"value %d\"=\"%s\"\n", i, strings.Repeat("x", 500))
		}
		s.Fill(t, text.String())
		sent := make(chan int, 1)
		r.o.Port = relay(t, s, 1<<30, sent, nil)
		if list, err := r.Values(key); err != nil || len(list) != 100 {
			t.Fatalf("%d values, %v", len(list), err)
		}
		r.forget()
		r.o.Port = relay(t, s, <-sent/2, make(chan int, 1), s.Stop)
		_, err := r.Values(key)
		want(t, err, ErrGone, "ask again")
	})
}

// relay takes one connection and passes bytes on to a server until so many came
// back, when it calls cut, or the connection ends. Then it says how many it were.
func relay(t *testing.T, s *samba.Server, most int, sent chan<- int, cut func()) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer l.Close()
		in, err := l.Accept()
		if err != nil {
			sent <- 0
			return
		}
		defer in.Close()
		out, err := net.Dial("tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port)))
		if err != nil {
			sent <- 0
			return
		}
		defer out.Close()
		go func() { io.Copy(out, in); out.Close() }()
		n, err := io.CopyN(in, out, int64(most))
		if err == nil {
			cut()
		}
		sent <- int(n)
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func TestAHostThatDoesNotAnswerIsLeftAfterTheTimeOut(t *testing.T) {
	s := samba.Start(t, samba.SMB3)
	o := options(s)
	r := open1(t, s, o)
	r.(*store).o.Timeout = time.Second
	s.Pause()
	defer s.Resume()
	_, err := r.Values("SYSTEM")
	want(t, err, context.DeadlineExceeded, "within 1s", "firewall", "--timeout")
	if list := children(t); len(list) != 0 {
		t.Errorf("left behind: %q", list)
	}
}

func TestACanceledCallEndsItsChild(t *testing.T) {
	s := samba.Start(t, samba.SMB3)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := Open(ctx, s.Host, options(s))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s.Pause()
	defer s.Resume()
	go func() {
		for len(children(t)) == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	_, err = r.Values("SYSTEM")
	want(t, err, context.Canceled)
	if list := children(t); len(list) != 0 {
		t.Errorf("left behind: %q", list)
	}
	_, err = r.Values("SOFTWARE")
	want(t, err, context.Canceled)
}

func TestWithoutNetTheErrorSaysWhichPackageBringsIt(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Open(t.Context(), "192.0.2.1", Options{User: "x", Password: "y"})
	want(t, err, ErrNotInstalled, "samba-common-bin", "samba-common-tools", "FreeBSD")
}

func TestAPortWhereNobodyListensIsAHostThatCannotBeReached(t *testing.T) {
	samba.Need(t)
	_, err := Open(t.Context(), "127.0.0.1", Options{User: "x", Password: samba.Password, Port: 1})
	want(t, err, ErrUnreachable, "firewall", "445")
}

func TestAHostThatHasNoAddressCannotBeReached(t *testing.T) {
	samba.Need(t)
	_, err := Open(t.Context(), "host.invalid", Options{User: "x", Password: samba.Password})
	want(t, err, ErrUnreachable, "host.invalid", "host's name")
}

func TestWithoutATicketKerberosSaysWhatToDo(t *testing.T) {
	t.Setenv("KRB5CCNAME", filepath.Join(t.TempDir(), "none"))
	s := samba.Start(t, samba.SMB3)
	o := options(s)
	o.Kerberos = true
	_, err := Open(t.Context(), s.Host, o)
	want(t, err, ErrLogon, "kinit")
	o.User, o.Password = "", ""
	_, err = Open(t.Context(), s.Host, o)
	want(t, err, ErrLogon, "kinit")
}

// children are the command lines of the processes of net(8) that this process
// has, zombies not among them.
func children(t *testing.T) (list []string) {
	t.Helper()
	for _, pid := range childPIDs(t) {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if bytes.HasPrefix(line, []byte("/")) && bytes.Contains(line, []byte("--configfile=")) && bytes.Contains(line, []byte("registry")) {
			list = append(list, string(line))
		}
	}
	return list
}

func childPIDs(t *testing.T) (pids []int) {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range tasks {
		text, _ := os.ReadFile(file) // a thread may have ended
		for _, f := range strings.Fields(string(text)) {
			var pid int
			fmt.Sscan(f, &pid)
			pids = append(pids, pid)
		}
	}
	return pids
}

func TestThePasswordIsNeitherInTheChildsArgumentsNorItsEnvironmentNorAFile(t *testing.T) {
	t.Setenv("PORTROOM_PASSWORD", samba.Password)
	t.Setenv("PASSWD", samba.Password)
	t.Setenv("USER", "other%"+samba.Password)
	s := samba.Start(t, samba.SMB3)
	r := open1(t, s, options(s)).(*store)
	r.o.Timeout = 10 * time.Second
	s.Pause()
	defer s.Resume()
	seen := make(chan string, 1)
	go func() {
		defer s.Resume()
		deadline := time.Now().Add(5 * time.Second)
		for time.Now().Before(deadline) {
			for _, pid := range childPIDs(t) {
				line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
				env, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
				// Before its exec the child is a copy of this program.
				if !bytes.Contains(line, []byte("--server=")) || !bytes.Contains(env, []byte("PASSWD_FD=3")) {
					continue
				}
				seen <- string(line) + "\n" + string(env)
				return
			}
			time.Sleep(time.Millisecond)
		}
		seen <- ""
	}()
	if _, err := r.Values("SYSTEM"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	text := <-seen
	if text == "" {
		t.Fatal("no child was seen")
	}
	for _, part := range []string{samba.Password, "geheim"} {
		if strings.Contains(text, part) {
			t.Errorf("the child shows the password: %q", text)
		}
	}
	err := filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte("geheim")) {
			t.Errorf("%s holds the password", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	info, err := os.Stat(r.dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v: want a folder that others cannot read", info.Mode(), err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(r.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is left behind: %v", r.dir, err)
	}
}

func TestAnAccountThatSambaWouldMisreadIsRefused(t *testing.T) {
	for name, o := range map[string]Options{
		"a percent sign in the user":   {User: "a%b"},
		"a line break in the password": {User: "a", Password: "b\nc"},
		"a password of 128 bytes":      {User: "a", Password: strings.Repeat("x", 128)},
		"a password without a user":    {Password: "x"},
		"an unknown version":           {User: "a", MinProtocol: "SMB4"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(t.Context(), "192.0.2.1", o)
			if err == nil || o.Password != "" && len(o.Password) > 1 && strings.Contains(err.Error(), o.Password) {
				t.Errorf("error %v", err)
			}
		})
	}
	for _, host := range []string{"", "-x", `a\b`, "a b", "a#20"} {
		if _, err := Open(t.Context(), host, Options{User: "a"}); err == nil {
			t.Errorf("host %q is taken", host)
		}
	}
}
