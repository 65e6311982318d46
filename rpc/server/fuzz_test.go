package server

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/pack"
	"github.com/musterhq/muster/rpc/wire"
)

// said is what a client sends, as bytes.
func said(hello *wire.Hello, calls ...wire.Frame) []byte {
	w := pack.NewWriter()
	defer w.Free()
	var all []byte
	add := func(f wire.Frame, m wire.Message) {
		w.Reset()
		wire.AppendFrame(w, f, m)
		all = append(all, w.Data()...)
	}
	add(wire.Frame{Kind: wire.KindRequest, ID: 1, Method: wire.MethodHello}, hello)
	for _, f := range calls {
		add(f, nil)
	}
	return all
}

func body(m wire.Message) []byte {
	w := pack.NewWriter()
	defer w.Free()
	m.Append(w)
	return w.Copy()
}

// FuzzConnection lets a client send arbitrary bytes: the connection ends with them, without a panic, and the state stays
// right.
func FuzzConnection(f *testing.F) {
	hello := &wire.Hello{VersionMin: 1, VersionMax: 1, Name: "c"}
	join := body(&wire.Join{Name: "w", Identity: "i", Process: 1, Queues: []string{"default"}, Slots: 2})
	submit := body(&wire.Submit{Session: "s", Specs: []wire.Spec{{Kind: 1, Args: []string{"true"}, Queue: "default", Slots: 1}}, Jobs: []wire.SubmitJob{{Name: "a"}}})
	f.Add(said(hello))
	f.Add(said(hello,
		wire.Frame{Kind: wire.KindRequest, ID: 2, Method: wire.MethodJoin, Body: join},
		wire.Frame{Kind: wire.KindRequest, ID: 3, Method: wire.MethodPick, Body: body(&wire.Pick{Worker: 1, Incarnation: 1, Max: 2, Standing: true})},
		wire.Frame{Kind: wire.KindRequest, ID: 4, Method: wire.MethodBeat, Body: body(&wire.Beat{Worker: 1, Incarnation: 1})},
		wire.Frame{Kind: wire.KindPush, Method: wire.MethodProgress, Body: body(&wire.Progress{})},
		wire.Frame{Kind: wire.KindRequest, ID: 5, Method: wire.MethodReport, Body: body(&wire.Report{Worker: 1, Incarnation: 1})}))
	f.Add(said(hello,
		wire.Frame{Kind: wire.KindPart, ID: 2, Method: wire.MethodSubmit, Body: submit[:len(submit)/2]},
		wire.Frame{Kind: wire.KindRequest, ID: 2, Method: wire.MethodSubmit, Body: submit[len(submit)/2:]},
		wire.Frame{Kind: wire.KindCancel, ID: 2}, wire.Frame{Kind: wire.KindPing},
		wire.Frame{Kind: wire.KindRequest, ID: 3, Method: wire.MethodWait, Body: body(&wire.Wait{})},
		wire.Frame{Kind: wire.KindResponse, ID: 77}, wire.Frame{Kind: wire.KindError, ID: 0}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1, 2, 3})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 64<<10 {
			return
		}
		const addr = "a:1"
		b := &board{m: fsm.New(), changed: make(chan struct{}), links: make(map[fsm.WorkerID]WorkerLink), term: 1, leader: addr}
		b.view = b.m.View()
		s := New(tasker{b, addr, []string{addr}}, Config{}, hclog.NewNullLogger())
		ours, theirs := net.Pipe()
		served, heard := make(chan struct{}), make(chan struct{})
		go func() { defer close(served); s.ServeConn(context.Background(), theirs) }()
		go func() { defer close(heard); _, _ = io.Copy(io.Discard, ours) }()
		_, _ = io.Copy(ours, bytes.NewReader(data)) // it may be hung up on midway
		_ = ours.Close()
		<-served
		<-heard
		if s.conns != 0 {
			t.Errorf("%d connections are counted after the last", s.conns)
		}
		if err := b.m.Check(); err != nil {
			t.Error(err)
		}
	})
}
