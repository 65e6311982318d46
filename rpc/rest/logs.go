package rest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// silenceMax is how long a follower waits for a job to be picked and to say something.
const silenceMax = 24 * time.Hour

// LogQuery selects output of a job.
type LogQuery struct {
	Stream  string // stdout (the default) or stderr
	Attempt uint32 // 0: the current one
	Offset  int64  // bytes to leave out
	Follow  bool   // until the attempt has ended
}

// JobLogs reads the output of an attempt. When it follows, it goes on over leader changes. The caller closes it.
func (c *Client) JobLogs(ctx context.Context, job string, q LogQuery) (io.ReadCloser, error) {
	l := &logReader{c: c, ctx: ctx, job: job, query: q}
	return l, l.open()
}

// logReader is a stream of output that takes up where a lost connection left off.
type logReader struct {
	c     *Client
	ctx   context.Context
	job   string
	query LogQuery
	body  io.ReadCloser
}

func (l *logReader) open() error {
	v := url.Values{}
	set(v, "stream", l.query.Stream)
	if l.query.Attempt > 0 {
		v.Set("attempt", strconv.FormatUint(uint64(l.query.Attempt), 10))
	}
	if l.query.Offset > 0 {
		v.Set("offset", strconv.FormatInt(l.query.Offset, 10))
	}
	k := call{method: http.MethodGet, path: path([]string{"jobs", l.job, "logs"}), query: v, repeatable: true}
	if l.query.Follow {
		v.Set("follow", "true")
		k.patience = silenceMax
	}
	resp, err := l.c.exchange(l.ctx, k)
	if err != nil {
		return err
	}
	if n, err := strconv.ParseUint(resp.Header.Get(HeaderAttempt), 10, 32); err == nil {
		l.query.Attempt = uint32(n) // of a later attempt the offset would be wrong
	}
	l.body = resp.Body
	return nil
}

func (l *logReader) Read(p []byte) (int, error) {
	for {
		n, err := l.body.Read(p)
		l.query.Offset += int64(n)
		if n > 0 || err == nil {
			return n, nil
		}
		if errors.Is(err, io.EOF) || l.ctx.Err() != nil {
			return 0, err
		}
		l.body.Close()
		if !sleep(l.ctx, retryFirst) {
			return 0, context.Cause(l.ctx)
		}
		if err := l.open(); err != nil {
			return 0, err
		}
	}
}

func (l *logReader) Close() error { return l.body.Close() }
