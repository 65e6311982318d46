package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/rest"
	"github.com/musterhq/muster/rpc/wire"
)

const (
	// logChunkBytes is how much output is asked for at one time.
	logChunkBytes = 256 << 10
	// logPollEvery is how often a follower looks for more output, and for the start of a job.
	logPollEvery = 250 * time.Millisecond
	// logReadTimeout is how long a worker may take to answer.
	logReadTimeout = 10 * time.Second
)

// streams of output, as WorkerLog numbers them.
var streams = map[string]uint8{"": wire.Stdout, "stdout": wire.Stdout, "stderr": wire.Stderr}

// logQuery is which output is wanted.
type logQuery struct {
	stream  uint8
	attempt uint32
	offset  int64
	follow  bool
}

func logQueryOf(q url.Values) (l logQuery, err error) {
	stream, ok := streams[q.Get(paramStream)]
	if !ok {
		return l, invalid("stream %.40q: use stdout or stderr", q.Get(paramStream))
	}
	attempt, err := number(q, paramAttempt, 32)
	if err != nil {
		return l, err
	}
	const offsetBits = 62
	offset, err := number(q, paramOffset, offsetBits)
	if err != nil {
		return l, err
	}
	l = logQuery{stream: stream, attempt: uint32(attempt), offset: int64(offset)}
	l.follow, err = flag(q, paramFollow)
	return l, err
}

func (s *Server) getLogs(w http.ResponseWriter, r *http.Request) error {
	q, err := logQueryOf(r.URL.Query())
	if err != nil {
		return err
	}
	unhurried(w)
	ctx, cancel := s.streaming(r)
	defer cancel()
	j, err := s.startedJob(ctx, w, r, q)
	if err != nil {
		return err
	}
	if q.attempt == 0 {
		q.attempt = j.Attempt
	}
	switch {
	case q.attempt == 0:
		return problem(rest.CodeConflict, "job %s has not been picked yet: follow=true waits for it", j.ID)
	case q.attempt > j.Attempt:
		return problem(rest.CodeNotFound, "job %s has had %d attempts", j.ID, j.Attempt)
	}
	return s.copyLog(ctx, w, j.ID, q)
}

// startedJob waits for the job's first attempt if the call follows.
func (s *Server) startedJob(ctx context.Context, w http.ResponseWriter, r *http.Request, q logQuery) (fsm.JobInfo, error) {
	v, err := s.view(w, r)
	if err != nil {
		return fsm.JobInfo{}, err
	}
	j, err := job(v, r)
	if err != nil || !q.follow || j.Attempt > 0 || j.State.Terminal() {
		return j, err
	}
	events := s.tasker.Watch(v.Index())
	defer events.Close()
	for j.Attempt == 0 && !j.State.Terminal() {
		if _, err := events.Next(ctx); err != nil && !errors.Is(err, cluster.ErrTooOld) {
			return j, err
		}
		if v, err = s.local(ctx); err != nil {
			return j, err
		}
		if j, err = job(v, r); err != nil {
			return j, err
		}
	}
	return j, nil
}

// copyLog sends output until there is no more of it.
func (s *Server) copyLog(ctx context.Context, w http.ResponseWriter, id fsm.JobID, q logQuery) error {
	rc := http.NewResponseController(w)
	poll := time.NewTicker(logPollEvery)
	defer poll.Stop()
	for begun := false; ; begun = true {
		data, eof, err := s.readLog(ctx, id, q)
		if err != nil {
			if begun {
				panic(http.ErrAbortHandler) // the reader must not take it for the end
			}
			return err
		}
		if !begun {
			w.Header().Set("Content-Type", mediaText)
			w.Header().Set(rest.HeaderAttempt, strconv.FormatUint(uint64(q.attempt), 10))
		}
		q.offset += int64(len(data))
		if _, err := w.Write(data); err != nil {
			return err
		}
		if eof || len(data) == 0 && !q.follow {
			return nil
		}
		if err := rc.Flush(); err != nil {
			return err
		}
		if len(data) > 0 {
			continue
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			panic(http.ErrAbortHandler)
		}
	}
}

func (s *Server) readLog(ctx context.Context, id fsm.JobID, q logQuery) ([]byte, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, logReadTimeout)
	defer cancel()
	data, eof, err := s.tasker.WorkerLog(ctx, id, q.attempt, q.stream, q.offset, logChunkBytes)
	switch {
	case errors.Is(err, cluster.ErrWorkerGone):
		err = problem(rest.CodeNotFound, "output of job %s, attempt %d, stays with its worker, which is not connected", id, q.attempt)
	case errors.Is(err, context.DeadlineExceeded):
		err = s.later(problem(rest.CodeOverloaded, "the worker that has the output of job %s did not answer within %s", id, logReadTimeout))
	}
	return data, eof, err
}
