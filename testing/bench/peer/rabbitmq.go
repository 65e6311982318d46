package peer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"
	"golang.org/x/sync/errgroup"

	"github.com/musterhq/muster/testing/bench/child"
	"github.com/musterhq/muster/testing/bench/result"
)

// RabbitMQ is a quorum queue on three nodes.
type RabbitMQ struct{}

const (
	rabbitJobs   = 30_000 // the usual number
	rabbitUser   = "rabbitmq"
	rabbitServer = "/usr/lib/rabbitmq/bin/rabbitmq-server" // the one in the path changes the user, and its directories
	rabbitQueue  = "jobs"
)

// About describes it.
func (RabbitMQ) About(ctx context.Context) result.Subject {
	return result.Subject{
		Title: "RabbitMQ quorum queue ×3", Kind: result.Peer, Version: debian(ctx, "rabbitmq-server") + ", client " + module("github.com/rabbitmq/amqp091-go"),
		Settings:   "three nodes, quorum queue of three, persistent messages; 4 publishing channels with confirms, 256 unconfirmed on each; 4 consumers of prefetch 64, an ack each, unanswered",
		Replicated: true, Durable: true, Jobs: true,
	}
}

// Missing says what it needs.
func (RabbitMQ) Missing() error {
	if _, err := os.Stat(rabbitServer); err != nil {
		return errors.New("no RabbitMQ here: run testing/bench/install.sh rabbitmq")
	}
	if os.Getuid() != 0 {
		return errors.New("RabbitMQ is started as its own user, which takes root")
	}
	return missingPrograms("rabbitmq", "epmd")
}

// Measure does one round.
func (RabbitMQ) Measure(ctx context.Context, e *Env) ([]result.Sample, error) {
	ports, servers, err := startRabbitMQ(ctx, e)
	if err != nil {
		return nil, err
	}
	channels := make([]*amqp.Channel, 2*Workers) // half publish, half consume
	for i := range channels {
		conn, err := amqp.Dial(fmt.Sprintf("amqp://guest:guest@127.0.0.1:%d/", ports[i%len(ports)]))
		if err != nil {
			return nil, fmt.Errorf("connect: %w", err)
		}
		defer conn.Close()
		if channels[i], err = conn.Channel(); err != nil {
			return nil, err
		}
	}
	if _, err := channels[0].QueueDeclare(rabbitQueue, true, false, false, false, amqp.Table{"x-queue-type": "quorum", "x-quorum-initial-group-size": len(ports)}); err != nil {
		return nil, fmt.Errorf("declare the queue: %w", err)
	}
	n := e.Count(rabbitJobs)
	s, err := Timed(Jobs, n, servers, func() error { return rabbitThrough(ctx, channels[:Workers], channels[Workers:], n) })
	return []result.Sample{s}, err
}

