// Package sim runs whole clusters in virtual time: the real coordinators (cluster.Assemble: Raft, committer, leader's
// loops, state machine) on a simulated network, simulated disks and simulated clocks, with simulated workers and clients.
//
//	nemesis ─► network (loss, delay, duplicates, reordering, cuts), disks (latency, stalls, crashes), wall clocks, workers
//	clients ─► Tasker ─┐
//	workers ─► Tasker ─┴► 3 or 5 coordinators ─► watchers ─► annals ─► checks
//	   └─ each call, with its times and its answer ─► testing/history: is it linearizable?
//
// A run lives in a bubble of testing/synctest: when every goroutine waits, the clock jumps. One seed decides the plan of
// faults, the load, and the fate of each message by its link and its number on that link, so it does not hang on which
// goroutine ran first. What the Go scheduler does within one instant is not replayed; latencies are drawn to the
// nanosecond, so that little happens in one instant.
//
// A crash takes a node's disk as it is, with the writes that were under way made or not as the seed says, and cuts the
// old process off from everything: it may run on to its end, but nobody hears of it.
package sim
