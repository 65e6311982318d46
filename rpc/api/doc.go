// Package api is the HTTP face of a coordinator: JSON, Server-Sent Events, metrics and the OpenAPI document.
//
//	                         ┌─ local: health, events, openapi, metrics, stale reads, status
//	request ─ route table ───┤
//	                         └─ else: this node leads?  yes ─ handler ─ Tasker
//	                                                    no  ─ reverse proxy to the leader, once (Muster-Forwarded)
//
// One table (routes.go) registers the handlers, tells what is forwarded and what is bounded how, and is what the
// OpenAPI document is generated from, so that the three cannot drift apart. A handler returns an error; problem.go alone
// knows how an error looks as problem+json. convert.go alone knows both the state's words and the documents of rpc/rest.
//
// Events are served by whichever coordinator is asked, so that a stream outlives elections: the log's indexes are the
// same everywhere. A coordinator that no longer knows a leader ends its streams, and the client goes elsewhere.
//
// # Browsers
//
// browser.go decides what a page may ask for, by where it came from; dashboard.go serves the dashboard, which is embedded
// as it is written: modules that browsers run without a build (dashboard/app.js is where to begin).
//
// # What is bounded
//
// Bodies (by route), JSON depth, pages (by number and bytes), watchers, long polls, submits being read at one time,
// and how long a peer may take to send its headers and body or to take its answer.
//
// # Goroutines
//
// New starts none. Serve owns those of net/http; when it returns they have ended.
package api