func rabbitThrough(ctx context.Context, publishers, consumers []*amqp.Channel, n int) error {
	g, gctx := errgroup.WithContext(ctx)
	var acked atomic.Int64
	for _, ch := range consumers {
		if err := ch.Qos(Slots, 0, false); err != nil {
			return err
		}
		deliveries, err := ch.ConsumeWithContext(ctx, rabbitQueue, "", false, false, false, false, nil)
		if err != nil {
			return fmt.Errorf("consume: %w", err)
		}
		go func() { // ends with the channel
			for d := range deliveries {
				if d.Ack(false) == nil {
					acked.Add(1)
				}
			}
		}()
	}
	for i, ch := range publishers {
		if err := ch.Confirm(false); err != nil {
			return err
		}
		g.Go(func() error { return rabbitPublish(gctx, ch, (n-i+len(publishers)-1)/len(publishers)) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return Until(ctx, func(context.Context) (bool, error) {
		if acked.Load() < int64(n) {
			return false, nil
		}
		q, err := publishers[0].QueueDeclarePassive(rabbitQueue, true, false, false, false, nil)
		return q.Messages == 0, err
	})
}

func rabbitPublish(ctx context.Context, ch *amqp.Channel, n int) error {
	body := make([]byte, 64)
	waiting := make(chan *amqp.DeferredConfirmation, Workers*Slots)
	confirm := func(c *amqp.DeferredConfirmation) error {
		ok, err := c.WaitContext(ctx)
		if err == nil && !ok {
			err = errors.New("the broker refused a message")
		}
		return err
	}
	for range n {
		if len(waiting) == cap(waiting) {
			if err := confirm(<-waiting); err != nil {
				return err
			}
		}
		c, err := ch.PublishWithDeferredConfirmWithContext(ctx, "", rabbitQueue, true, false, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: body})
		if err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		waiting <- c
	}
	for len(waiting) > 0 {
		if err := confirm(<-waiting); err != nil {
			return err
		}
	}
	return nil
}

// startRabbitMQ starts a port mapper of Erlang's of its own, then three nodes that find each other by their configuration.
func startRabbitMQ(ctx context.Context, e *Env) (amqpPorts []int, servers []*child.Process, err error) {
	ports, err := child.FreePorts(7)
	if err != nil {
		return nil, nil, err
	}
	epmd, amqpPorts, dist := ports[0], ports[1:4], ports[4:]
	home, err := e.Mkdir(rabbitUser, "rabbitmq")
	if err != nil {
		return nil, nil, err
	}
	if err := writeCookie(home); err != nil {
		return nil, nil, err
	}
	var nodes strings.Builder
	for i := range amqpPorts {
		fmt.Fprintf(&nodes, "cluster_formation.classic_config.nodes.%d = rabbit%d@localhost\n", i+1, i+1)
	}
	config, err := e.WriteFile("rabbitmq.conf", "cluster_formation.peer_discovery_backend = classic_config\n"+nodes.String()+
		"cluster_formation.randomized_startup_delay_range.min = 0\ncluster_formation.randomized_startup_delay_range.max = 1\nvm_memory_high_watermark.relative = 0.3\n")
	if err != nil {
		return nil, nil, err
	}
	common := []string{"HOME=" + home, fmt.Sprint("ERL_EPMD_PORT=", epmd), "ERL_EPMD_ADDRESS=127.0.0.1", "LC_ALL=C.UTF-8"}
	if _, err := e.Group.Start(child.Spec{Name: "epmd", User: rabbitUser, Args: []string{"epmd"}, Env: common, Dir: home}); err != nil {
		return nil, nil, err
	}
	if err := e.Group.AwaitPort(ctx, child.Loopback(epmd)); err != nil {
		return nil, nil, err
	}
	for i := range amqpPorts {
		name := fmt.Sprintf("rabbit%d", i+1)
		p, err := e.Group.Start(child.Spec{Name: name, User: rabbitUser, Dir: home, Args: []string{rabbitServer}, Env: append([]string{
			"RABBITMQ_NODENAME=" + name + "@localhost", "RABBITMQ_NODE_IP_ADDRESS=127.0.0.1", fmt.Sprint("RABBITMQ_NODE_PORT=", amqpPorts[i]),
			fmt.Sprint("RABBITMQ_DIST_PORT=", dist[i]), "RABBITMQ_MNESIA_BASE=" + home + "/data", "RABBITMQ_LOG_BASE=" + home + "/log",
			"RABBITMQ_CONFIG_FILE=" + config, "RABBITMQ_ENABLED_PLUGINS_FILE=" + home + "/plugins", "RABBITMQ_PID_FILE=" + home + "/" + name + ".pid",
			"RABBITMQ_CONF_ENV_FILE=/dev/null", "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}",
		}, common...)})
		if err != nil {
			return nil, nil, err
		}
		servers = append(servers, p)
	}
	for _, port := range amqpPorts {
		if err := e.Group.AwaitPort(ctx, child.Loopback(port)); err != nil {
			return nil, nil, err
		}
	}
	return amqpPorts, servers, nil
}

// writeCookie writes the secret that the nodes know each other by.
func writeCookie(home string) error {
	path := home + "/.erlang.cookie"
	if err := os.WriteFile(path, []byte(rand.Text()), 0o400); err != nil {
		return err
	}
	uid, gid, err := child.Account(rabbitUser)
	if err != nil {
		return err
	}
	return os.Chown(path, uid, gid)
}
