package server

import (
	"context"
	"errors"
	"sync"

	"github.com/musterhq/muster/fsm"
)

// ErrTooOld is returned by a Watcher that has missed events.
var ErrTooOld = errors.New("events were missed")

// requestWatch wakes those who wait for a request to end. One goroutine reads the events for all of them; it runs while
// anyone waits.
type requestWatch struct {
	tasker Tasker

	mu      sync.Mutex
	waiting int // all who have joined and not left
	news    map[fsm.RequestID]*news
	stop    context.CancelFunc
	ended   chan struct{}
}

// news of one request, for all who wait for it. It is given once.
type news struct {
	waiting int
	come    chan struct{}
}

// join waits for news of a request from now on; the channel is closed when they come. leave ends the wait.
func (w *requestWatch) join(id fsm.RequestID) (come <-chan struct{}, leave func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting == 0 {
		w.start()
	}
	w.waiting++
	o := w.news[id]
	if o == nil {
		o = &news{come: make(chan struct{})}
		w.news[id] = o
	}
	o.waiting++
	return o.come, func() { w.leave(id, o) }
}

func (w *requestWatch) start() {
	w.news = make(map[fsm.RequestID]*news)
	events := w.tasker.Watch() // before anyone reads the state, so that no end goes unseen
	ctx, stop := context.WithCancel(context.Background())
	w.stop, w.ended = stop, make(chan struct{})
	go w.run(ctx, events, w.ended)
}

// leave forgets one who waits; with the last one the goroutine ends.
func (w *requestWatch) leave(id fsm.RequestID, o *news) {
	w.mu.Lock()
	if o.waiting--; o.waiting == 0 && w.news[id] == o {
		delete(w.news, id)
	}
	var ended chan struct{}
	if w.waiting--; w.waiting == 0 {
		w.stop()
		ended = w.ended
	}
	w.mu.Unlock()
	if ended != nil {
		<-ended
	}
}

func (w *requestWatch) run(ctx context.Context, events Watcher, ended chan<- struct{}) {
	defer close(ended)
	defer events.Close()
	for {
		batch, err := events.Next(ctx)
		switch {
		case errors.Is(err, ErrTooOld):
			w.wakeAll()
		case err != nil:
			return
		default:
			w.wake(batch)
		}
	}
}

func (w *requestWatch) wake(batch []fsm.Event) {
	for i := range batch {
		if batch[i].Kind != fsm.EventRequest {
			continue
		}
		w.mu.Lock()
		if o := w.news[batch[i].Job.Request]; o != nil {
			close(o.come)
			delete(w.news, batch[i].Job.Request)
		}
		w.mu.Unlock()
	}
}

func (w *requestWatch) wakeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, o := range w.news {
		close(o.come)
		delete(w.news, id)
	}
}
