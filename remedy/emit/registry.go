package emit

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/portroom/portroom/host/nt"
	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/registry/regtext"
	"github.com/portroom/portroom/remedy/winreg"
)

// noType is the error of a value that only a .reg file can hold.
func noType(v registry.Value) error {
	return fmt.Errorf("value %q is %s of %d bytes, which this format cannot hold: use %s", v.Name, v.Type, len(v.Data), Reg)
}

// textOf returns the text of a REG_SZ or REG_EXPAND_SZ if it is all that is in it.
func textOf(v registry.Value) (string, bool) {
	s, err := v.Text()
	w := registry.NewSZ(v.Name, s)
	return s, err == nil && utf8.ValidString(s) && bytes.Equal(w.Data, v.Data)
}

// linesOf returns the lines of a REG_MULTI_SZ if they are all that is in it.
func linesOf(v registry.Value) ([]string, bool) {
	list, err := v.Strings()
	w := registry.NewMultiSZ(v.Name, list...)
	return list, err == nil && bytes.Equal(w.Data, v.Data)
}

func commaHex(b []byte) string {
	var out []string
	for _, c := range b {
		out = append(out, fmt.Sprintf("%02x", c))
	}
	return strings.Join(out, ",")
}

// writeReg writes a .reg file of the version that the system reads.
func writeReg(to For, s script) ([]File, error) {
	f := new(regtext.File)
	if strings.HasPrefix(to.Release, "4.") || strings.HasPrefix(to.Release, "3.") {
		f.Form = regtext.Form{Version: regtext.REGEDIT4, Encoding: regtext.ANSI}
	}
	for _, c := range s.changes {
		if c.kind != winreg.KindValue {
			return nil, fmt.Errorf("%s is not kept in a documented place of the registry: use %s or %s", c.object, Cmd, PowerShell)
		}
		key := registry.Join("HKEY_LOCAL_MACHINE", c.key)
		if c.to.Absent {
			f.Delete(key, c.name)
			continue
		}
		v, err := winreg.Value(c.name, c.to)
		if err != nil {
			return nil, err
		}
		f.Set(key, v)
	}
	use := "It acts after a restart."
	if to.Offline {
		use = "For a hive: hivexregedit --merge --prefix HKEY_LOCAL_MACHINE\\SYSTEM HIVE portroom.reg"
	}
	for _, l := range s.head(use) {
		f.Keys[0].Comments = append(f.Keys[0].Comments, "; "+l)
	}
	data, err := f.Print()
	if err != nil && f.Version == regtext.REGEDIT4 {
		f.Form = regtext.Form{} // what ANSI cannot hold
		data, err = f.Print()
	}
	return []File{{"portroom.reg", false, data}}, err
}

// writeCmd writes a batch file. It stops at the first step that fails.
func writeCmd(_ For, s script) ([]File, error) {
	var b strings.Builder
	b.WriteString("@echo off\r\n" + comment("rem", s.head("Run it as administrator."), "\r\n"))
	for _, c := range s.changes {
		line, err := cmdLine(c)
		if err != nil {
			return nil, err
		}
		// Not "|| exit": Wine's cmd takes the second command whatever the first returned.
		b.WriteString(line + "\r\nif errorlevel 1 exit /b 1\r\n")
	}
	if s.needsRestart() {
		b.WriteString("echo Restart the system: it acts from then on.\r\n")
	}
	for _, r := range b.String() {
		if r > '~' {
			return nil, fmt.Errorf("%q cannot be written in a batch file, whose code page is not known: use %s or %s", r, Reg, PowerShell)
		}
	}
	return []File{{"portroom.cmd", false, []byte(b.String())}}, nil
}

func cmdLine(c change) (string, error) {
	switch c.kind {
	case winreg.KindDynamic:
		d, err := winreg.Dynamic(c.object, c.to)
		return "netsh " + strings.Join(nt.SetDynamicArgs(d), " "), err
	case winreg.KindAutoReuse:
		script, err := autoReuseScript(c)
		return `powershell -NoProfile -NonInteractive -Command "` + script + `"`, err
	}
	where := fmt.Sprintf(`"HKLM\%s" /v %s`, c.key, cmdQuote(c.name))
	if c.to.Absent {
		return "reg delete " + where + " /f", nil
	}
	v, err := winreg.Value(c.name, c.to)
	if err != nil {
		return "", err
	}
	data, err := cmdData(v)
	return fmt.Sprintf("reg add %s /t %s /d %s /f", where, v.Type, data), err
}

