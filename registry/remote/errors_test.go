package remote

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
)

func TestWhatSambaSaidIsRecognised(t *testing.T) {
	for name, c := range map[string]struct {
		text string // or the name of a file in testdata
		o    Options
		err  error
		hint string
	}{
		"a host of SMB1":                    {"smb1-only.stderr", Options{}, ErrProtocol, hintSMB1},
		"a host of SMB1 that was offered":   {"smb1-only.stderr", Options{MinProtocol: NT1}, ErrProtocol, hintProtocol},
		"a host that refuses SMB1":          {"smb1-refused.stderr", Options{MinProtocol: NT1, MaxProtocol: NT1}, ErrProtocol, hintProtocol},
		"a wrong password":                  {"wrong-password.stderr", Options{}, ErrLogon, hintLogon},
		"a closed port":                     {"refused.stderr", Options{}, ErrUnreachable, hintUnreachable},
		"a name without address":            {"unresolved.stderr", Options{}, ErrUnreachable, hintUnreachable},
		"no ticket":                         {"no-ticket.stderr", Options{Kerberos: true}, ErrLogon, hintKerberos},
		"no pipes":                          {"no-pipe.stderr", Options{}, ErrService, hintPipe},
		"an absent key":                     {"absent.stderr", Options{}, errAbsent, ""},
		"an absent value":                   {"delete-absent.stderr", Options{}, errAbsent, ""},
		"a refused deletion":                {"delete-refused.stderr", Options{}, fs.ErrPermission, hintAccess},
		"a refused write":                   {"refused-write.stderr", Options{}, errRefused, ""},
		"no service":                        {"Could not initialise pipe winreg. Error was NT_STATUS_OBJECT_NAME_NOT_FOUND\n", Options{}, ErrService, hintService},
		"no right to the service":           {"Could not initialise pipe winreg. Error was NT_STATUS_ACCESS_DENIED\n", Options{}, fs.ErrPermission, hintAccess},
		"no right to a key":                 {"registry_openkey failed: NT_STATUS_ACCESS_DENIED\n", Options{}, fs.ErrPermission, hintAccess},
		"a guest, as of ForceGuest":         {"Connection failed: NT_STATUS_ACCESS_DENIED\n", Options{}, fs.ErrPermission, hintAccess},
		"a locked account":                  {"Connection failed: NT_STATUS_ACCOUNT_LOCKED_OUT\n", Options{}, ErrLogon, hintAccount},
		"a packet filter":                   {"Connection failed: NT_STATUS_IO_TIMEOUT\n", Options{}, context.DeadlineExceeded, hintTimeout},
		"a connection that broke":           {"enumerating values failed: NT_STATUS_CONNECTION_DISCONNECTED\n", Options{}, ErrGone, hintGone},
		"what is not known":                 {"enumerating keys failed: NT_STATUS_SOMETHING_ELSE\n", Options{}, errRefused, ""},
		"nothing":                           {"", Options{}, nil, ""},
		"a warning":                         {"Error reading password from file descriptor 3: empty password\n", Options{}, nil, ""},
		"a status that the host made up":    {"x failed: NT_STATUS_\x1b[31m\n", Options{}, nil, ""},
		"a status in the name of something": {"dcerpc_winreg_OpenKey failed: NT_STATUSES WERR_ACCESS_DENIED\n", Options{}, fs.ErrPermission, hintAccess},
	} {
		t.Run(name, func(t *testing.T) {
			text := c.text
			if strings.HasSuffix(text, ".stderr") {
				text = recorded(t, text)
			}
			if e := classify(text, c.o); !errors.Is(e.Err, c.err) || (e.Err == nil) != (c.err == nil) || e.Hint != c.hint {
				t.Errorf("%+v", e)
			}
		})
	}
}
