package cli

import (
	"context"
	"errors"
	"os"
	"runtime"

	"github.com/portroom/portroom/internal/atomicfile"
	"github.com/portroom/portroom/internal/secret"
	"github.com/portroom/portroom/internal/target"
	"github.com/portroom/portroom/registry"
	"github.com/portroom/portroom/registry/hive"
	"github.com/portroom/portroom/registry/regtext"
	"github.com/portroom/portroom/registry/remote"
)

// openers open the registries that a target names.
func (f *targetFlags) openers() target.Openers {
	return target.Openers{
		Hive: func(path string) (registry.Store, error) {
			h, err := hive.Open(path, hive.Options{})
			if err != nil {
				// The target names the file. A nil *File is none in the interface.
				return nil, errors.Unwrap(err)
			}
			if f.files != nil {
				h.ReplaceBy(f.replace)
			}
			return h, nil
		},
		Reg: func(path string) (registry.Store, error) {
			s, err := regtext.Open(path)
			if err != nil {
				return nil, err // not a nil *Store in the interface
			}
			if f.files != nil {
				s.ReplaceBy(f.replace)
			}
			return s, nil
		},
		Remote: f.openRemote,
	}
}

// replace puts a file in the place of another by the files of the flags.
func (f *targetFlags) replace(path string, b []byte, seen os.FileInfo) (os.FileInfo, error) {
	return atomicfile.ReplaceBy(f.files, path, b, seen)
}

// openRemote connects as the flags say. With --kerberos a password is used only
// where one is given: the tickets at hand are what it is for.
func (f *targetFlags) openRemote(ctx context.Context, host string) (registry.Store, error) {
	o := remote.Options{User: f.user, Kerberos: f.kerberos, Timeout: f.timeout}
	// On Windows the system connects as who runs this, and Open says so.
	if f.user != "" && (!f.kerberos || f.passwordFile != "") && runtime.GOOS != "windows" {
		var err error
		if o.Password, err = secret.Password(ctx, f.passwordFile, "Password of "+f.user+" at "+host+": "); err != nil {
			return nil, err
		}
	}
	if f.smb1 {
		o.MinProtocol = remote.NT1
	}
	return remote.Open(ctx, host, o)
}
