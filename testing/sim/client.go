package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/testing/history"
)

// openMax is how many requests of one client run at a time.
const openMax = 4

// client is a Manager: it submits, reads, cancels and retries, one thing at a time.
type client struct {
	*caller
	name string
	n    int
	mine []*submitted
}

// submitted is a request that was acknowledged.
type submitted struct {
	cmd       fsm.SubmitRequest
	id        fsm.RequestID
	cancelled bool // and acknowledged, and not retried since
	ended     bool // as seen
}

func newClient(s *Sim, name string) *client {
	return &client{caller: &caller{s: s, from: name, d: newDice(s.opt.Seed, "client "+name)}, name: name}
}

// run lives until load ends. What it has begun by then it brings to an end.
func (c *client) run(load context.Context) {
	slots := 0
	for _, w := range c.s.workers {
		slots += int(w.slots)
	}
	think := time.Duration(len(c.s.clients)) * 6 * time.Second / time.Duration(slots)
	for sleep(load, c.d.around(think)) {
		ctx, cancel := context.WithTimeout(c.s.ctx, c.s.opt.For+settleMax)
		c.act(ctx)
		cancel()
	}
}

func (c *client) act(ctx context.Context) {
	open := 0
	for _, r := range c.mine {
		if !r.ended {
			open++
		}
	}
	switch p := c.d.Float64(); {
	case p < 0.5 && open < openMax:
		c.submit(ctx)
	case p < 0.6 && len(c.mine) > 0:
		c.repeat(ctx)
	case p < 0.66 && open > 0:
		c.cancel(ctx)
	case p < 0.7:
		c.retry(ctx)
	case p < 0.75:
		c.glance(ctx)
	default:
		c.look(ctx)
	}
}

func (c *client) submit(ctx context.Context) {
	c.n++
	cmd := draw(c.d, "s"+c.name, fmt.Sprintf("%s-%d", c.name, c.n), c.s.grain.jobsMax)
	inParts := c.s.grain.inParts(&cmd)
	v, _, err := c.do(ctx, submitting(cmd), func(ctx context.Context, t *cluster.Tasker) (any, error) {
		led := t.IsLeader()
		v, err := t.Propose(ctx, cmd)
		if inParts && led && (errors.Is(err, cluster.ErrUnknownOutcome) || errors.As(err, new(*cluster.NotLeaderError))) {
			c.s.history.count(func(r *Report) { r.Broken++ })
		}
		return v, err
	})
	if err != nil {
		c.s.fail("%s: submit %s ended with %v", c.name, cmd.Key, err)
		return
	}
	r := v.(fsm.RequestSubmitted)
	c.mine = append(c.mine, &submitted{cmd: cmd, id: r.ID})
	c.s.history.acknowledged(cmd.Key, r.ID, len(cmd.Jobs))
	if inParts {
		c.s.history.count(func(r *Report) { r.InParts++ })
	}
}

// repeat submits a request again, or another one under its key.
func (c *client) repeat(ctx context.Context) {
	r := c.mine[c.d.IntN(len(c.mine))]
	cmd := r.cmd
	if c.d.chance(0.3) {
		cmd.Body++
		if _, _, err := c.propose(ctx, submitting(cmd), cmd); !refused(err, fsm.CodeConflict) {
			c.s.fail("%s: another body under key %s was answered %v", c.name, cmd.Key, err)
		}
		return
	}
	v, _, err := c.propose(ctx, submitting(cmd), cmd)
	if err != nil {
		c.s.fail("%s: submit %s again: %v", c.name, cmd.Key, err)
		return
	}
	if a := v.(fsm.RequestSubmitted); a.ID != r.id || !a.Repeat {
		c.s.fail("%s: key %s was answered %s first, now %+v", c.name, cmd.Key, r.id, a)
	}
}

func (c *client) cancel(ctx context.Context) {
	for _, r := range c.mine {
		if r.ended {
			continue
		}
		_, _, err := c.propose(ctx, onRequest(history.Cancel, r.cmd.Key), fsm.CancelRequest{ID: r.id})
		switch {
		case err == nil:
			r.cancelled = true
		case !refused(err, fsm.CodeConflict):
			c.s.fail("%s: cancel %s: %v", c.name, r.id, err)
		}
		return
	}
}

func (c *client) retry(ctx context.Context) {
	for _, r := range c.mine {
		if !r.ended || !c.d.chance(0.2) {
			continue
		}
		_, unsure, err := c.propose(ctx, onRequest(history.Retry, r.cmd.Key), fsm.RetryRequest{ID: r.id})
		switch {
		case err == nil || unsure:
			r.cancelled, r.ended = false, false
		case !refused(err, fsm.CodeConflict):
			c.s.fail("%s: retry %s: %v", c.name, r.id, err)
		}
		return
	}
}

// look reads for certain, and compares with what it knows.
func (c *client) look(ctx context.Context) {
	floor := c.s.history.floor()
	v, err := c.read(ctx)
	if err != nil {
		c.s.fail("%s: read: %v", c.name, err)
		return
	}
	c.s.history.readAt(c.name, v, floor)
	c.note(v)
	for _, r := range c.mine {
		info, ok := v.Request(r.id)
		switch {
		case !ok:
			c.s.fail("%s: request %s was acknowledged and is missing at index %d", c.name, r.id, v.Index())
		case r.cancelled && info.State != fsm.Cancelled && info.Ending != fsm.Cancelled:
			c.s.fail("%s: request %s was cancelled and is %s at index %d", c.name, r.id, info.State, v.Index())
		default:
			r.ended = info.State != fsm.Running
			if info.Ending != fsm.Waiting {
				c.s.history.count(func(r *Report) { r.Ending++ })
			}
		}
	}
}

// glance reads whatever a node has: an old state, but a true one.
func (c *client) glance(ctx context.Context) {
	h := c.s.hosts[c.d.IntN(len(c.s.hosts))]
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	seen := history.Seen{Client: c.name, Call: c.s.history.ops.Now(), Stale: true}
	v, err := h.call(ctx, c.name, func(ctx context.Context, t *cluster.Tasker) (any, error) {
		v, _, err := t.Read(ctx, cluster.Stale)
		if l := h.now(); err == nil && l != nil && l.coord.Tasker() == t {
			seen.Node, seen.Index = fmt.Sprint(h.name, "/", l.n), v.Index()
		}
		return v, err
	})
	if err == nil && seen.Node != "" {
		c.s.history.ops.Saw(seen)
	}
	if err == nil && c.d.chance(0.3) {
		c.s.history.checkView(h.name, v.(*fsm.View))
	}
}
