package samba

import (
	"net"
	"strconv"
	"strings"
	"testing"
)

func TestAServerStartsIsFilledAndEnds(t *testing.T) {
	s := Start(t, NT1)
	s.Fill(t, "Windows Registry Editor Version 5.00\n\n[HKLM\\SYSTEM\\Select]\n\"Current\"=dword:00000001\n")
	out, err := s.Judge(t.Context(), "getvalue", `HKLM\SYSTEM\Select`, "Current")
	if err != nil || !strings.Contains(out, "REG_DWORD") {
		t.Errorf("%v: %s", err, out)
	}
	s.Stop()
	if c, err := net.Dial("tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port))); err == nil {
		c.Close()
		t.Error("a stopped server takes connections")
	}
}
