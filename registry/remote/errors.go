package remote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The ways in which a host's registry cannot be reached or changed.
var (
	// ErrLogon: the host does not let the user in, or not with this password.
	ErrLogon = errors.New("the logon failed")
	// ErrUnreachable: nothing answers there.
	ErrUnreachable = errors.New("the host cannot be reached")
	// ErrProtocol: no version of SMB that both sides accept.
	ErrProtocol = errors.New("no common version of SMB")
	// ErrService: the host answers, its registry service does not.
	ErrService = errors.New("the registry service of the host does not answer")
	// ErrGone: the host stopped answering in the middle of a call.
	ErrGone = errors.New("the connection broke")
	// ErrNotInstalled: the tool that reaches the host is not on this system.
	ErrNotInstalled = errors.New("net(8) of Samba is not installed")
	// ErrUnchanged: a change was sent, and the host does not have it.
	ErrUnchanged = errors.New("the change did not happen")
)

// An Error is a failed call to a host. Its text is one sentence that ends in what
// to do.
type Error struct {
	Op     string // such as "read"
	Key    string // below HKEY_LOCAL_MACHINE
	Host   string
	Status string // what the host or Samba said, such as "NT_STATUS_LOGON_FAILURE"; may be empty
	Hint   string // what to do; may be empty
	Err    error
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, `%s HKLM\%s of %s: %v`, e.Op, e.Key, e.Host, e.Err)
	if e.Key == "" {
		b.Reset()
		fmt.Fprintf(&b, `%s HKLM of %s: %v`, e.Op, e.Host, e.Err)
	}
	if e.Status != "" {
		fmt.Fprintf(&b, " (%s)", e.Status)
	}
	if e.Hint != "" {
		b.WriteString(": " + e.Hint)
	}
	return b.String()
}

// Unwrap returns the sentinel.
func (e *Error) Unwrap() error { return e.Err }

// timeoutError is how long an answer was waited for; 0 when it is not known.
type timeoutError time.Duration

func (e timeoutError) Error() string {
	if e == 0 {
		return "no answer"
	}
	return "no answer within " + time.Duration(e).String()
}

// Is makes it a [context.DeadlineExceeded].
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// Timeout makes it what net.Error calls a time-out.
func (timeoutError) Timeout() bool { return true }

// cutShort completes the error of a call that ended because the caller's ctx is
// done, or, if it is not, because the time for one call was over.
func cutShort(ctx context.Context, e Error, after time.Duration) error {
	if e.Err = ctx.Err(); e.Err == nil {
		e.Err, e.Hint = timeoutError(after), hintTimeout
	}
	return &e
}

// errAbsent stands for a key or value that is absent until it is known which.
var errAbsent = errors.New("absent")

// What to do about each kind of failure.
const (
	hintAccess = "the user must be an administrator there, or be let in by the key winreg's permissions; " +
		"XP takes every remote user for Guest until its policy ForceGuest is 0"
	hintLogon       = `user or password is wrong: check --user (DOMAIN\user or user@domain) and the password`
	hintUnreachable = "check the host's name and that its firewall lets TCP port 445 in (file and printer sharing)"
	hintTimeout     = "check the host's name and its firewall (TCP port 445), or give it longer with --timeout"
	hintService     = "start the service RemoteRegistry there (sc config RemoteRegistry start= demand, then sc start RemoteRegistry)"
	hintPipe        = "the host does not offer what its registry is reached through (named pipes lsarpc and winreg)"
	hintSMB1        = "Windows NT 4.0, 2000, XP and Server 2003 need SMB1: ask for it with --smb1"
	hintProtocol    = "the host refuses the versions of SMB that were offered"
	hintGone        = "the host went down, or closed the connection; ask again"
	hintKerberos    = "no valid ticket for this user and host: run kinit, give the host by its full name, or leave --kerberos away"
	hintInstall     = "install it (Debian, Ubuntu: samba-common-bin; Fedora, RHEL: samba-common-tools; FreeBSD, macOS: samba), or read the host's hive file"
	hintImport      = "Samba sets values of this type through a key that it opened for reading, which Windows may refuse: set it on the host itself"
	hintValue       = "the host's registry does not take it"
	hintAccount     = "have the account enabled or its password renewed"
)

