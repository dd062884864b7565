package hive

import (
	"errors"

	"github.com/portroom/portroom/registry"
)

var errNotYet = errors.New("hives are read only as yet")

// Create makes a key and those above it that are absent.
func (h *Hive) Create(path string) error { return errNotYet }

// Set writes one value of a key that is there.
func (h *Hive) Set(path string, v registry.Value) error { return errNotYet }

// Delete removes one value.
func (h *Hive) Delete(path, name string) error { return errNotYet }

// DeleteKey removes a key with everything below it. The root stays.
func (h *Hive) DeleteKey(path string) error { return errNotYet }
