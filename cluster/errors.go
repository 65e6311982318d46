package cluster

import (
	"errors"
	"fmt"
)

var (
	// ErrNoLeader is returned when no leader is known: less than a majority of the coordinators reach each other, or
	// an election is under way.
	ErrNoLeader = errors.New("no leader: less than a majority of the coordinators reach each other, or an election is under way")
	// ErrOverloaded is returned when more is proposed than can be committed. Nothing was proposed; try again later.
	ErrOverloaded = errors.New("overloaded")
	errQueueFull  = fmt.Errorf("%w: more is proposed than can be committed", ErrOverloaded)
	// ErrUnknownOutcome is returned when leadership was lost with the proposal under way: it may or may not take
	// effect. Only what is idempotent may be tried again.
	ErrUnknownOutcome = errors.New("leadership was lost while this was being committed: its outcome is unknown")
	// ErrDiskFull is returned for submits while the leader's disk is nearly full.
	ErrDiskFull = errors.New("the leader's disk is nearly full: free space in its data directory")
	// ErrMemoryFull is returned for submits while the leader's memory is nearly full. It is an ErrOverloaded.
	ErrMemoryFull = fmt.Errorf("%w: the leader's memory is nearly full", ErrOverloaded)
	// ErrBadSnapshot is returned for what cannot be restored, with what is wrong. Nothing was changed.
	ErrBadSnapshot = errors.New("this cannot be restored")
	// ErrForeignSnapshot is returned for the snapshot of another cluster. Nothing was changed.
	ErrForeignSnapshot = errors.New("the snapshot is of another cluster")
	// ErrWorkerGone is returned when a worker is not connected to this coordinator.
	ErrWorkerGone = errors.New("the worker is not connected")
	// ErrBadServer is returned for a coordinator that is not a member.
	ErrBadServer = errors.New("no such coordinator")
)

// NotLeaderError is returned for what only the leader does. Leader is where to go, as far as this node knows.
type NotLeaderError struct{ Leader Peer }

func (e *NotLeaderError) Error() string {
	if e.Leader.ID == "" {
		return "not the leader, and no leader is known"
	}
	return fmt.Sprintf("not the leader: %s at %s is", e.Leader.Name, e.Leader.RPC)
}

// Is makes an error without a known leader match ErrNoLeader.
func (e *NotLeaderError) Is(target error) bool { return target == ErrNoLeader && e.Leader.ID == "" }
