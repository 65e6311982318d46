package peer

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/musterhq/muster/testing/bench/child"
	"github.com/musterhq/muster/testing/bench/result"
)

// Etcd is puts into three members: not jobs, but what a job system on etcd cannot pass.
type Etcd struct{}

const (
	etcdPuts     = 20_000 // the usual number
	etcdInFlight = 1000
	etcdTxn      = 100 // puts of one transaction
)

// About describes it.
func (Etcd) About(ctx context.Context) result.Subject {
	return result.Subject{
		Title: "etcd ×3, puts (not jobs)", Kind: result.Peer, Version: debian(ctx, "etcd-server") + ", client " + module("go.etcd.io/etcd/client/v3"),
		Settings:   "three members; puts of 64 B, 16 connections, 1,000 in flight; the same in transactions of 100, 64 in flight",
		Replicated: true, Durable: true,
	}
}

// Missing says what it needs.
func (Etcd) Missing() error { return missingPrograms("etcd", "etcd") }

// Measure does one round.
func (Etcd) Measure(ctx context.Context, e *Env) ([]result.Sample, error) {
	endpoints, servers, err := startEtcd(ctx, e)
	if err != nil {
		return nil, err
	}
	clients := make([]*clientv3.Client, 16)
	for i := range clients {
		c, err := clientv3.New(clientv3.Config{Endpoints: endpoints, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
		if err != nil {
			return nil, fmt.Errorf("connect: %w", err)
		}
		defer c.Close()
		clients[i] = c
	}
	if err := e.Group.Await(ctx, "etcd", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		_, err := clients[0].Put(ctx, "ready", "")
		return err
	}); err != nil {
		return nil, err
	}
	value := strings.Repeat("x", 64)
	n := e.Count(etcdPuts)
	puts, err := Timed("puts", n, servers, func() error {
		return each(ctx, n, etcdInFlight, func(ctx context.Context, i int) error {
			_, err := clients[i%len(clients)].Put(ctx, fmt.Sprint("jobs/", i), value)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	n = 3 * n / etcdTxn * etcdTxn
	txns, err := Timed("puts in transactions of 100", n, servers, func() error {
		return each(ctx, n/etcdTxn, 64, func(ctx context.Context, i int) error {
			ops := make([]clientv3.Op, etcdTxn)
			for j := range ops {
				ops[j] = clientv3.OpPut(fmt.Sprintf("txn/%d/%d", i, j), value)
			}
			_, err := clients[i%len(clients)].Txn(ctx).Then(ops...).Commit()
			return err
		})
	})
	return []result.Sample{puts, txns}, err
}

// each calls do for 0 to n-1, inFlight at once.
func each(ctx context.Context, n, inFlight int, do func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range min(inFlight, n) {
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return nil
				}
				if err := do(ctx, i); err != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}

func startEtcd(ctx context.Context, e *Env) (endpoints []string, servers []*child.Process, err error) {
	ports, err := child.FreePorts(6)
	if err != nil {
		return nil, nil, err
	}
	var members []string
	for i := range 3 {
		endpoints = append(endpoints, fmt.Sprintf("http://127.0.0.1:%d", ports[i]))
		members = append(members, fmt.Sprintf("etcd-%d=http://127.0.0.1:%d", i+1, ports[3+i]))
	}
	for i, endpoint := range endpoints {
		name := fmt.Sprintf("etcd-%d", i+1)
		_, peer, _ := strings.Cut(members[i], "=")
		p, err := e.Group.Start(child.Spec{Name: name, Args: []string{
			"etcd", "--name", name, "--data-dir", e.Path(name), "--listen-client-urls", endpoint, "--advertise-client-urls", endpoint,
			"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", strings.Join(members, ","), "--logger", "zap",
		}})
		if err != nil {
			return nil, nil, err
		}
		servers = append(servers, p)
	}
	return endpoints, servers, nil
}
