package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/musterhq/muster/rpc/client"
	"github.com/musterhq/muster/rpc/wire"
)

var (
	background = context.Background()
	three      = []string{"a:1", "b:1", "c:1"}
)

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(background, d)
	t.Cleanup(cancel)
	return ctx
}

func TestTheLeaderIsFoundFromAnyAddress(t *testing.T) {
	for _, known := range [][]string{{"a:1"}, {"c:1"}, {"nowhere:1", "b:1"}, {"c:1", "b:1", "a:1"}} {
		inRig(t, three, func(t *testing.T, r *rig) {
			r.answers(request)
			c := r.client(known...)
			defer c.Close()
			info, err := c.Request(within(t, time.Second), 7)
			if err != nil || info.Name != "r" {
				t.Errorf("from %v: %+v, %v", known, info, err)
			}
			if calls := r.seen(wire.MethodRequest); len(calls) != 1 || calls[0].at != "a:1" {
				t.Errorf("from %v: asked %v", known, calls)
			}
		})
	}
}

func TestAddressesOfGossipAreTried(t *testing.T) {
	inRig(t, three, func(t *testing.T, r *rig) {
		r.answers(request)
		var discovered []string
		c := client.New(client.Config{Discover: func() []string { return discovered }, Cluster: "test", Dial: r.dial})
		defer c.Close()
		if _, err := c.Request(within(t, time.Second), 7); !errors.Is(err, client.ErrNoLeader) {
			t.Errorf("without any address: %v", err)
		}
		discovered = []string{"b:1"}
		if _, err := c.Request(within(t, time.Second), 7); err != nil {
			t.Error(err)
		}
	})
}

func TestWithoutAddressesThereIsNothingToTry(t *testing.T) {
	c := client.New(client.Config{})
	defer c.Close()
	if _, err := c.Request(background, 7); !errors.Is(err, client.ErrNoAddress) {
		t.Errorf("got %v", err)
	}
}

func TestAHintLeadsToALeaderThatNobodyConfigured(t *testing.T) {
	inRig(t, three, func(t *testing.T, r *rig) {
		r.answers(request)
		c := r.client("a:1")
		defer c.Close()
		if _, err := c.Request(within(t, time.Second), 7); err != nil {
			t.Fatal(err)
		}
		r.mu.Lock()
		r.leader = "c:1" // nobody is told: a answers NotLeader
		r.mu.Unlock()
		if _, err := c.Request(within(t, time.Second), 7); err != nil {
			t.Fatal(err)
		}
		r.kill("a:1")
		if _, err := c.Request(within(t, time.Second), 7); err != nil {
			t.Errorf("c is forgotten: %v", err)
		}
	})
}

func TestASubmitIsCarriedOverToTheNextLeaderWithItsKey(t *testing.T) {
	inRig(t, three, func(t *testing.T, r *rig) {
		c := r.client(three...)
		defer c.Close()
		r.answers(func(n *node, q call) (wire.Message, error) {
			if n.addr == "a:1" { // taken, and then the leader dies before it answers
				r.kill("a:1")
				r.elect("b:1")
				return nil, errors.New("too late")
			}
			return &wire.Submitted{ID: 9, Jobs: 1, Repeat: true}, nil
		})
		s, err := c.Submit(within(t, time.Second), client.Request{Name: "n", Jobs: []client.Job{{Name: "j", Shell: "true"}}})
		if err != nil || s.ID != 9 || !s.Repeat {
			t.Fatalf("%+v, %v", s, err)
		}
		calls := r.seen(wire.MethodSubmit)
		if len(calls) != 2 {
			t.Fatalf("sent %d times", len(calls))
		}
		first, second := calls[0].msg.(*wire.Submit), calls[1].msg.(*wire.Submit)
		if first.Key == "" || first.Key != second.Key || first.Body != second.Body {
			t.Errorf("keys %q and %q", first.Key, second.Key)
		}
	})
}

