package peer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/musterhq/muster/testing/bench/child"
	"github.com/musterhq/muster/testing/bench/result"
)

// NATS is JetStream: a work-queue stream with three replicas, each write synced.
type NATS struct{}

// natsJobs is the usual number of jobs.
const natsJobs = 60_000

// About describes it.
func (NATS) About(context.Context) result.Subject {
	return result.Subject{
		Title: "NATS JetStream R3, sync always", Kind: result.Peer, Version: server.VERSION + ", client " + nats.Version,
		Settings:   "three servers (one process each), work-queue stream, file storage, R3, sync_interval always; 4 publishing connections, 256 publishes unanswered on each; 4 pull consumers of 64 messages; acks unanswered, until the stream is empty",
		Replicated: true, Durable: true, Jobs: true,
	}
}

// Missing says that it is always there: the server is linked in.
func (NATS) Missing() error { return nil }

// Measure does one round.
func (NATS) Measure(ctx context.Context, e *Env) ([]result.Sample, error) {
	urls, servers, err := startNATS(ctx, e)
	if err != nil {
		return nil, err
	}
	conns := make([]jetstream.JetStream, 2*Workers) // half for publishers, half for workers
	for i := range conns {
		nc, err := nats.Connect(urls, nats.MaxReconnects(-1))
		if err != nil {
			return nil, fmt.Errorf("connect: %w", err)
		}
		defer nc.Close()
		if conns[i], err = jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(Workers*Slots)); err != nil {
			return nil, err
		}
	}
	var stream jetstream.Stream
	err = e.Group.Await(ctx, "the stream", func(ctx context.Context) (err error) {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		stream, err = conns[0].CreateStream(ctx, jetstream.StreamConfig{
			Name: "JOBS", Subjects: []string{"jobs"}, Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage, Replicas: 3,
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	if _, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: "workers", AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Minute, MaxAckPending: -1,
	}); err != nil {
		return nil, fmt.Errorf("create the consumer: %w", err)
	}
	n := e.Count(natsJobs)
	s, err := Timed(Jobs, n, servers, func() error { return natsThrough(ctx, conns[:Workers], conns[Workers:], stream, n) })
	return []result.Sample{s}, err
}

func natsThrough(ctx context.Context, publishers, workers []jetstream.JetStream, stream jetstream.Stream, n int) error {
	for _, js := range workers {
		c, err := js.Consumer(ctx, "JOBS", "workers")
		if err != nil {
			return err
		}
		consuming, err := c.Consume(func(m jetstream.Msg) { _ = m.Ack() }, jetstream.PullMaxMessages(Slots)) // one lost comes again
		if err != nil {
			return err
		}
		defer consuming.Stop()
	}
	body := []byte(strings.Repeat("x", 64))
	g, gctx := errgroup.WithContext(ctx)
	for i, js := range publishers {
		g.Go(func() error {
			var acks []jetstream.PubAckFuture
			for j := i; j < n; j += len(publishers) {
				a, err := js.PublishAsync("jobs", body, jetstream.WithStallWait(time.Minute)) // waits while too many are unanswered
				if err != nil {
					return fmt.Errorf("publish: %w", err)
				}
				acks = append(acks, a)
			}
			for _, a := range acks {
				select {
				case <-a.Ok():
				case err := <-a.Err():
					return fmt.Errorf("publish: %w", err)
				case <-gctx.Done():
					return context.Cause(gctx)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return Until(ctx, func(ctx context.Context) (bool, error) {
		info, err := stream.Info(ctx)
		if err != nil {
			return false, err
		}
		return info.State.Msgs == 0 && info.State.LastSeq >= uint64(n), nil
	})
}

func startNATS(ctx context.Context, e *Env) (urls string, servers []*child.Process, err error) {
	ports, err := child.FreePorts(6)
	if err != nil {
		return "", nil, err
	}
	client, route := ports[:3], ports[3:]
	var list, routes []string
	for i := range client {
		list = append(list, fmt.Sprintf("nats://127.0.0.1:%d", client[i]))
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", route[i]))
	}
	for i := range client {
		name := fmt.Sprintf("nats-%d", i+1)
		p, err := e.Group.Start(child.Spec{Name: name, Args: []string{
			self(), "serve-nats", "--name", name, "--data", e.Path(name), "--client", fmt.Sprint(client[i]), "--route", fmt.Sprint(route[i]), "--routes", strings.Join(routes, ","),
		}})
		if err != nil {
			return "", nil, err
		}
		servers = append(servers, p)
	}
	for _, port := range client {
		if err := e.Group.AwaitPort(ctx, child.Loopback(port)); err != nil {
			return "", nil, err
		}
	}
	return strings.Join(list, ","), servers, nil
}

// NATSServer is one server of the cluster.
type NATSServer struct {
	Name, Data    string
	Client, Route int    // ports
	Routes        string // of all servers, with commas
}

// Run serves until ctx ends.
func (n NATSServer) Run(ctx context.Context) error {
	s, err := server.NewServer(&server.Options{
		ServerName: n.Name, Host: "127.0.0.1", Port: n.Client, JetStream: true, StoreDir: n.Data, SyncAlways: true, NoSigs: true,
		Cluster: server.ClusterOpts{Name: "bench", Host: "127.0.0.1", Port: n.Route},
		Routes:  server.RoutesFromStr(n.Routes),
	})
	if err != nil {
		return fmt.Errorf("nats server %s: %w", n.Name, err)
	}
	s.ConfigureLogger()
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		return errors.New("the nats server does not listen")
	}
	<-ctx.Done()
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}
