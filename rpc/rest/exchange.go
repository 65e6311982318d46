package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	dialTimeout       = 3 * time.Second
	answerTimeoutGet  = 10 * time.Second // a coordinator that hangs (paused machine) is given up after this
	answerTimeoutPost = 60 * time.Second // a large request takes its time to be checked and replicated
	retryFirst        = 50 * time.Millisecond
	retryMax          = time.Second
	responseBytesMax  = 256 << 20
	problemBytesMax   = 1 << 20
)

// errOutcome is the cause of giving up on a call that must not be repeated.
var errOutcome = errors.New("the call may or may not have taken effect, and repeating it is not safe; look before you try again")

// call is one thing to ask for.
type call struct {
	method      string
	path        string // of escaped segments
	query       url.Values
	body        []byte
	file        *io.SectionReader // the body instead of body; nil: none
	contentType string
	header      http.Header
	repeatable  bool          // saying it twice is the same as once
	patience    time.Duration // for the header of the answer, and for silence within it; 0: by method
}

// exchange sends the call until a coordinator answers with a status below 300. The caller closes the body.
func (c *Client) exchange(ctx context.Context, k call) (*http.Response, error) {
	tried := make([]Tried, len(c.bases))
	wait := retryFirst
	for {
		pause := wait/2 + mathrand.N(wait/2)
		for range c.bases {
			at := int(c.next.Load()) % len(c.bases)
			resp, err := c.attempt(ctx, c.bases[at], k)
			if err == nil {
				return resp, nil
			}
			if p, ok := err.(*Problem); ok && !p.Temporary() {
				return nil, p
			} else if ok {
				pause = max(pause, time.Duration(p.RetryAfter))
			}
			if ctx.Err() == nil || tried[at].Err == nil { // why it failed before says more than that time is up
				tried[at] = Tried{c.bases[at].Host, err}
			}
			c.next.CompareAndSwap(uint32(at), uint32((at+1)%len(c.bases)))
			if ctx.Err() != nil {
				return nil, unreachable(tried, context.Cause(ctx))
			}
			if !k.repeatable && !nothingDone(err) {
				return nil, unreachable(tried, errOutcome)
			}
		}
		if !sleep(ctx, pause) {
			return nil, unreachable(tried, context.Cause(ctx))
		}
		wait = min(2*wait, retryMax)
	}
}

func unreachable(tried []Tried, cause error) error {
	e := &UnreachableError{Cause: cause}
	for _, t := range tried {
		if t.Err != nil {
			e.Tried = append(e.Tried, t)
		}
	}
	return e
}

// nothingDone says that the call was certainly not carried out.
func nothingDone(err error) bool {
	var p *Problem
	if errors.As(err, &p) {
		return p.NothingDone()
	}
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// errHang is why an attempt is given up.
var errHang = errors.New("no answer in time")

// attempt asks one coordinator once. An answer of 300 or more comes back as a *Problem.
func (c *Client) attempt(ctx context.Context, base *url.URL, k call) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	hang := time.AfterFunc(k.answerTimeout(), func() { cancel(errHang) })
	req := c.request(ctx, base, k)
	if k.file != nil {
		req.ContentLength = k.file.Size()
		req.Body = &watchedFile{Reader: io.NewSectionReader(k.file, 0, k.file.Size()), hang: hang, patience: k.answerTimeout()}
		req.Header.Set("Content-Type", k.contentType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		hang.Stop()
		defer cancel(nil)
		if errors.Is(context.Cause(ctx), errHang) {
			err = fmt.Errorf("%w after %s", errHang, k.answerTimeout())
		}
		return nil, plainError(err)
	}
	resp.Body = &watchedBody{ReadCloser: resp.Body, hang: hang, patience: k.answerTimeout(), cancel: cancel, ctx: ctx}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		return nil, readProblem(resp)
	}
	return resp, nil
}

func (k call) answerTimeout() time.Duration {
	switch {
	case k.patience > 0:
		return k.patience
	case k.method == http.MethodGet:
		return answerTimeoutGet
	}
	return answerTimeoutPost
}

