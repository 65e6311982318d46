package duplex_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/rpc/pack"
	"github.com/musterhq/muster/rpc/wire"
	"github.com/musterhq/muster/rpc/wire/duplex"
)

var background = context.Background()

// echo answers a ReadLog with its offset as text.
var echo = handler{call: serve(func(_ context.Context, q *wire.ReadLog) (wire.Message, error) {
	return &wire.LogChunk{Data: fmt.Append(nil, q.Offset)}, nil
})}

func ask(c *side, n int64) (string, error) {
	var chunk wire.LogChunk
	err := c.Call(background, wire.MethodReadLog, &wire.ReadLog{Offset: n}, &chunk)
	return string(chunk.Data), err
}

func TestManyCallsBothWaysAtOnce(t *testing.T) {
	a, b := pair(t, duplex.Config{}, echo, echo)
	var calls sync.WaitGroup
	for i := range int64(200) {
		for _, s := range []*side{a, b} {
			calls.Go(func() {
				if got, err := ask(s, i); err != nil || got != fmt.Sprint(i) {
					t.Errorf("call %d: %q, %v", i, got, err)
				}
			})
		}
	}
	calls.Wait()
}

func TestASlowCallHoldsUpNobody(t *testing.T) {
	g := newGate()
	h := handler{call: serve(func(ctx context.Context, q *wire.ReadLog) (wire.Message, error) {
		if q.Offset == 0 {
			return &wire.LogChunk{}, g.pass(ctx)
		}
		return &wire.LogChunk{}, nil
	})}
	c, _ := pair(t, duplex.Config{}, handler{}, h)
	slow := make(chan error, 1)
	go func() { _, err := ask(c, 0); slow <- err }()
	<-g.came
	for range 100 {
		if _, err := ask(c, 1); err != nil {
			t.Fatal(err)
		}
	}
	g.release()
	if err := <-slow; err != nil {
		t.Error(err)
	}
}

func TestErrorsCrossWithTheirCode(t *testing.T) {
	answers := []error{
		&wire.Error{Code: wire.CodeNotLeader, Leader: "b:1", LeaderHTTP: "b:2", Term: 3, RetryAfter: time.Second},
		errors.New("disk on fire"),
		fmt.Errorf("wrapped: %w", context.DeadlineExceeded),
	}
	h := handler{call: serve(func(_ context.Context, q *wire.ReadLog) (wire.Message, error) { return nil, answers[q.Offset] })}
	c, _ := pair(t, duplex.Config{}, handler{}, h)
	_, err := ask(c, 0)
	var refusal *wire.Error
	if !errors.As(err, &refusal) || *refusal != *answers[0].(*wire.Error) {
		t.Errorf("got %v", err)
	}
	if _, err := ask(c, 1); !errors.Is(err, wire.ErrInternal) || !strings.Contains(err.Error(), "disk on fire") {
		t.Errorf("got %v", err)
	}
	if _, err := ask(c, 2); !errors.Is(err, wire.ErrDeadline) {
		t.Errorf("got %v", err)
	}
	if err := c.Call(background, wire.MethodReadLog, &wire.LogChunk{Data: []byte("no ReadLog")}, &wire.Empty{}); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("a message of the wrong kind: %v", err)
	}
	if got, err := ask(c, 0); got != "" || !errors.Is(err, wire.ErrNotLeader) {
		t.Errorf("the connection has not survived it: %v", err)
	}
}

func TestACancelledCallIsCancelledAtThePeer(t *testing.T) {
	g, cancelled := newGate(), make(chan error, 1)
	h := handler{call: serve(func(ctx context.Context, _ *wire.ReadLog) (wire.Message, error) {
		err := g.pass(ctx)
		cancelled <- err
		return nil, err
	})}
	c, _ := pair(t, duplex.Config{}, handler{}, h)
	ctx, cancel := context.WithCancelCause(background)
	done := make(chan error, 1)
	go func() { done <- c.Call(ctx, wire.MethodReadLog, &wire.ReadLog{}, &wire.LogChunk{}) }()
	<-g.came
	changedMind := errors.New("changed my mind")
	cancel(changedMind)
	if err := <-done; !errors.Is(err, changedMind) {
		t.Errorf("the caller got %v", err)
	}
	if err := <-cancelled; !errors.Is(err, context.Canceled) {
		t.Errorf("the peer got %v", err)
	}
}