func TestARetryIsNeverSilentlySentTwice(t *testing.T) {
	inRig(t, three, func(t *testing.T, r *rig) {
		c := r.client(three...)
		defer c.Close()
		r.answers(func(*node, call) (wire.Message, error) {
			r.kill("a:1")
			r.elect("b:1")
			return nil, errors.New("too late")
		})
		if _, err := c.Retry(within(t, time.Second), 7); !errors.Is(err, wire.ErrUnknownOutcome) {
			t.Errorf("connection lost: %v", err)
		}
		if n := len(r.seen(wire.MethodRetry)); n != 1 {
			t.Errorf("sent %d times", n)
		}
		r.answers(func(*node, call) (wire.Message, error) { return nil, wire.ErrUnknownOutcome })
		if _, err := c.Retry(within(t, time.Second), 7); !errors.Is(err, wire.ErrUnknownOutcome) {
			t.Errorf("refused so: %v", err)
		}
		if n := len(r.seen(wire.MethodRetry)); n != 2 {
			t.Errorf("sent %d times", n)
		}
	})
}

func TestAnUnknownOutcomeIsAskedAgainWhereThatIsSafe(t *testing.T) {
	inRig(t, three, func(t *testing.T, r *rig) {
		c := r.client(three...)
		defer c.Close()
		n := 0
		r.answers(func(*node, call) (wire.Message, error) {
			if n++; n < 3 {
				return nil, wire.ErrUnknownOutcome
			}
			return &wire.Empty{}, nil
		})
		if err := c.Cancel(within(t, time.Second), 7); err != nil || n != 3 {
			t.Errorf("after %d tries: %v", n, err)
		}
	})
}

func TestAnOverloadedLeaderIsGivenItsTime(t *testing.T) {
	inRig(t, three, func(t *testing.T, r *rig) {
		c := r.client(three...)
		defer c.Close()
		began, n := time.Now(), 0
		r.answers(func(*node, call) (wire.Message, error) {
			if n++; n < 3 {
				return nil, &wire.Error{Code: wire.CodeOverloaded, RetryAfter: time.Minute}
			}
			return &wire.Submitted{ID: 1}, nil
		})
		_, err := c.Submit(background, client.Request{Jobs: []client.Job{{Name: "j", Shell: "true"}}})
		if waited := time.Since(began); err != nil || waited < 2*time.Minute || waited > 3*time.Minute {
			t.Errorf("after %s: %v", waited, err)
		}
	})
}

func TestARefusalIsReturnedAtOnce(t *testing.T) {
	inRig(t, three, func(t *testing.T, r *rig) {
		c := r.client(three...)
		defer c.Close()
		for _, refusal := range []*wire.Error{wire.ErrNotFound, wire.ErrConflict, wire.ErrLimit, wire.ErrDiskFull, wire.ErrInternal} {
			r.answers(func(*node, call) (wire.Message, error) { return nil, wire.Errorf(refusal.Code, "because") })
			before := len(r.seen(wire.MethodRequest))
			_, err := c.Request(background, 7)
			var got *wire.Error
			if !errors.As(err, &got) || got.Code != refusal.Code || got.Detail != "because" {
				t.Errorf("got %v, want %v", err, refusal)
			}
			if n := len(r.seen(wire.MethodRequest)) - before; n != 1 {
				t.Errorf("%v: asked %d times", refusal, n)
			}
		}
	})
}

func TestWhoWaitsIsToldWhatWasTried(t *testing.T) {
	inRig(t, three, func(t *testing.T, r *rig) {
		r.elect("")
		r.kill("b:1")
		r.nodes["c:1"].hole = true
		c := r.client(append(three, "nowhere:1")...)
		defer c.Close()
		_, err := c.Request(within(t, time.Second), 7)
		if !errors.Is(err, client.ErrNoLeader) || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		for _, says := range []string{"a:1: knows no leader", "b:1: dial b:1: connection refused", "c:1: no answer yet", "no such host"} {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("%q is not in: %v", says, err)
			}
		}
	})
}

