package peer

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/beanstalkd/go-beanstalk"
	"github.com/musterhq/muster/testing/bench/child"
	"github.com/musterhq/muster/testing/bench/result"
)

// Beanstalkd is beanstalkd with its log synced at each write.
type Beanstalkd struct{}

// beanstalkJobs is the usual number of jobs.
const beanstalkJobs = 5000

// About describes it.
func (Beanstalkd) About(ctx context.Context) result.Subject {
	return result.Subject{
		Title: "beanstalkd, fsync each", Kind: result.Peer, Version: debian(ctx, "beanstalkd"),
		Settings: "-f0; 16 connections put, 64 reserve and delete", Durable: true, Jobs: true,
	}
}

// Missing says what it needs.
func (Beanstalkd) Missing() error { return missingPrograms("beanstalkd", "beanstalkd") }

// Measure does one round.
func (Beanstalkd) Measure(ctx context.Context, e *Env) ([]result.Sample, error) {
	ports, err := child.FreePorts(1)
	if err != nil {
		return nil, err
	}
	dir, err := e.Mkdir("", "beanstalkd")
	if err != nil {
		return nil, err
	}
	p, err := e.Group.Start(child.Spec{Name: "beanstalkd", Args: []string{"beanstalkd", "-l", "127.0.0.1", "-p", fmt.Sprint(ports[0]), "-b", dir, "-f0"}})
	if err != nil {
		return nil, err
	}
	addr := child.Loopback(ports[0])
	if err := e.Group.AwaitPort(ctx, addr); err != nil {
		return nil, err
	}
	n := e.Count(beanstalkJobs)
	s, err := Timed(Jobs, n, []*child.Process{p}, func() error { return beanstalkThrough(ctx, addr, n) })
	return []result.Sample{s}, err
}

func beanstalkThrough(ctx context.Context, addr string, n int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var submitted, done atomic.Int64
	connected := func(work func(*beanstalk.Conn) error) {
		go func() { // ends with the server, at the latest
			c, err := beanstalk.Dial("tcp", addr)
			if err == nil {
				defer c.Close()
				err = work(c)
			}
			if err != nil {
				cancel(err)
			}
		}()
	}
	for range 16 {
		connected(func(c *beanstalk.Conn) error {
			for submitted.Add(1) <= int64(n) && ctx.Err() == nil {
				if _, err := c.Put(make([]byte, 64), 1, 0, time.Minute); err != nil {
					return fmt.Errorf("put: %w", err)
				}
			}
			return nil
		})
	}
	for range Slots {
		connected(func(c *beanstalk.Conn) error {
			for ctx.Err() == nil {
				id, _, err := c.Reserve(time.Second)
				if errors.Is(err, beanstalk.ErrTimeout) {
					continue
				}
				if err != nil {
					return fmt.Errorf("reserve: %w", err)
				}
				if err := c.Delete(id); err != nil {
					return fmt.Errorf("delete: %w", err)
				}
				done.Add(1)
			}
			return nil
		})
	}
	return Until(ctx, func(context.Context) (bool, error) { return done.Load() >= int64(n), nil })
}
