package chaos

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/musterhq/muster/testing/harness"
	"github.com/musterhq/muster/testing/history"
)

const (
	// handJobsMost is the largest request for the hands.
	handJobsMost = 6
	// lookPause is the longest time between two looks of a petitioner.
	lookPause = 300 * time.Millisecond
)

// petitioner is a Manager that submits a request for the hands, watches it to its end, and sometimes cancels or retries
// it, through any coordinator.
type petitioner struct{ caller }

func (p *petitioner) live() {
	for n := 0; p.w.more.Err() == nil; n++ {
		key := fmt.Sprint(handKeys, p.name, "-", n)
		id, ok := p.submit(p.w.run, key)
		if !ok {
			return
		}
		p.w.mu.Lock()
		p.w.requests[key] = id
		p.w.mu.Unlock()
		p.watch(p.w.run, key, id)
	}
}

// submit brings a request in. Sometimes it is sent twice at once, or another one under the same key.
func (p *petitioner) submit(ctx context.Context, key string) (id string, ok bool) {
	spec := handSpec(p.random, key)
	var meanwhile sync.WaitGroup
	if twin := spec; p.chance(0.4) {
		if p.chance(0.3) {
			twin = handSpec(p.random, key)
		}
		c := caller{p.w, p.name + "'", rand.New(rand.NewPCG(p.random.Uint64(), 0))}
		meanwhile.Go(func() { c.trySubmit(ctx, key, twin) })
	}
	out, ok := p.trySubmit(ctx, key, spec)
	meanwhile.Wait()
	if ok && out.Code == history.Conflict { // the twin was another request, and was first
		return p.firstOf(ctx, key)
	}
	return out.ID, ok && out.ID != ""
}

// firstOf finds the request that a key stands for.
func (p *petitioner) firstOf(ctx context.Context, key string) (id string, ok bool) {
	a, ok := p.call(ctx, history.Input{}, "GET", "/v1/requests?limit=1000", "", nil)
	var page struct {
		Requests []harness.Request `json:"requests"`
	}
	if !ok || a.Decode(&page) != nil {
		return "", false
	}
	for _, r := range page.Requests {
		if r.Name == key {
			return r.ID, true
		}
	}
	p.w.accuse("key %s is taken, and no request has it", key)
	return "", false
}

func (c *caller) trySubmit(ctx context.Context, key, spec string) (out history.Output, ok bool) {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(spec))
	in := history.Input{Kind: history.Submit, Request: key, Body: hash.Sum64()}
	_, ok = c.call(ctx, in, "POST", "/v1/requests", spec, func(a harness.Answer) history.Output {
		out = plain(a)
		var s harness.Submitted
		if out.Code == history.OK && a.Decode(&s) == nil {
			out.ID, out.State, out.Repeat = s.ID, s.State, a.Status != 201
		}
		return out
	}, "Idempotency-Key", key)
	return out, ok
}

// handSpec draws a request for the hands.
func handSpec(random *rand.Rand, key string) string {
	var jobs []map[string]any
	for i := range 1 + random.IntN(handJobsMost) {
		j := map[string]any{"name": name(i), "handler": "work", "queue": handQueue, "lost_limit": lostLimit, "retry": map[string]any{"limit": random.IntN(3), "backoff": "50ms"}}
		if i > 0 && random.IntN(2) == 0 {
			j["needs"] = []string{name(random.IntN(i))}
		}
		jobs = append(jobs, j)
	}
	text, err := marshal(map[string]any{"name": key, "session": "byhand", "jobs": jobs})
	if err != nil {
		panic(err) // of maps of strings and numbers
	}
	return text
}

// watch looks at a request until it has ended.
func (p *petitioner) watch(ctx context.Context, key, id string) {
	retried := false
	for ctx.Err() == nil {
		switch d := p.random.IntN(100); {
		case d < 40:
			state, _ := p.readRequest(ctx, key, id)
			if !over(state) {
				break
			}
			if state == "done" || retried || p.w.more.Err() != nil || p.chance(0.7) {
				return
			}
			retried = true
			p.act(ctx, history.Retry, key, id)
		case d < 65:
			p.readJobs(ctx, id)
		case d < 75:
			if others := p.w.others(); len(others) > 0 {
				p.readJobs(ctx, others[p.random.IntN(len(others))].ID)
			}
		case d < 97:
			p.readStale(ctx, id)
		default:
			p.act(ctx, history.Cancel, key, id)
		}
		pass(ctx, time.Duration(p.random.Int64N(int64(lookPause))))
	}
}

func (p *petitioner) act(ctx context.Context, what history.Kind, key, id string) {
	p.call(ctx, history.Input{Kind: what, Request: key}, "POST", "/v1/requests/"+id+"/"+string(what), "", plain)
}
