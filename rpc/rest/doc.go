// Package rest holds the JSON documents of muster's HTTP interface and a Go client for it.
//
// The documents are one of muster's three vocabularies: fsm commands live in the log for years, wire messages cross
// between a coordinator and its workers, and these are what people, scripts and workers in other languages read and
// write. Field names are stable and only ever added to. Times are RFC 3339 in UTC, durations Go strings ("1m30s"),
// ids opaque strings that sort by age, states lower-case words.
//
// The package imports nothing of ours: rpc/api fills the documents from the state, rpc/spec reads [RequestSpec] from
// YAML and JSON, and the command line prints what [Client] returns.
//
// A [Client] is given several coordinators' addresses. Any of them answers (followers forward to the leader), so it
// asks one until it fails and then the next. It repeats what is safe to repeat, until its context ends:
//
//	GET, and everything that says the same twice    on connection errors and on 429 or 503 with Retry-After
//	Submit                                          the same, because it always carries an idempotency key
//	the rest (RetryRequest, JoinWorker, Pick)       only when it is certain that nothing was done
//
// It starts no goroutine.
package rest