func TestTheDeadlineTravels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := make(chan time.Duration, 1)
		h := handler{call: serve(func(ctx context.Context, _ *wire.ReadLog) (wire.Message, error) {
			deadline, _ := ctx.Deadline()
			left <- time.Until(deadline)
			<-ctx.Done()
			return nil, ctx.Err()
		})}
		c, _ := pair(t, duplex.Config{}, handler{}, h)
		ctx, cancel := context.WithTimeout(background, 3*time.Second)
		defer cancel()
		err := c.Call(ctx, wire.MethodReadLog, &wire.ReadLog{}, &wire.LogChunk{})
		if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, wire.ErrDeadline) {
			t.Errorf("got %v", err)
		}
		if d := <-left; d != 3*time.Second {
			t.Errorf("the peer had %s", d)
		}
	})
}

func TestPushesArriveInOrder(t *testing.T) {
	const n = 1000
	var got []uint64
	all := make(chan struct{})
	h := handler{push: func(_ wire.Method, body *pack.Reader) error {
		var l wire.Leader
		if err := wire.Decode(body, &l); err != nil {
			return err
		}
		if got = append(got, l.Term); len(got) == n {
			close(all)
		}
		return nil
	}}
	c, _ := pair(t, duplex.Config{}, handler{}, h)
	for i := range uint64(n) {
		if err := c.Push(wire.MethodLeader, &wire.Leader{Term: i}); err != nil {
			t.Fatal(err)
		}
	}
	<-all
	for i, term := range got {
		if term != uint64(i) {
			t.Fatalf("push %d came as number %d", term, i)
		}
	}
}

// large is a message of that many jobs of 200 KiB.
func large(jobs int) *wire.Submit {
	s := &wire.Submit{Name: "large"}
	for range jobs {
		s.Jobs = append(s.Jobs, wire.SubmitJob{Name: "job", Payload: bytes.Repeat([]byte("x"), 200<<10)})
	}
	return s
}

// countJobs answers a Submit with the number of its jobs. It decodes a large one in the Work.
var countJobs = handler{call: func(_ *duplex.Conn, in duplex.Incoming) (duplex.Work, error) {
	s := new(wire.Submit)
	if !in.Owned {
		if err := wire.Decode(in.Body, s); err != nil {
			return nil, err
		}
	}
	return func(context.Context) (wire.Message, error) {
		if in.Owned {
			if err := wire.Decode(in.Body, s); err != nil {
				return nil, err
			}
		}
		return &wire.Submitted{Jobs: uint32(len(s.Jobs))}, nil
	}, nil
}}

func submit(c *side, s *wire.Submit) (uint32, error) {
	var answer wire.Submitted
	err := c.Call(background, wire.MethodSubmit, s, &answer)
	return answer.Jobs, err
}

func TestALargeMessageTravelsInParts(t *testing.T) {
	c, _ := pair(t, duplex.Config{Budget: duplex.NewBudget(5 << 20), QueueMax: 2 << 20}, handler{}, countJobs)
	for range 2 { // its part of the budget is given back
		if jobs, err := submit(c, large(15)); err != nil || jobs != 15 {
			t.Fatalf("%d jobs, %v", jobs, err)
		}
	}
}

func TestLargeMessagesBeyondTheBudgetAreRefusedAndNothingElse(t *testing.T) {
	c, _ := pair(t, duplex.Config{Budget: duplex.NewBudget(3 << 20)}, handler{}, countJobs)
	if _, err := submit(c, large(20)); !errors.Is(err, wire.ErrOverloaded) {
		t.Errorf("4 MiB: %v", err)
	}
	for _, n := range []int{0, 1, 12} {
		if jobs, err := submit(c, large(n)); err != nil || jobs != uint32(n) {
			t.Errorf("%d jobs of %d, %v", jobs, n, err)
		}
	}
}

func TestAnAnswerThatFitsNoFrameIsAnError(t *testing.T) {
	h := handler{call: serve(func(context.Context, *wire.ReadLog) (wire.Message, error) {
		return &wire.LogChunk{Data: make([]byte, wire.FrameBytesMax)}, nil
	})}
	c, _ := pair(t, duplex.Config{}, handler{}, h)
	if _, err := ask(c, 0); !errors.Is(err, wire.ErrLimit) {
		t.Errorf("got %v", err)
	}
	if err := c.Push(wire.MethodStop, &wire.LogChunk{Data: make([]byte, wire.FrameBytesMax)}); !errors.Is(err, duplex.ErrTooLarge) {
		t.Errorf("a push that large: %v", err)
	}
}

