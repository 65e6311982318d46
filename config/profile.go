package config

import (
	"slices"
	"time"
)

// Profiles of Raft's times, as raft.profile names them.
const (
	ProfileLAN = "lan" // coordinators some milliseconds from each other at most: the default
	ProfileWAN = "wan" // of several sites, or on slow or much shared disks
)

// profile is the times that go together. They decide only how soon a leader that is cut off, or stands still, is replaced:
// one whose process has ended is noticed by its closed connections, whatever the profile.
type profile struct {
	name                       string
	heartbeat, election, lease time.Duration
	transportWait              time.Duration
}

var profiles = []profile{
	{ProfileLAN, 600 * time.Millisecond, 600 * time.Millisecond, 600 * time.Millisecond, 2 * time.Second},
	{ProfileWAN, 3 * time.Second, 3 * time.Second, 3 * time.Second, 10 * time.Second},
}

func profileNames() []string {
	var names []string
	for _, p := range profiles {
		names = append(names, p.name)
	}
	return names
}

// adopt takes up the times of a profile. One that does not exist changes nothing: Validate names it.
func (r *Raft) adopt(name string) {
	i := slices.IndexFunc(profiles, func(p profile) bool { return p.name == name })
	if i < 0 {
		return
	}
	p := profiles[i]
	r.Heartbeat, r.Election, r.Lease, r.TransportWait = p.heartbeat, p.election, p.lease, p.transportWait
}
