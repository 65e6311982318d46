package gossip

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/memberlist"
)

// Timing and limits.
const (
	seedsMax        = 64
	lookupTimeout   = 2 * time.Second        // of a seed's or own name
	leaveTimeout    = 500 * time.Millisecond // for others to hear that this node leaves
	publishTimeout  = time.Second            // for one other to hear of a new Meta; it spreads on without us
	deadReclaim     = time.Second
	joinRetryMin    = 100 * time.Millisecond // while nobody was reached
	joinRetryMax    = 5 * time.Second
	rejoinInterval  = 30 * time.Second // memberlist forgets the dead: seeds are joined again, so that a long partition heals
	loopbackTimeout = time.Second
	lanTimeout      = 3 * time.Second
)

// Config is how a node takes part. Bind and Cluster are required.
type Config struct {
	Bind      string   // host:port for TCP and UDP; port 0 takes any free one
	Advertise string   // host that others send to; default: the host of Bind, or a private address when that is 0.0.0.0
	Cluster   string   // the cluster's name: others of another name are not heard
	Name      string   // for people; need not be unique
	Seeds     []string // host:port of any members; names are looked up anew at each try
	Key       []byte   // AES key of 16, 24 or 32 bytes; none: keyless, for loopback
	Log       hclog.Logger
}

// Gossip is a running member. Its methods are safe for concurrent use and do not block.
type Gossip struct {
	cfg     Config
	log     hclog.Logger
	list    *memberlist.Memberlist
	addr    string
	changed chan struct{} // capacity 1: a pending signal stands for all changes since it was sent
	publish chan struct{} // capacity 1, likewise
	reseed  chan struct{} // capacity 1, likewise
	cancel  context.CancelFunc
	done    sync.WaitGroup
	stop    sync.Once
	state   *state

	mu      sync.Mutex
	learned []string // further seeds, newest last
}

// Start binds, publishes meta and begins to join the seeds in the background. meta.Started is filled in.
func Start(cfg Config, meta Meta) (*Gossip, error) {
	if cfg.Cluster == "" {
		return nil, errors.New("start gossip: no cluster name")
	}
	if len(cfg.Seeds) > seedsMax {
		return nil, fmt.Errorf("start gossip: %d seeds, at most %d", len(cfg.Seeds), seedsMax)
	}
	if cfg.Log == nil {
		cfg.Log = hclog.NewNullLogger()
	}
	meta.Started = uint64(time.Now().UnixMilli())
	g := &Gossip{cfg: cfg, log: cfg.Log, changed: make(chan struct{}, 1), publish: make(chan struct{}, 1), reseed: make(chan struct{}, 1)}
	st, err := newState(meta, g.log, func() { signal(g.changed) })
	if err != nil {
		return nil, fmt.Errorf("start gossip: %w", err)
	}
	g.state = st
	conf, err := memberConfig(cfg, st)
	if err != nil {
		return nil, fmt.Errorf("start gossip on %s: %w", cfg.Bind, err)
	}
	if g.list, err = memberlist.Create(conf); err != nil {
		return nil, fmt.Errorf("start gossip on %s: %w", cfg.Bind, err)
	}
	g.addr = g.list.LocalNode().Address() // now: memberlist writes to the node at each update
	ctx, cancel := context.WithCancel(context.Background())
	g.cancel = cancel
	g.done.Go(func() { g.join(ctx) })
	g.done.Go(func() { g.republish(ctx) })
	return g, nil
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// memberConfig is memberlist's LAN settings, quicker on loopback.
func memberConfig(cfg Config, st *state) (*memberlist.Config, error) {
	host, port, err := splitHostPort(cfg.Bind)
	if err != nil {
		return nil, err
	}
	bind, err := lookupOne(host)
	if err != nil {
		return nil, err
	}
	random := make([]byte, 4)
	_, _ = rand.Read(random) // never fails
	c := memberlist.DefaultLANConfig()
	c.TCPTimeout = lanTimeout
	if bind.IsLoopback() {
		c.GossipInterval = 100 * time.Millisecond
		c.ProbeTimeout = 300 * time.Millisecond
		c.PushPullInterval = 10 * time.Second
		c.TCPTimeout = loopbackTimeout
	}
	// A fresh name for each start: memberlist would refuse the old one at a new address until its death has settled.
	c.Name = cfg.Name + "/" + hex.EncodeToString(random)
	c.BindAddr, c.BindPort, c.AdvertisePort = bind.String(), port, port
	if cfg.Advertise != "" {
		ip, err := lookupOne(cfg.Advertise)
		if err != nil {
			return nil, err
		}
		c.AdvertiseAddr = ip.String()
	}
	c.Label = cfg.Cluster
	c.DeadNodeReclaimTime = deadReclaim
	c.EnableCompression = false
	c.SecretKey = cfg.Key
	c.Delegate, c.Events, c.Alive = st, st, st
	c.LogOutput = logWriter{cfg.Log}
	return c, nil
}

func splitHostPort(address string) (string, int, error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("port %q: want a number from 0 to 65535", text)
	}
	return host, int(port), nil
}

func lookupOne(host string) (net.IP, error) {
	if host == "" {
		return net.IPv4zero, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	ips, err := lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	return ips[0], nil
}

func lookup(ctx context.Context, host string) ([]net.IP, error) {
	if ip := net.ParseIP(host); ip != nil {
		return []net.IP{ip}, nil
	}
	return net.DefaultResolver.LookupIP(ctx, "ip", host)
}

// Addr is the host:port that others reach this node at: the bound port when Bind asked for port 0.
func (g *Gossip) Addr() string { return g.addr }

// Changed signals that Members may have changed since the last signal was taken. It is for one reader.
func (g *Gossip) Changed() <-chan struct{} { return g.changed }

// Members is what is known of every live node, this one included, one for each NodeID, in order of NodeID.
func (g *Gossip) Members() []Meta { return g.state.members() }

// Coordinators is the live coordinators: first who says that it leads, the highest term first, then the others.
func (g *Gossip) Coordinators() []Meta { return g.state.coordinators() }

// Self is what this node publishes.
func (g *Gossip) Self() Meta { return g.state.self() }

// Update changes what this node publishes. It spreads in the background.
func (g *Gossip) Update(change func(*Meta)) error {
	changed, err := g.state.update(change)
	if err != nil {
		return fmt.Errorf("update gossip: %w", err)
	}
	if changed {
		signal(g.publish)
	}
	return nil
}

// Stop tells the others that this node leaves, and ends every goroutine. It waits no longer than ctx allows for the
// others to hear; calls after the first do nothing.
func (g *Gossip) Stop(ctx context.Context) error {
	var err error
	g.stop.Do(func() {
		g.cancel()
		wait := leaveTimeout
		if at, ok := ctx.Deadline(); ok {
			wait = max(time.Millisecond, min(wait, time.Until(at)))
		}
		if e := g.list.Leave(wait); e != nil {
			g.log.Debug("nobody heard that this node leaves", "error", e)
		}
		err = g.list.Shutdown()
		g.done.Wait()
	})
	return err
}