// An election must not become a storm of connections: the client waits where it is until it is told.
func TestAnElectionCostsFewConnectionsAndNoTime(t *testing.T) {
	inRig(t, three, func(t *testing.T, r *rig) {
		r.answers(request)
		c := r.client(three...)
		defer c.Close()
		if _, err := c.Request(within(t, time.Second), 7); err != nil {
			t.Fatal(err)
		}
		r.kill("a:1")
		r.elect("")
		before := r.dialled()
		done := make(chan error, 1)
		go func() { _, err := c.Request(within(t, time.Hour), 7); done <- err }()
		time.Sleep(10 * time.Second) // virtual
		if n := r.dialled() - before; n > 50 {
			t.Errorf("%d connections in ten seconds without a leader", n)
		}
		elected := time.Now()
		r.elect("c:1")
		if err := <-done; err != nil || time.Since(elected) > time.Millisecond {
			t.Errorf("answered %s after the election: %v", time.Since(elected), err)
		}
	})
}

func TestACoordinatorThatSwallowsEverythingIsPassedBy(t *testing.T) {
	inRig(t, three, func(t *testing.T, r *rig) {
		r.answers(request)
		r.elect("b:1")
		r.nodes["a:1"].hole = true
		c := r.client(three...)
		defer c.Close()
		began := time.Now()
		if _, err := c.Request(within(t, time.Second), 7); err != nil || time.Since(began) > 100*time.Millisecond {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

func TestALeaderThatFallsSilentIsGivenUp(t *testing.T) {
	inRig(t, three, func(t *testing.T, r *rig) {
		c := r.client(three...)
		defer c.Close()
		r.answers(func(n *node, q call) (wire.Message, error) {
			if n.addr == "a:1" {
				n.frozen.Store(true)
				r.elect("b:1")
			}
			return request(n, q)
		})
		began := time.Now()
		if _, err := c.Request(within(t, time.Minute), 7); err != nil || time.Since(began) > 6*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

func TestAnotherClusterIsRefusedAtOnce(t *testing.T) {
	inRig(t, three, func(t *testing.T, r *rig) {
		c := client.New(client.Config{Coordinators: three, Cluster: "other", Dial: r.dial})
		defer c.Close()
		if _, err := c.Request(background, 7); !errors.Is(err, wire.ErrCluster) {
			t.Errorf("got %v", err)
		}
	})
}

func TestWaitGoesOnOverLeaderChanges(t *testing.T) {
	inRig(t, three, func(t *testing.T, r *rig) {
		c := r.client(three...)
		defer c.Close()
		r.answers(func(n *node, q call) (wire.Message, error) {
			if n.addr == "b:1" && len(r.seen(wire.MethodWait)) > 3 {
				return &wire.RequestInfo{ID: 7, State: wire.Failed}, nil
			}
			select {
			case <-q.ctx.Done():
				return nil, q.ctx.Err()
			case <-time.After(q.msg.(*wire.Wait).Max):
				return &wire.RequestInfo{ID: 7, State: wire.Running}, nil
			}
		})
		done := make(chan wire.RequestInfo, 1)
		go func() {
			info, err := c.Wait(background, 7)
			if err != nil {
				t.Error(err)
			}
			done <- info
		}()
		time.Sleep(45 * time.Second) // virtual: into the second call
		r.elect("b:1")               // a lives on, and says that it no longer leads
		if info := <-done; info.State != wire.Failed {
			t.Errorf("state %s", info.State)
		}
	})
}

func TestACallEndsWithItsContext(t *testing.T) {
	inRig(t, three, func(t *testing.T, r *rig) {
		c := r.client(three...)
		defer c.Close()
		gone := make(chan struct{})
		r.answers(func(_ *node, q call) (wire.Message, error) {
			<-q.ctx.Done()
			close(gone)
			return nil, q.ctx.Err()
		})
		if _, err := c.Request(within(t, time.Second), 7); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		<-gone
	})
}

func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	inRig(t, three, func(t *testing.T, r *rig) {
		c := r.client(three...)
		r.answers(func(_ *node, q call) (wire.Message, error) { <-q.ctx.Done(); return nil, q.ctx.Err() })
		done := make(chan error, 2)
		go func() { _, err := c.Request(background, 7); done <- err }()
		synctest.Wait()
		c.Close()
		if err := <-done; !errors.Is(err, client.ErrClientClosed) {
			t.Errorf("in flight: %v", err)
		}
		if _, err := c.Request(background, 7); !errors.Is(err, client.ErrClientClosed) {
			t.Errorf("afterwards: %v", err)
		}
		c.Close()

		r.elect("")
		c = r.client(three...)
		go func() { _, err := c.Request(background, 7); done <- err }()
		synctest.Wait()
		c.Close()
		if err := <-done; !errors.Is(err, client.ErrClientClosed) {
			t.Errorf("while looking for a leader: %v", err)
		}
	})
}

func TestARequestBecomesWhatIsSubmitted(t *testing.T) {
	inRig(t, three, func(t *testing.T, r *rig) {
		c := r.client(three...)
		defer c.Close()
		r.answers(func(*node, call) (wire.Message, error) { return &wire.Submitted{ID: 1}, nil })
		_, err := c.Submit(background, client.Request{
			Name: "n", Session: "s", MaxRunning: 3, StopOnFailure: true, Hold: true, IdempotencyKey: "k",
			Jobs: []client.Job{
				{Name: "a", Command: []string{"echo", "hi"}, Payload: map[string]int{"n": 1}, Env: map[string]string{"Z": "1", "A": "2"}, LostLimit: -1},
				{Name: "b", Handler: "h", Payload: json.RawMessage(`[1]`), Needs: []string{"a"}, Labels: map[string]string{"gpu": "true"},
					Queue: "q", Slots: 2, Priority: -5, Timeout: time.Minute, StartAfter: time.Second, Retry: wire.Retry{Limit: 1}, Dir: "/d", LostLimit: 7},
				{Name: "c", Command: []string{"echo", "hi"}, Env: map[string]string{"Z": "1", "A": "2"}, LostLimit: -1, Needs: []string{"a"},
					NeedsAny: []string{"b"}, When: map[string]wire.When{"a": wire.WhenEnded, "b": wire.WhenFailed}},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		got := r.seen(wire.MethodSubmit)[0].msg.(*wire.Submit)
		want := &wire.Submit{
			Session: "s", Name: "n", Key: "k", Body: got.Digest(), MaxRunning: 3, OnFailure: wire.StopRequest | wire.Hold,
			Specs: []wire.Spec{
				{Kind: wire.WorkCommand, Args: []string{"echo", "hi"}, Env: []wire.Pair{{Key: "A", Value: "2"}, {Key: "Z", Value: "1"}}, Queue: "default", Slots: 1},
				{Kind: wire.WorkHandler, Args: []string{"h"}, Queue: "q", Labels: []wire.Pair{{Key: "gpu", Value: "true"}}, Slots: 2, Priority: -5,
					Timeout: time.Minute, StartAfter: time.Second, Retry: wire.Retry{Limit: 1, Factor: 2000}, Dir: "/d", LostLimit: 7},
			},
			Jobs: []wire.SubmitJob{
				{Name: "a", Payload: []byte(`{"n":1}`)},
				{Name: "b", Spec: 1, Payload: []byte(`[1]`), Needs: []wire.Need{{Job: 0}}},
				{Name: "c", Needs: []wire.Need{{Job: 0, When: wire.WhenEnded}, {Job: 1, When: wire.WhenFailed | wire.WhenAny}}},
			},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("want -, got +:\n%s", diff)
		}
	})
}

func TestAMalformedRequestIsNotSent(t *testing.T) {
	c := client.New(client.Config{})
	defer c.Close()
	for name, j := range map[string]client.Job{
		"two kinds of work": {Name: "j", Shell: "a", Handler: "b"},
		"none":              {Name: "j"},
		"unknown need":      {Name: "j", Shell: "a", Needs: []string{"x"}},
		"useless condition": {Name: "j", Shell: "a", When: map[string]wire.When{"other": wire.WhenFailed}},
		"bad payload":       {Name: "j", Shell: "a", Payload: make(chan int)},
		"priority":          {Name: "j", Shell: "a", Priority: 300},
	} {
		_, err := c.Submit(background, client.Request{Jobs: []client.Job{{Name: "other", Shell: "true"}, j}})
		var bad *wire.SpecError
		if !errors.As(err, &bad) || bad.Job != "j" || bad.Position != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
