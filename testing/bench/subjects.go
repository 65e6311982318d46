package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/musterhq/muster/testing/bench/ceiling"
	"github.com/musterhq/muster/testing/bench/peer"
)

// subject is a peer, muster or a ceiling, by the name that it is chosen by.
type subject struct {
	name string
	peer peer.Peer
}

// subjects lists all, in the order in which a round takes them.
func subjects(muster string) []subject {
	return []subject{
		{"fsync", ceiling.Fsync{}},
		{"raft-boltdb", ceiling.Raft{LogStore: ceiling.Bolt}},
		{"raft-wal", ceiling.Raft{LogStore: ceiling.WAL}},
		{"queue-boltdb", ceiling.Queue{LogStore: ceiling.Bolt}},
		{"queue-wal", ceiling.Queue{LogStore: ceiling.WAL}},
		{"muster-boltdb", peer.Muster{Binary: muster, LogStore: ceiling.Bolt}},
		{"muster-wal", peer.Muster{Binary: muster, LogStore: ceiling.WAL, Brief: true}},
		{"nats", peer.NATS{}},
		{"rabbitmq", peer.RabbitMQ{}},
		{"river", peer.River{}},
		{"asynq", peer.Asynq{}},
		{"beanstalkd", peer.Beanstalkd{}},
		{"etcd", peer.Etcd{}},
		{"celery", peer.Celery{}},
		{"dask", peer.Dask{}},
		{"slurm", peer.Slurm{}},
	}
}

// groups are names for several subjects.
var groups = map[string][]string{
	"ceilings": {"fsync", "raft-boltdb", "raft-wal", "queue-boltdb", "queue-wal"},
	"muster":   {"muster-boltdb", "muster-wal"},
}

// choose picks the subjects that are named; no name: all.
func choose(all []subject, names []string) ([]subject, error) {
	if len(names) == 0 {
		return all, nil
	}
	var wanted []string
	for _, n := range names {
		if g, ok := groups[n]; ok {
			wanted = append(wanted, g...)
		} else {
			wanted = append(wanted, n)
		}
	}
	var chosen []subject
	var known []string
	for _, s := range all {
		known = append(known, s.name)
		if slices.Contains(wanted, s.name) {
			chosen = append(chosen, s)
		}
	}
	for _, n := range wanted {
		if !slices.Contains(known, n) {
			return nil, fmt.Errorf("--peers: nothing is called %q: choose from %s, or ceilings, muster", n, strings.Join(known, ", "))
		}
	}
	return chosen, nil
}
