package worker

import (
	"context"
	"fmt"
	"time"
)

// Builtin are handlers for trying a cluster out and for measuring it. No worker has them unless they are handed to
// its Handle; `muster worker` does so.
//
//   - noop does nothing and has no result.
//   - sleep takes a while: {"ms": 20} or {"for": "1m30s"}. Its result is how long it was, {"slept": "20ms"}.
func Builtin() map[string]HandlerFunc {
	return map[string]HandlerFunc{
		"noop":  func(context.Context, Job) (Result, error) { return None, nil },
		"sleep": sleep,
	}
}

func sleep(ctx context.Context, job Job) (Result, error) {
	var payload struct {
		MS  int64  `json:"ms"`
		For string `json:"for"`
	}
	if err := job.Bind(&payload); err != nil {
		return None, Permanent(err)
	}
	d := time.Duration(payload.MS) * time.Millisecond
	if payload.For != "" {
		parsed, err := time.ParseDuration(payload.For)
		if err != nil {
			return None, Permanent(fmt.Errorf("payload \"for\": %w", err))
		}
		d = parsed
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return JSON(map[string]string{"slept": d.String()}), nil
	case <-ctx.Done():
		return None, context.Cause(ctx)
	}
}
