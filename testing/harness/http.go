package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// callBound is how long one HTTP call may take before another coordinator is asked. It is above what a healthy
// coordinator on a busy machine takes, and below BoundDefault so that a stalled one does not fail the test.
const callBound = 15 * time.Second

// askForever leaves the end of a call to its context.
const askForever = 24 * time.Hour

func newClient(dial dialFunc) *http.Client {
	return &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 32, DialContext: dial},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Answer is an HTTP answer, read to its end.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Decode reads the body as JSON into v.
func (a Answer) Decode(v any) error {
	if err := json.Unmarshal(a.Body, v); err != nil {
		return fmt.Errorf("answer %d is not the expected JSON: %w\n%s", a.Status, err, a.Body)
	}
	return nil
}

func (a Answer) String() string { return fmt.Sprintf("%d %s", a.Status, bytes.TrimSpace(a.Body)) }

// Do calls this coordinator once. header has keys and values in turn.
func (n *Node) Do(method, path, body string, header ...string) (Answer, error) {
	return n.try(context.Background(), BoundDefault, method, path, body, header)
}

// Try is Do for any goroutine, within ctx and a bound of the caller's.
func (n *Node) Try(ctx context.Context, bound time.Duration, method, path, body string, header ...string) (Answer, error) {
	return n.try(ctx, bound, method, path, body, header)
}

// CloseIdle closes the connections that no call of this process uses.
func (c *core) CloseIdle() { c.client.CloseIdleConnections() }

func (n *Node) try(ctx context.Context, bound time.Duration, method, path, body string, header []string) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+n.Addresses().HTTP+path, strings.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", contentType(body))
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	req.GetBody = nil // sent once: net/http repeats what has an idempotency key by itself, and its first answer is lost then
	resp, err := n.cluster.client.Do(req)
	if err != nil {
		return Answer{}, fmt.Errorf("%s: %w", n.name, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return Answer{}, fmt.Errorf("%s: read the answer to %s %s: %w", n.name, method, path, err)
	}
	return Answer{Status: resp.StatusCode, Header: resp.Header, Body: text}, nil
}

// contentType tells JSON from YAML as a person would.
func contentType(body string) string {
	if text := strings.TrimSpace(body); strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
		return "application/json"
	}
	return "application/yaml"
}

var (
	// errNobody is what a call comes to while no coordinator runs.
	errNobody = errors.New("no coordinator is running")
	// errGone is what a wait for a node comes to when its process has ended.
	errGone = errors.New("the process has ended")
)

// Call asks the running coordinators in turn until one gives an answer that is not its own trouble (5xx, too busy).
// It may send the same call several times: use it for reads and for calls that repeat safely.
func (c *Cluster) Call(method, path, body string, header ...string) Answer {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(c.tb.Context(), BoundDefault)
	defer cancel()
	got, err := c.Ask(ctx, method, path, body, header...)
	if err != nil {
		c.tb.Fatalf("%s %s: no answer within %v: %v", method, path, BoundDefault, err)
	}
	return got
}

// Ask is Call for any goroutine: it asks until ctx ends and returns the last trouble then.
func (c *core) Ask(ctx context.Context, method, path, body string, header ...string) (got Answer, err error) {
	err = poll(ctx, askForever, func() error {
		err := errNobody
		for _, n := range c.responsive() {
			if got, err = n.try(ctx, callBound, method, path, body, header); err != nil {
				continue
			}
			if got.Status < 500 && got.Status != http.StatusTooManyRequests {
				return nil
			}
			err = fmt.Errorf("%s answered %v", n.name, got)
		}
		return err
	})
	return got, err
}

// read is Call of a GET that must be answered by 200 and JSON.
func (c *Cluster) read(path string, into any) {
	c.tb.Helper()
	a := c.Call("GET", path, "")
	if a.Status != http.StatusOK {
		c.tb.Fatalf("GET %s: %v", path, a)
	}
	if err := a.Decode(into); err != nil {
		c.tb.Fatalf("GET %s: %v", path, err)
	}
}
