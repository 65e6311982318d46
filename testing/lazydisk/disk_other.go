//go:build !linux

package lazydisk

import (
	"errors"
	"math/rand/v2"
	"time"
)

var errNoFUSE = errors.New("lazydisk is for Linux")

// Disk stands in for what only Linux has.
type Disk struct{}

// Loss is what a power loss took.
type Loss struct{ Pages, Torn, Names int }

// Allowed says that this machine does not let a test mount a Disk.
func Allowed() error { return errNoFUSE }

// Mount returns an error.
func Mount(string) (*Disk, error) { return nil, errNoFUSE }

// Unmount does nothing, as do all the others.
func (*Disk) Unmount() error                     { return nil }
func (*Disk) SlowSync(time.Duration)             {}
func (*Disk) FailSync(int)                       {}
func (*Disk) Fill(bool)                          {}
func (*Disk) IgnoreSync(bool)                    {}
func (*Disk) Hang()                              {}
func (*Disk) Hangs() bool                        { return false }
func (*Disk) Heal()                              {}
func (*Disk) Settle() error                      { return nil }
func (*Disk) PowerLoss(*rand.Rand) (Loss, error) { return Loss{}, errNoFUSE }
