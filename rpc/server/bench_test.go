package server

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/client"
	"github.com/musterhq/muster/rpc/wire"
)

// instant is a tasker that agrees to everything at once, so that a benchmark sees the port alone.
type instant struct{ tasker }

func (t instant) Propose(_ context.Context, cmd fsm.Command) (any, error) {
	switch c := cmd.(type) {
	case *fsm.JobStates:
		return make([]fsm.Code, len(c.Reports)), nil
	case *fsm.JoinWorker:
		return fsm.WorkerJoined{ID: 1, Incarnation: 1}, nil
	}
	return nil, nil
}

func (t instant) Beat(context.Context, fsm.WorkerID, uint32, []fsm.Grant) (Beat, error) {
	return Beat{Known: true}, nil
}

// benchWorker counts its grants.
type benchWorker struct {
	*runner
	granted atomic.Int64
	wanted  int64
	enough  chan struct{}
}

func (w *benchWorker) Granted(g wire.Granted) {
	if w.granted.Add(int64(len(g.Jobs))) == w.wanted {
		w.enough <- struct{}{}
	}
}

// benchmarkPort runs a benchmark with a worker attached over loopback TCP.
func benchmarkPort(b *testing.B, run func(brd *board, w *benchWorker, l *client.Link)) {
	brd := &board{m: fsm.New(), changed: make(chan struct{}), links: make(map[fsm.WorkerID]WorkerLink), term: 1}
	brd.view = brd.m.View()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	brd.leader = l.Addr().String()
	s := New(instant{tasker{brd, brd.leader, nil}}, Config{}, hclog.NewNullLogger())
	ctx, stop := context.WithCancel(background)
	served := make(chan struct{})
	go func() {
		defer close(served)
		if conn, err := l.Accept(); err == nil {
			_, _ = io.ReadFull(conn, make([]byte, 1))
			s.ServeConn(ctx, conn)
		}
	}()
	c := client.New(client.Config{Coordinators: []string{brd.leader}})
	w := &benchWorker{runner: new(runner), enough: make(chan struct{}, 1)}
	link := c.WorkerLink(wire.Join{Name: "w", Slots: 1, Process: 1}, w)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = link.Run(ctx)
	}()
	if err := link.Beat(background); err != nil { // once attached
		b.Fatal(err)
	}
	run(brd, w, link)
	stop()
	<-ended
	c.Close()
	_ = l.Close()
	<-served
}

// BenchmarkReports: one operation is one report, through client, TCP and server, to a Propose that answers at once.
func BenchmarkReports(b *testing.B) {
	for _, size := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("%d-in-a-frame", size), func(b *testing.B) {
			benchmarkPort(b, func(_ *board, _ *benchWorker, l *client.Link) {
				reports := make([]wire.JobReport, size)
				for i := range reports {
					reports[i] = wire.JobReport{Job: wire.JobID{Request: 4711, Index: uint32(90_000 + i)}, Attempt: 1, Kind: wire.ReportDone}
				}
				b.ReportAllocs()
				b.ResetTimer()
				for n := 0; n < b.N; n += size {
					if _, err := l.Report(background, reports); err != nil {
						b.Fatal(err)
					}
				}
				b.StopTimer()
			})
		})
	}
}

// BenchmarkGrants: one operation is one grant of a no-op job, from the view of the state to the worker's handler.
func BenchmarkGrants(b *testing.B) {
	for _, size := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("%d-at-once", size), func(b *testing.B) {
			benchmarkPort(b, func(brd *board, w *benchWorker, _ *client.Link) {
				grants := grantAll(b, brd, size)
				w.granted.Store(0)
				w.wanted = int64((b.N + size - 1) / size * size)
				b.ReportAllocs()
				b.ResetTimer()
				link := brd.links[1]
				for n := 0; n < b.N; n += size {
					link.Grant(brd.view, grants)
				}
				<-w.enough
				b.StopTimer()
			})
		})
	}
}

// grantAll has worker 1 of the state machine granted n jobs.
func grantAll(b *testing.B, brd *board, n int) []fsm.Grant {
	b.Helper()
	link := brd.links[1]
	delete(brd.links, 1)
	defer func() { brd.links[1] = link }()
	spec := wire.RequestSpec{Name: "bench"}
	for i := range n {
		spec.Jobs = append(spec.Jobs, wire.JobDef{Name: fmt.Sprintf("job-%d", i), Spec: wire.Spec{Kind: wire.WorkHandler, Args: []string{"noop"}}})
	}
	canonical, err := wire.Canonical(&spec)
	if err != nil {
		b.Fatal(err)
	}
	for _, cmd := range []fsm.Command{
		fsm.JoinWorker{Name: "w", Identity: "w", Process: 1, Queues: []string{"default"}, Slots: uint32(n)},
		fsm.PickJobs{Worker: 1, Incarnation: 1, Max: 1, Standing: true},
		submitRequest(canonical),
	} {
		if _, err := brd.apply(cmd); err != nil {
			b.Fatal(err)
		}
	}
	return brd.view.Held(1)
}
