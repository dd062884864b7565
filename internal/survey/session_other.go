//go:build !linux

package survey

import (
	"context"

	"github.com/portroom/portroom/host"
	"github.com/portroom/portroom/socket"
)

// A Session measures again and again.
type Session struct{}

// NewSession returns a session where the system can be measured.
func NewSession(socket.Engine) (*Session, error) {
	if err := host.Supported(); err != nil {
		return nil, err
	}
	return &Session{}, nil
}

// Close does nothing.
func (*Session) Close() error { return nil }

// Each measures as the function of this name does.
func (*Session) Each(ctx context.Context, opt Options, fn func(*View) error) error {
	return Each(ctx, opt, fn)
}
