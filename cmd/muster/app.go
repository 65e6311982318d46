package main

import (
	"context"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"github.com/musterhq/muster/rpc/rest"
)

const (
	defaultAddr    = "127.0.0.1:7070"
	defaultTimeout = 10 * time.Second
	// submitRate is how many bytes of a request a second are surely read, checked and replicated.
	submitRate = 256 << 10
)

// app is what every command has: the streams, the environment and the global flags.
type app struct {
	in      io.Reader
	out     io.Writer // data
	err     io.Writer // talk
	env     func(string) string
	environ func() []string
	hurry   *atomic.Pointer[func()] // what a second signal does instead of ending the process; nil: nothing listens

	addrs   []string
	token   string
	output  string // table, json or yaml
	timeout time.Duration
	leaving bool // the cluster ends with this command: what to ask it next is of no use
}

// client makes a client of the coordinators that the flags or the environment name.
func (a *app) client() (*rest.Client, error) {
	c, err := rest.NewClient(a.addresses(), firstOf(a.token, a.env("MUSTER_TOKEN")))
	if err != nil {
		return nil, &usageError{err}
	}
	return c, nil
}

func (a *app) addresses() []string {
	if len(a.addrs) > 0 {
		return a.addrs
	}
	return strings.Split(firstOf(a.env("MUSTER_ADDR"), defaultAddr), ",")
}

// patient bounds a call to the cluster by --timeout.
func (a *app) patient(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, a.timeout)
}

// patientWith is patient, and the more so the larger the body is.
func (a *app) patientWith(ctx context.Context, body int) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, a.timeout+time.Duration(body)*time.Second/submitRate)
}

// ask runs one call to the cluster, bounded by --timeout.
func ask[T any](ctx context.Context, a *app, call func(context.Context, *rest.Client) (T, error)) (T, error) {
	c, err := a.client()
	if err != nil {
		var none T
		return none, err
	}
	defer c.Close()
	ctx, cancel := a.patient(ctx)
	defer cancel()
	return call(ctx, c)
}

// terminal says whether w is a terminal that can be drawn on.
func (a *app) terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && a.env("TERM") != "dumb"
}

// columns is the width of a terminal, 0 when it is not known.
func columns(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// colour says whether what is written to w may be coloured.
func (a *app) colour(w io.Writer) bool { return a.terminal(w) && a.env("NO_COLOR") == "" }

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