// cmdData writes the data of a value as reg add takes it.
func cmdData(v registry.Value) (string, error) {
	if n, err := v.Uint32(); err == nil && v.Type == registry.DWORD {
		return fmt.Sprint(n), nil
	}
	if list, ok := linesOf(v); ok && !strings.ContainsAny(strings.Join(list, ""), "\\\"\r\n") {
		return cmdQuote(strings.Join(list, `\0`)), nil
	}
	if s, ok := textOf(v); ok && !strings.ContainsAny(s, "\"\r\n") { // a mark within would end the shell's quotation
		return cmdQuote(s), nil
	}
	if v.Type == registry.Binary && len(v.Data) > 0 {
		return fmt.Sprintf(`"%x"`, v.Data), nil
	}
	return "", noType(v)
}

// cmdQuote makes one argument within a batch file: the shell takes doubled percent
// signs for one, and programs take a backslash before the last quotation mark for an
// escape (CommandLineToArgvW).
func cmdQuote(s string) string {
	end := len(s) - len(strings.TrimRight(s, `\`))
	return `"` + strings.ReplaceAll(s, "%", "%%") + strings.Repeat(`\`, end) + `"`
}

// autoReuseScript sets the range of templates.
func autoReuseScript(c change) (string, error) {
	list, err := winreg.Templates(c.to)
	if err != nil {
		return "", err
	}
	return nt.SetAutoReuseScript(list)
}

// writePowerShell writes a script. A byte order mark tells Windows PowerShell that
// it is UTF-8.
func writePowerShell(_ For, s script) ([]File, error) {
	const eol = "\r\n"
	var b strings.Builder
	b.WriteString("\ufeff#Requires -RunAsAdministrator" + eol)
	b.WriteString(comment("#", s.head(), eol))
	b.WriteString("$ErrorActionPreference = 'Stop'" + eol)
	for _, c := range s.changes {
		line, err := shellLine(c)
		if err != nil {
			return nil, err
		}
		b.WriteString(line + eol)
	}
	if s.needsRestart() {
		b.WriteString("Write-Output 'Restart the system: it acts from then on.'" + eol)
	}
	return []File{{"portroom.ps1", false, []byte(b.String())}}, nil
}

func shellLine(c change) (string, error) {
	switch c.kind {
	case winreg.KindDynamic:
		d, err := winreg.Dynamic(c.object, c.to)
		return "netsh.exe " + strings.Join(nt.SetDynamicArgs(d), " ") + "; if ($LASTEXITCODE -ne 0) { throw 'netsh failed' }", err
	case winreg.KindAutoReuse:
		return autoReuseScript(c)
	}
	where := fmt.Sprintf("-LiteralPath %s -Name %s", psQuote(`HKLM:\`+c.key), psQuote(c.name))
	if c.to.Absent {
		return "Remove-ItemProperty " + where, nil
	}
	v, err := winreg.Value(c.name, c.to)
	if err != nil {
		return "", err
	}
	typ, data, err := psData(v)
	return fmt.Sprintf("New-ItemProperty %s -PropertyType %s -Value %s -Force | Out-Null", where, typ, data), err
}

// psData writes type and data of a value as New-ItemProperty takes them.
func psData(v registry.Value) (typ, data string, err error) {
	if n, err := v.Uint32(); err == nil && v.Type == registry.DWORD {
		if n > 1<<31-1 {
			return "DWord", fmt.Sprintf("0x%08X", n), nil // a negative Int32, which is the same bits
		}
		return "DWord", fmt.Sprint(n), nil
	}
	if list, ok := linesOf(v); ok {
		var quoted []string
		for _, l := range list {
			quoted = append(quoted, psQuote(l))
		}
		return "MultiString", "@(" + strings.Join(quoted, ", ") + ")", nil
	}
	if s, ok := textOf(v); ok {
		return map[registry.Type]string{registry.SZ: "String", registry.ExpandSZ: "ExpandString"}[v.Type], psQuote(s), nil
	}
	if v.Type == registry.Binary {
		var list []string
		for _, c := range v.Data {
			list = append(list, fmt.Sprint(c))
		}
		return "Binary", "([byte[]]@(" + strings.Join(list, ",") + "))", nil
	}
	return "", "", noType(v)
}

// psQuote makes a verbatim text. PowerShell takes typographic marks for quotation
// marks, too (about_Quoting_Rules).
func psQuote(s string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for _, r := range s {
		if strings.ContainsRune("'\u2018\u2019\u201a\u201b", r) {
			b.WriteRune(r)
		}
		b.WriteRune(r)
	}
	return b.String() + "'"
}