// kinds are the statuses that have a meaning of their own. Samba renders the
// host's WERROR codes as NT statuses, two of them in ways of its own.
var kinds = map[string]struct {
	err  error
	hint string
}{
	"NT_STATUS_ACCESS_DENIED":            {fs.ErrPermission, hintAccess},
	"WERR_ACCESS_DENIED":                 {fs.ErrPermission, hintAccess},
	"NT_STATUS_NETWORK_ACCESS_DENIED":    {fs.ErrPermission, hintAccess},
	"NT_STATUS_PRIVILEGE_NOT_HELD":       {fs.ErrPermission, hintAccess},
	"NT_STATUS_LOGON_FAILURE":            {ErrLogon, hintLogon},
	"NT_STATUS_NO_SUCH_USER":             {ErrLogon, hintLogon},
	"NT_STATUS_WRONG_PASSWORD":           {ErrLogon, hintLogon},
	"NT_STATUS_NO_LOGON_SERVERS":         {ErrLogon, hintLogon},
	"NT_STATUS_ACCOUNT_DISABLED":         {ErrLogon, hintAccount},
	"NT_STATUS_ACCOUNT_LOCKED_OUT":       {ErrLogon, hintAccount},
	"NT_STATUS_ACCOUNT_RESTRICTION":      {ErrLogon, hintAccount},
	"NT_STATUS_ACCOUNT_EXPIRED":          {ErrLogon, hintAccount},
	"NT_STATUS_PASSWORD_EXPIRED":         {ErrLogon, hintAccount},
	"NT_STATUS_PASSWORD_MUST_CHANGE":     {ErrLogon, hintAccount},
	"NT_STATUS_LOGON_TYPE_NOT_GRANTED":   {ErrLogon, hintAccount},
	"NT_STATUS_CONNECTION_REFUSED":       {ErrUnreachable, hintUnreachable},
	"NT_STATUS_HOST_UNREACHABLE":         {ErrUnreachable, hintUnreachable},
	"NT_STATUS_NETWORK_UNREACHABLE":      {ErrUnreachable, hintUnreachable},
	"NT_STATUS_BAD_NETWORK_NAME":         {ErrUnreachable, hintUnreachable},
	"NT_STATUS_IO_TIMEOUT":               {timeoutError(0), hintTimeout},
	"NT_STATUS_PIPE_NOT_AVAILABLE":       {ErrService, hintService},
	"NT_STATUS_INSTANCE_NOT_AVAILABLE":   {ErrService, hintService},
	"NT_STATUS_RPC_SERVER_UNAVAILABLE":   {ErrService, hintService},
	"WERR_RPC_S_SERVER_UNAVAILABLE":      {ErrService, hintService},
	"NT_STATUS_NO_SUCH_DEVICE":           {errAbsent, ""}, // WERR_FILE_NOT_FOUND, 2
	"NT_STATUS_OBJECT_NAME_NOT_FOUND":    {errAbsent, ""},
	"NT_STATUS_OBJECT_PATH_NOT_FOUND":    {errAbsent, ""},
	"NT_STATUS_NO_SUCH_FILE":             {errAbsent, ""},
	"WERR_FILE_NOT_FOUND":                {errAbsent, ""},
	"NT_STATUS_CONNECTION_RESET":         {ErrGone, hintGone},
	"NT_STATUS_CONNECTION_ABORTED":       {ErrGone, hintGone},
	"NT_STATUS_CONNECTION_DISCONNECTED":  {ErrGone, hintGone},
	"NT_STATUS_LOCAL_DISCONNECT":         {ErrGone, hintGone},
	"NT_STATUS_REMOTE_DISCONNECT":        {ErrGone, hintGone},
	"NT_STATUS_NETWORK_NAME_DELETED":     {ErrGone, hintGone},
	"NT_STATUS_PIPE_BROKEN":              {ErrGone, hintGone},
	"NT_STATUS_PIPE_DISCONNECTED":        {ErrGone, hintGone},
	"NT_STATUS_INVALID_NETWORK_RESPONSE": {ErrProtocol, hintProtocol},
	"NT_STATUS_NOT_SUPPORTED":            {ErrProtocol, hintProtocol},
	"NT_STATUS_REVISION_MISMATCH":        {ErrProtocol, hintProtocol},
}

var (
	statusWord = regexp.MustCompile(`\b(?:NT_STATUS|WERR)_[A-Z0-9_]{1,80}\b`)
	// noPipe is a connection to the host through which a service of it, such as
	// "winreg", could not be reached. Of older Samba the name of "lsa" comes first.
	noPipe = regexp.MustCompile(`Could not initialise (?:pipe (\w+)|(\w+) pipe)`)
)

// What net(8) says when it did not come as far as the registry.
const (
	noAddress = "Unable to resolve server name"
	noServer  = "Unable to find a suitable server"
	noTicket  = "Kerberos auth with"
	noLogon   = "Connection failed:"
)

// classify turns what net(8) wrote to stderr into the fields of an [Error]; Err is
// nil if it says nothing that is known. The text comes from the network in part
// and is never repeated, but for the names of statuses.
func classify(stderr string, o Options) Error {
	_, afterLogon, connecting := strings.Cut(stderr, noLogon)
	status := statusWord.FindString(stderr)
	if connecting {
		status = statusWord.FindString(afterLogon)
	}
	k, known := kinds[status]
	is := func(list ...error) bool {
		return slices.ContainsFunc(list, func(e error) bool { return errors.Is(k.err, e) })
	}
	switch pipe := noPipe.FindStringSubmatch(stderr); {
	case strings.Contains(stderr, noAddress), strings.Contains(stderr, noServer):
		return Error{Err: ErrUnreachable, Hint: hintUnreachable}
	case o.Kerberos && strings.Contains(stderr, noTicket):
		return Error{Status: status, Err: ErrLogon, Hint: hintKerberos}
	case pipe != nil && !is(fs.ErrPermission, ErrGone, context.DeadlineExceeded):
		hint := hintService
		if pipe[1] != "winreg" {
			hint = hintPipe
		}
		return Error{Status: status, Err: ErrService, Hint: hint}
	case status == "":
		return Error{}
	case connecting && is(ErrGone, ErrProtocol):
		// A host without SMB2 closes the connection, or answers what is no answer.
		if o.minProtocol() != NT1 {
			return Error{Status: status, Err: ErrProtocol, Hint: hintSMB1}
		}
		return Error{Status: status, Err: ErrProtocol, Hint: hintProtocol}
	case !known, !connecting && is(ErrUnreachable, ErrProtocol), connecting && is(errAbsent):
		return Error{Status: status, Err: errRefused}
	}
	return Error{Status: status, Err: k.err, Hint: k.hint}
}

// errRefused is a status that has no meaning of its own here.
var errRefused = errors.New("the host refuses")

func (o Options) minProtocol() Protocol {
	if o.MinProtocol == "" {
		return SMB2
	}
	return o.MinProtocol
}

func (o Options) maxProtocol() Protocol {
	if o.MaxProtocol == "" {
		return SMB3
	}
	return o.MaxProtocol
}
