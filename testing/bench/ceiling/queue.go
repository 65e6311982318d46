package ceiling

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/musterhq/muster/testing/bench/child"
	"github.com/musterhq/muster/testing/bench/peer"
	"github.com/musterhq/muster/testing/bench/result"
)

// Queue is a bare queue with group commit over Raft: see queue and QueueServer.
type Queue struct{ LogStore string }

const (
	queueJobs    = 400_000 // the usual number
	queueFrame   = 200     // jobs of one submit
	queueClients = 4
	queueFlying  = 16 // submits unanswered on each connection
)

// The workloads of Queue.
const (
	QueueFew  = peer.Jobs           // as many slots as muster's workers have
	QueueMany = peer.ManySlots      // eight times as many
	QueueOne  = "one job per frame" // each submit carries one
)

// About describes it.
func (q Queue) About(context.Context) result.Subject {
	return result.Subject{
		Title: "bare group-commit queue, raft-" + q.LogStore, Kind: result.Ceiling, Replicated: true, Durable: true, Jobs: true,
		Settings: "three processes, entries up to 256 KiB, two in flight; submits of 200 jobs, 64 under way; 4 workers of 64 (512) slots and the clients in one further process, one ack frame for each frame of grants; FIFO, no DAG, no states, no snapshots",
	}
}

// Missing says that it is always there.
func (Queue) Missing() error { return nil }

// Measure does one round.
func (q Queue) Measure(ctx context.Context, e *peer.Env) (samples []result.Sample, err error) {
	for i, w := range []struct {
		name               string
		jobs, frame, slots int
	}{{QueueFew, queueJobs / 2, queueFrame, peer.Slots}, {QueueMany, queueJobs, queueFrame, 8 * peer.Slots}, {QueueOne, queueJobs / 4, 1, 8 * peer.Slots}} {
		s, err := q.measure(ctx, e, fmt.Sprint("queue-", i), w.name, e.Count(w.jobs)/w.frame*w.frame, w.frame, w.slots)
		if err != nil {
			return samples, fmt.Errorf("%s: %w", w.name, err)
		}
		samples = append(samples, s)
	}
	return samples, nil
}

func (q Queue) measure(ctx context.Context, e *peer.Env, name, workload string, n, frame, slots int) (result.Sample, error) {
	group := child.NewGroup(e.Dir)
	defer group.Close()
	addr, servers, err := q.start(ctx, group, e.Path(name), name)
	if err != nil {
		return result.Sample{}, err
	}
	var done atomic.Int64
	work, stop := context.WithCancel(ctx)
	defer stop()
	workers, wctx := errgroup.WithContext(work)
	for w := range peer.Workers {
		workers.Go(func() error { return queueWorker(wctx, addr, uint32(w), slots, &done) })
	}
	s, err := peer.Timed(workload, n, servers, func() error {
		clients, cctx := errgroup.WithContext(wctx)
		var left atomic.Int64
		left.Store(int64(n / frame))
		for range queueClients {
			clients.Go(func() error { return queueClient(cctx, addr, frame, &left) })
		}
		if err := clients.Wait(); err != nil {
			return err
		}
		return peer.Until(wctx, func(context.Context) (bool, error) { return done.Load() >= int64(n), nil })
	})
	stop()
	return s, errors.Join(err, workers.Wait())
}

func (q Queue) start(ctx context.Context, group *child.Group, dir, name string) (leader string, servers []*child.Process, err error) {
	ports, err := child.FreePorts(6)
	if err != nil {
		return "", nil, err
	}
	var addrs []string
	for _, p := range ports {
		addrs = append(addrs, child.Loopback(p))
	}
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	for i := 2; i >= 0; i-- { // the first bootstraps, when the others are there
		p, err := group.Start(child.Spec{Name: fmt.Sprint(name, "-", i+1), Args: []string{
			self, "serve-queue", "--id", nodeID(i), "--log-store", q.LogStore, "--data", dir, "--queue", addrs[3+i], "--raft", addrs[i], "--peers", strings.Join(addrs[:3], ","),
		}})
		if err != nil {
			return "", nil, err
		}
		servers = append(servers, p)
		if err := group.AwaitPort(ctx, addrs[3+i]); err != nil {
			return "", nil, err
		}
	}
	err = group.Await(ctx, "a leader", func(ctx context.Context) error {
		for _, addr := range addrs[3:] {
			if leads(ctx, addr) {
				leader = addr
				return nil
			}
		}
		return errors.New("no node leads")
	})
	return leader, servers, err
}

func leads(ctx context.Context, addr string) bool {
	c, err := dial(ctx, addr, 's')
	if err != nil {
		return false
	}
	defer c.Close()
	var b [1]byte
	_, err = io.ReadFull(c, b[:])
	return err == nil && b[0] == 'y'
}

// dial connects, and closes the connection when ctx ends.
func dial(ctx context.Context, addr string, kind byte) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { c.Close() })
	_, err = c.Write([]byte{kind})
	return c, err
}

// queueClient submits frames until none is left.
func queueClient(ctx context.Context, addr string, jobs int, left *atomic.Int64) error {
	c, err := dial(ctx, addr, 'c')
	if err != nil {
		return err
	}
	defer c.Close()
	frame := binary.LittleEndian.AppendUint32(nil, uint32(1+4+jobs*jobBytes))
	frame = append(frame, kindSubmit)
	frame = binary.LittleEndian.AppendUint32(frame, uint32(jobs))
	frame = append(frame, make([]byte, jobs*jobBytes)...)
	flying := queueFlying
	if jobs == 1 {
		flying = 64
	}
	var sent, answered int
	r := bufio.NewReader(c)
	answer := func() error {
		b, err := r.ReadByte()
		if err == nil && b != 1 {
			err = errors.New("the queue refused a submit")
		}
		answered++
		return err
	}
	for left.Add(-1) >= 0 {
		for sent-answered >= flying {
			if err := answer(); err != nil {
				return err
			}
		}
		if _, err := c.Write(frame); err != nil {
			return err
		}
		sent++
	}
	for answered < sent {
		if err := answer(); err != nil {
			return err
		}
	}
	return nil
}

// queueWorker acknowledges each frame of grants with one frame, until ctx ends.
func queueWorker(ctx context.Context, addr string, id uint32, slots int, done *atomic.Int64) error {
	c, err := dial(ctx, addr, 'w')
	if err != nil {
		return err
	}
	defer c.Close()
	command := func(kind byte, n int, ids []byte) error {
		b := binary.LittleEndian.AppendUint32(make([]byte, 0, 13+len(ids)), uint32(9+len(ids)))
		b = append(b, kind)
		b = binary.LittleEndian.AppendUint32(b, id)
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
		_, err := c.Write(append(b, ids...))
		return err
	}
	if err := command(kindOrder, slots, nil); err != nil {
		return err
	}
	r := bufio.NewReaderSize(c, 64<<10)
	for {
		b, err := readFrame(r)
		switch {
		case err != nil:
		case len(b) == 4:
			done.Add(int64(binary.LittleEndian.Uint32(b)))
		default:
			err = command(kindAck, len(b)/8, b)
		}
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("worker %d: %w", id, err)
		}
	}
}
