// Package history records what clients asked of a cluster and what they were told, and judges it: is there one order of
// all those operations, each at some instant between its call and its answer, in which a plain sequential muster would
// have answered the same? (Linearizability, Herlihy and Wing 1990; the search is porcupine's.)
//
//	client ─► Recorder.Begin ─► call ─► Pending.Return | Unknown | Drop
//	                                         │
//	           Check: one model for each request (by its idempotency key) and one for each job ─► Verdict
//	           CheckReads: what no order may do with the log index that reads carry
//
// The models (request.go, job.go) are written from the promises alone and share nothing with package fsm. What the
// cluster does by itself (an attempt is lost, a request ends) is no operation: a model takes it as done as soon as an
// answer shows it, and from then on it stays done.
//
// An operation whose outcome is unknown may have taken effect at any instant after its call, or never; one that was
// refused for certain is dropped. A search that does not end in time is a failure as well.
//
// The clock is whatever the recorder is given: virtual time in testing/sim, the monotonic clock in testing/chaos.
package history
