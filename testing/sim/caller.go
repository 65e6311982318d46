package sim

import (
	"context"
	"errors"
	"time"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/fsm"
)

// callTimeout bounds one try of a call.
const callTimeout = 3 * time.Second

// caller follows the leader, as every client does.
type caller struct {
	s     *Sim
	from  string
	d     dice
	last  *host // that answered, or was named as the leader
	tried int64 // when the last try began, by the history's clock
}

// do tries a call on one coordinator after the other until one gives a definite answer: a value or a refusal. Other
// errors mean that ctx ended. unsure says that an earlier try may have been done as well. Each try goes into the history
// as what, unless that is nil.
func (c *caller) do(ctx context.Context, what *operation, f func(context.Context, *cluster.Tasker) (any, error)) (v any, unsure bool, err error) {
	for ctx.Err() == nil {
		h := c.last
		if h == nil {
			h = c.s.hosts[c.d.IntN(len(c.s.hosts))]
		}
		try, cancel := context.WithTimeout(ctx, callTimeout)
		c.tried = c.s.history.ops.Now()
		v, err = h.call(try, c.from, f)
		cancel()
		var no *fsm.Refusal
		if err == nil || errors.As(err, &no) {
			what.answered(c, v, no)
			c.last = h
			return v, unsure, err
		}
		wait := c.d.between(5*time.Millisecond, 200*time.Millisecond)
		var elsewhere *cluster.NotLeaderError
		switch {
		case errors.As(err, &elsewhere):
			c.last = c.s.host(elsewhere.Leader.ID)
		case errors.Is(err, cluster.ErrOverloaded), errors.Is(err, cluster.ErrDiskFull):
			wait = c.d.between(500*time.Millisecond, time.Second)
		case errors.Is(err, errRefused):
			c.last = nil
		default:
			what.lost(c)
			c.last, unsure = nil, true
		}
		sleep(ctx, wait)
	}
	return nil, unsure, ctx.Err()
}

// propose is do for one command.
func (c *caller) propose(ctx context.Context, what *operation, cmd fsm.Command) (v any, unsure bool, err error) {
	return c.do(ctx, what, func(ctx context.Context, t *cluster.Tasker) (any, error) { return t.Propose(ctx, cmd) })
}

// read is a linearizable view.
func (c *caller) read(ctx context.Context) (*fsm.View, error) {
	v, _, err := c.do(ctx, nil, func(ctx context.Context, t *cluster.Tasker) (any, error) {
		v, _, err := t.Read(ctx, cluster.Linearizable)
		return v, err
	})
	if err != nil {
		return nil, err
	}
	return v.(*fsm.View), nil
}

// readOften reads of one coordinator for a while, as often as it can.
func (c *caller) readOften(h *host, d time.Duration) {
	ctx, cancel := context.WithTimeout(c.s.ctx, d)
	defer cancel()
	for sleep(ctx, c.d.between(time.Millisecond, 10*time.Millisecond)) {
		floor := c.s.history.floor()
		c.tried = c.s.history.ops.Now()
		v, err := h.call(ctx, c.from, func(ctx context.Context, t *cluster.Tasker) (any, error) {
			v, _, err := t.Read(ctx, cluster.Linearizable)
			return v, err
		})
		if err == nil {
			c.s.history.readAt(c.from, v.(*fsm.View), floor)
			c.noteNewest(v.(*fsm.View))
		}
	}
}

// refused says whether err is a refusal with that code.
func refused(err error, code fsm.Code) bool {
	var no *fsm.Refusal
	return errors.As(err, &no) && no.Code == code
}
