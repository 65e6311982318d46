package rest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// Headers that muster's coordinators understand or send.
const (
	HeaderKey         = "Idempotency-Key"
	HeaderIndex       = "Muster-Index"   // of the state that was read: watch from there to miss nothing
	HeaderAge         = "Muster-Age"     // of a stale read: how old it may be, a Go duration
	HeaderAttempt     = "Muster-Attempt" // whose output this is
	HeaderLastEventID = "Last-Event-ID"
)

// ErrUnreachable is returned (inside an [UnreachableError]) when the context ended before any coordinator could do what
// was asked.
var ErrUnreachable = errors.New("no coordinator could answer")

// UnreachableError lists what was tried last at each address. It is [ErrUnreachable], and also the context's error and
// each address's own, such as a [*Problem].
type UnreachableError struct {
	Tried []Tried
	Cause error // why it was not tried further: the context's error, or that repeating was not safe
}

// Tried is an address and why it did not do.
type Tried struct {
	Address string
	Err     error
}

func (e *UnreachableError) Error() string {
	var b strings.Builder
	b.WriteString(ErrUnreachable.Error())
	for _, t := range e.Tried {
		fmt.Fprintf(&b, "\n  %s: %v", t.Address, t.Err)
	}
	if e.Cause != nil {
		fmt.Fprintf(&b, "\n  gave up: %v", e.Cause)
	}
	return b.String()
}

// Unwrap gives ErrUnreachable, the cause and what each address answered.
func (e *UnreachableError) Unwrap() []error {
	all := []error{ErrUnreachable}
	if e.Cause != nil {
		all = append(all, e.Cause)
	}
	for _, t := range e.Tried {
		all = append(all, t.Err)
	}
	return all
}

// Client calls muster's HTTP interface. It is safe for concurrent use. Every method blocks until it has an answer or
// its context ends; give it one that ends. Errors are *[Problem] when a coordinator answered with one and
// *[UnreachableError] when none did.
type Client struct {
	http  *http.Client
	token string
	bases []*url.URL
	next  atomic.Uint32 // index into bases of the one that answered last
}

// NewClient makes a client of the coordinators at addrs, each "host:port" or "http://host:port". The token is sent as
// a bearer token unless it is empty.
func NewClient(addrs []string, token string) (*Client, error) {
	c := &Client{token: token, http: &http.Client{
		Transport: &http.Transport{
			DialContext:           (&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}).DialContext,
			TLSHandshakeTimeout:   dialTimeout,
			ExpectContinueTimeout: time.Second,
			MaxIdleConnsPerHost:   16,
			IdleConnTimeout:       30 * time.Second,
		},
		// A coordinator forwards by itself; a redirect is not of its making and would carry the token away.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	for _, a := range addrs {
		u, err := parseBase(a)
		if err != nil {
			return nil, err
		}
		if u != nil {
			c.bases = append(c.bases, u)
		}
	}
	if len(c.bases) == 0 {
		return nil, errors.New("no coordinator address given: use --addr HOST:PORT or MUSTER_ADDR")
	}
	return c, nil
}

func parseBase(addr string) (*url.URL, error) {
	addr = strings.TrimSpace(addr)
	if addr == "" {
		return nil, nil
	}
	if !strings.Contains(addr, "://") {
		addr = "http://" + addr
	}
	u, err := url.Parse(addr)
	if err != nil {
		return nil, fmt.Errorf("coordinator address %q: %w", addr, err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("coordinator address %q: write HOST:PORT or http://HOST:PORT", addr)
	}
	u.Path = strings.TrimRight(u.Path, "/") + "/" // makes what is joined to it absolute
	return u, nil
}

// Close lets idle connections go. Calls that are under way are not ended by it.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// NewIdempotencyKey makes a random key for Submit.
func NewIdempotencyKey() string { return rand.Text() }