func (c *Client) request(ctx context.Context, base *url.URL, k call) *http.Request {
	u := *base
	u.RawQuery = k.query.Encode()
	r := &http.Request{
		Method: k.method, URL: u.JoinPath(k.path), Header: k.header.Clone(), Host: u.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if k.body != nil {
		r.ContentLength = int64(len(k.body))
		r.Body = io.NopCloser(bytes.NewReader(k.body))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(k.body)), nil }
		r.Header.Set("Content-Type", k.contentType)
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	return r.WithContext(ctx)
}

// plainError takes off what http.Client puts around an error: the address is told elsewhere.
func plainError(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// watchedBody gives a body up when nothing comes for too long: a coordinator whose machine hangs keeps its connections.
type watchedBody struct {
	io.ReadCloser
	ctx      context.Context
	cancel   context.CancelCauseFunc
	hang     *time.Timer
	patience time.Duration
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.hang.Reset(b.patience)
	}
	if err != nil && err != io.EOF && errors.Is(context.Cause(b.ctx), errHang) {
		err = fmt.Errorf("%w: silent for %s", errHang, b.patience)
	}
	return n, err
}

func (b *watchedBody) Close() error {
	b.hang.Stop()
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}

// watchedFile is a body that may take long to send: a call is given up when nothing of it is taken for too long.
type watchedFile struct {
	io.Reader
	hang     *time.Timer
	patience time.Duration
}

func (f *watchedFile) Read(p []byte) (int, error) {
	f.hang.Reset(f.patience)
	return f.Reader.Read(p)
}

// Close does nothing: the file is the caller's.
func (f *watchedFile) Close() error { return nil }

// readProblem reads an error answer, also one that is not muster's (a proxy in between).
func readProblem(resp *http.Response) *Problem {
	p := &Problem{}
	body, err := io.ReadAll(io.LimitReader(resp.Body, problemBytesMax))
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), ProblemType) || err != nil || json.Unmarshal(body, p) != nil {
		p = &Problem{Detail: strings.TrimSpace(string(body[:min(len(body), 500)]))}
		if resp.StatusCode == http.StatusBadGateway || resp.StatusCode == http.StatusServiceUnavailable {
			p.Code = CodeUnknownOutcome
		}
	}
	p.Status = resp.StatusCode
	if p.Title == "" {
		p.Title = http.StatusText(resp.StatusCode)
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && p.RetryAfter == 0 && seconds > 0 {
		p.RetryAfter = Duration(time.Duration(seconds) * time.Second)
	}
	return p
}

// ask sends in as JSON (unless it is nil) and reads the answer into out (unless it is nil). It gives the index of the
// state that was read, if the answer tells.
func (c *Client) ask(ctx context.Context, k call, in, out any) (index uint64, err error) {
	if in != nil {
		if k.body, err = json.Marshal(in); err != nil {
			return 0, fmt.Errorf("write the body of %s %s: %w", k.method, k.path, err)
		}
		k.contentType = "application/json"
	}
	for {
		resp, err := c.exchange(ctx, k)
		if err != nil {
			return 0, err
		}
		index, _ = strconv.ParseUint(resp.Header.Get(HeaderIndex), 10, 64)
		err = readJSON(resp, out)
		// An answer cut off in the middle is as good as none.
		if err == nil || !k.repeatable || ctx.Err() != nil || !errors.Is(err, errCutOff) {
			return index, err
		}
	}
}

// errCutOff means that the connection broke within an answer.
var errCutOff = errors.New("answer cut off")

func readJSON(resp *http.Response, out any) error {
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, responseBytesMax+1))
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errCutOff, err)
	case len(body) > responseBytesMax:
		return fmt.Errorf("answer is larger than %d bytes: ask for fewer with limit", responseBytesMax)
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("answer of %s is not what muster sends: %w", resp.Request.URL.Host, err)
	}
	return nil
}

// get asks with GET.
func get[T any](ctx context.Context, c *Client, query url.Values, segments ...string) (out T, index uint64, err error) {
	index, err = c.ask(ctx, call{method: http.MethodGet, path: path(segments), query: query, repeatable: true}, nil, &out)
	return out, index, err
}

// post asks with POST for something that may be said twice.
func post[T any](ctx context.Context, c *Client, in any, segments ...string) (out T, err error) {
	_, err = c.ask(ctx, call{method: http.MethodPost, path: path(segments), repeatable: true}, in, &out)
	return out, err
}

func path(segments []string) string {
	var b strings.Builder
	b.WriteString("/v1")
	for _, s := range segments {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(s))
	}
	return b.String()
}
