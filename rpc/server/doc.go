// Package server answers the RPC port: it accepts a connection after its preface, checks who is there, converts wire
// messages to the state machine's commands and back, and calls the Tasker.
//
//	conn ─► ServeConn ─► Hello/Welcome ─► duplex.Conn ─► serve_*.go ─► Tasker
//	                                        ▲                            │
//	        pushes: Granted, Stop ──────────┴── workerLink ◄─────────────┘
//	        pushes: Leader ◄── leaderWatch, to every connection
//
// It never forwards: a coordinator that does not lead answers NotLeader with the leader's address, and tells every
// connection when the leader changes, so that clients need not ask around.
//
// convert.go is the one place where wire and fsm meet, cluster.go the one that knows package cluster.
//
// A Server has no goroutine while it has no connection. ServeConn owns those of its connection; the leaderWatch lives
// from the first connection to the last, the requestWatch while anyone waits for a request to end.
package server