func TestCallsFailWithTheirConnection(t *testing.T) {
	g := newGate()
	h := handler{call: serve(func(ctx context.Context, _ *wire.ReadLog) (wire.Message, error) { return nil, g.pass(ctx) })}
	c, s := pair(t, duplex.Config{}, handler{}, h)
	done := make(chan error, 1)
	go func() { _, err := ask(c, 0); done <- err }()
	<-g.came
	s.cancel()
	if err := <-done; !errors.Is(err, duplex.ErrBroken) {
		t.Errorf("in flight: %v", err)
	}
	<-c.Done()
	if _, err := ask(c, 0); !errors.Is(err, duplex.ErrClosed) || errors.Is(err, duplex.ErrBroken) {
		t.Errorf("afterwards: %v", err)
	}
	if err := c.Push(wire.MethodStop, &wire.Stop{}); !errors.Is(err, duplex.ErrClosed) {
		t.Errorf("push afterwards: %v", err)
	}
}

func TestTooManyCallsAreRefusedOnBothSides(t *testing.T) {
	g := newGate()
	h := handler{call: serve(func(ctx context.Context, _ *wire.ReadLog) (wire.Message, error) { return &wire.LogChunk{}, g.pass(ctx) })}
	conn, s := stranger(t, duplex.Config{CallsMax: 2}, h)
	frames := wire.NewFrameReader(conn, wire.FrameBytesMax)
	for id := range uint64(3) {
		if _, err := conn.Write(frame(wire.Frame{Kind: wire.KindRequest, ID: id + 1, Method: wire.MethodReadLog}, &wire.ReadLog{})); err != nil {
			t.Fatal(err)
		}
	}
	f, err := frames.Next()
	if err != nil || f.Kind != wire.KindError || f.ID != 3 {
		t.Errorf("the third call: kind %d, id %d, %v", f.Kind, f.ID, err)
	}
	g.release()
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	s.cancel()
	<-s.ended

	g = newGate()
	c, _ := pair(t, duplex.Config{CallsMax: 1}, handler{}, h)
	first := make(chan error, 1)
	go func() { _, err := ask(c, 0); first <- err }()
	<-g.came
	if _, err := ask(c, 0); !errors.Is(err, wire.ErrOverloaded) {
		t.Errorf("the second call: %v", err)
	}
	g.release()
	if err := <-first; err != nil {
		t.Errorf("the first call: %v", err)
	}
}

func TestAPeerThatDoesNotReadIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := stranger(t, duplex.Config{QueueMax: 1 << 20}, handler{})
		var err error
		for range 100 {
			if err = s.Push(wire.MethodGranted, &wire.LogChunk{Data: make([]byte, 64<<10)}); err != nil {
				break
			}
		}
		if !errors.Is(err, duplex.ErrNotReading) || !errors.Is(s.why(), duplex.ErrNotReading) {
			t.Errorf("push: %v; ended: %v", err, s.why())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		_, s := stranger(t, duplex.Config{WriteTimeout: 3 * time.Second, PingAfter: time.Hour, IdleMax: time.Hour}, handler{})
		began := time.Now()
		if err := s.Push(wire.MethodGranted, &wire.LogChunk{}); err != nil { // fits the queue, is never read
			t.Fatal(err)
		}
		if err := s.why(); !errors.Is(err, duplex.ErrNotReading) || time.Since(began) != 3*time.Second {
			t.Errorf("ended after %s: %v", time.Since(began), err)
		}
	})
}

func TestAQuietConnectionIsKeptAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := pair(t, duplex.Config{PingAfter: time.Second, IdleMax: 4 * time.Second}, handler{}, echo)
		time.Sleep(time.Hour) // virtual
		if _, err := ask(c, 1); err != nil {
			t.Error(err)
		}
	})
}

func TestASilentPeerIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, s := stranger(t, duplex.Config{PingAfter: time.Second, IdleMax: 4 * time.Second}, handler{})
		go func() { _, _ = io.Copy(io.Discard, conn) }() // it reads, and never answers a ping
		began := time.Now()
		if err := s.why(); !errors.Is(err, duplex.ErrSilent) || time.Since(began) > 5*time.Second {
			t.Errorf("ended after %s: %v", time.Since(began), err)
		}
	})
}

func TestWhatIsNoFrameEndsTheConnectionWithAWord(t *testing.T) {
	request := frame(wire.Frame{Kind: wire.KindRequest, ID: 1, Method: wire.MethodReadLog}, &wire.ReadLog{})
	wait := handler{call: func(*duplex.Conn, duplex.Incoming) (duplex.Work, error) { return nil, nil }}
	for name, data := range map[string][]byte{
		"text":         []byte("GET / HTTP/1.1\r\n\r\n"),
		"zeros":        make([]byte, 64),
		"huge frame":   {0x7f, 0xff, 0xff, 0xff},
		"unknown kind": {0, 0, 0, 4, 100, 1, 1, 1},
		"id twice":     append(bytes.Clone(request), request...),
		"bad push":     frame(wire.Frame{Kind: wire.KindPush, Method: wire.MethodLeader, Body: []byte{0xc1}}, nil),
	} {
		t.Run(name, func(t *testing.T) {
			h := wait
			h.push = func(_ wire.Method, body *pack.Reader) error { return wire.Decode(body, new(wire.Leader)) }
			conn, s := stranger(t, duplex.Config{}, h)
			go func() { _, _ = conn.Write(data) }() // it may be cut off in the middle
			f, err := wire.NewFrameReader(conn, wire.FrameBytesMax).Next()
			if err != nil || f.Kind != wire.KindError || f.ID != 0 {
				t.Errorf("no last word: kind %d, id %d, %v", f.Kind, f.ID, err)
			}
			if err := s.why(); !errors.Is(err, pack.ErrMalformed) && !errors.Is(err, wire.ErrFrameTooLarge) {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

func TestTheLastWordOfThePeerIsHeard(t *testing.T) {
	conn, s := stranger(t, duplex.Config{}, handler{})
	done := make(chan error, 1)
	go func() { _, err := ask(s, 1); done <- err }()
	frames := wire.NewFrameReader(conn, wire.FrameBytesMax)
	if _, err := frames.Next(); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(frame(wire.Frame{Kind: wire.KindError}, wire.Errorf(wire.CodeMalformed, "that was no frame"))); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, duplex.ErrBroken) || !strings.Contains(err.Error(), "that was no frame") {
		t.Errorf("got %v", err)
	}
}

func TestCancellingAHalfSentMessageGivesItsBytesBack(t *testing.T) {
	budget := duplex.NewBudget(1000)
	conn, _ := stranger(t, duplex.Config{Budget: budget}, countJobs)
	frames := wire.NewFrameReader(conn, wire.FrameBytesMax)
	for id := uint64(1); id <= 10; id++ {
		for _, f := range []wire.Frame{
			{Kind: wire.KindPart, ID: id, Body: make([]byte, 600)},
			{Kind: wire.KindCancel, ID: id},
		} {
			if _, err := conn.Write(frame(f, nil)); err != nil {
				t.Fatal(err)
			}
		}
	}
	m := frame(wire.Frame{}, &wire.Submit{Jobs: []wire.SubmitJob{{Name: "x", Payload: make([]byte, 700)}}})
	body := m[8:] // after length and header
	for _, f := range []wire.Frame{
		{Kind: wire.KindPart, ID: 11, Body: body[:300]},
		{Kind: wire.KindRequest, ID: 11, Method: wire.MethodSubmit, Body: body[300:]},
	} {
		if _, err := conn.Write(frame(f, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if f, err := frames.Next(); err != nil || f.Kind != wire.KindResponse || f.ID != 11 {
		t.Errorf("kind %d, id %d, %v", f.Kind, f.ID, err)
	}
}

func TestEndsOfTheWorldArriveOnce(t *testing.T) {
	a, b := net.Pipe()
	s := start(b, duplex.Config{}, handler{})
	_ = a.Close()
	if err := s.why(); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("ended with %v", err)
	}
	s.Close(errors.New("again"))
	if err := s.Err(); strings.Contains(err.Error(), "again") {
		t.Errorf("the first cause does not count: %v", err)
	}
	s.cancel()
}
