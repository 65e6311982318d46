// Package duplex runs one connection of wire frames after its handshake: calls and pushes in both directions.
//
//	Call, Push ──► queue ──► writing goroutine ──► one flush for all that waits
//	                                        conn
//	answers of calls ◄── reading goroutine ◄─────
//	                      └─► Handler: decodes, then a goroutine for each call that may block
//
// It is not a transport of its own: who dials, what a call means and whom to ask next is for rpc/client and rpc/server.
//
// Run owns every goroutine; once it has returned all have ended, every pending call has failed and the connection is
// closed. Everything is bounded: calls in flight, bytes that wait for a peer to read (a peer that does not is cut),
// bytes of messages that come in parts, and silence: a peer that says nothing is pinged, and cut if it stays silent.
package duplex
