package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-sockaddr"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/musterhq/muster/cluster/gossip"
	"github.com/musterhq/muster/config"
)

// compareEvery is how often the state hashes of the coordinators are compared.
const compareEvery = time.Second

// Addresses are where others reach a coordinator, as host:port.
type Addresses struct{ HTTP, RPC, Gossip string }

// Coordinator is one node of the cluster: Raft and its stores, the state machine, gossip, and, while it leads, the
// leader's loops. New makes one, Run lives it.
type Coordinator struct {
	cfg       config.Coordinator
	log       hclog.Logger
	version   string
	started   time.Time
	wall      func() time.Time
	parts     partSize
	addresses Addresses

	dir     *dataDir
	disk    *diskSpace
	memory  *memoryWatch
	http    net.Listener
	mux     *mux
	layer   *streamLayer
	book    *addressBook
	applier *applier
	node    *node
	gossip  *gossip.Gossip // nil with a static list
	peers   *peering
	metrics *coordinatorMetrics
	fatal   fatalFunc

	leading atomic.Pointer[leadership] // nil unless this node leads and is ready
	doubt   atomic.Pointer[string]     // why this node's state is not to be trusted
}

// New takes the data directory, opens the listeners and the stores and checks what is there. Run must follow: it
// releases what New took.
func New(cfg config.Coordinator, log hclog.Logger, version string) (_ *Coordinator, err error) {
	c := &Coordinator{cfg: cfg, log: log, version: version, started: time.Now(), wall: time.Now, parts: partSize{partJobsMax, partBytesMax}, metrics: newMetrics(), book: newAddressBook()}
	var undo []func() error
	defer func() {
		for i := len(undo) - 1; err != nil && i >= 0; i-- {
			_ = undo[i]()
		}
	}()
	if c.cfg.Name == "" {
		if c.cfg.Name, err = os.Hostname(); err != nil {
			return nil, fmt.Errorf("find a name for this node: %w", err)
		}
	}
	if c.dir, err = openDataDir(c.cfg); err != nil {
		return nil, err
	}
	undo = append(undo, c.dir.close)
	if c.disk, err = newDiskSpace(c.dir.path, log.Named("disk")); err != nil {
		return nil, err
	}
	c.memory = newMemoryWatch(log.Named("memory"))
	rpc, err := c.listen(&undo)
	if err != nil {
		return nil, err
	}
	c.mux = newMux(rpc, log.Named("mux"))
	c.fatal = exitOnFatal(log)
	c.applier = newApplier(log.Named("fsm"), c.fatal, c.metrics.applied)
	c.layer = newStreamLayer(c.dir, c.cfg.Name, c.addresses.RPC, log.Named("raft.stream"))
	if c.node, err = openNode(c.cfg, c.dir, c.applier, c.layer, c.book, log, c.fatal); err != nil {
		return nil, err
	}
	undo = append(undo, func() error { return c.node.close(context.Background()) })
	servers := c.node.raft.GetConfiguration().Configuration().Servers
	for _, s := range servers {
		if s.ID != c.node.id { // a node that comes back elsewhere, without seeds, calls those it knows from before
			c.book.heardOf(member{ID: string(s.ID), RPC: addressOf(s)})
		}
	}
	c.peers = newPeering(c.cfg, c.dir, c.addresses.RPC, c.addresses.HTTP, c.book, nil, c.describe, log.Named("peers"))
	if err = c.peers.seek(context.Background(), servers); err != nil {
		return nil, err
	}
	if err = c.startGossip(); err != nil {
		return nil, err
	}
	if c.gossip != nil {
		c.peers.gossip = c.gossip
		undo = append(undo, func() error { return c.gossip.Stop(context.Background()) })
	}
	c.mux.handle(kindRaft, c.layer.serve)
	c.peers.follow = c.node.leader
	c.mux.handle(kindPeer, c.peers.serve)
	if err = c.metrics.watch(c); err != nil {
		return nil, fmt.Errorf("set up metrics: %w", err)
	}
	return c, nil
}

// listen opens the HTTP and RPC ports.
func (c *Coordinator) listen(undo *[]func() error) (rpc net.Listener, err error) {
	if c.http, err = net.Listen("tcp", c.cfg.HTTP); err != nil {
		return nil, fmt.Errorf("listen for http: %w", err)
	}
	*undo = append(*undo, c.http.Close)
	c.http = newBoundedListener(c.http, newPlaces(connsAllowed(openFilesLimit())), c.log.Named("http"))
	if rpc, err = net.Listen("tcp", c.cfg.RPC); err != nil {
		return nil, fmt.Errorf("listen for rpc: %w", err)
	}
	*undo = append(*undo, rpc.Close)
	if c.addresses.HTTP, err = advertised(c.cfg.Advertise, c.http.Addr()); err != nil {
		return nil, err
	}
	c.addresses.RPC, err = advertised(c.cfg.Advertise, rpc.Addr())
	return rpc, err
}

// advertised is where others reach a listener: at the configured host, or where it is bound.
func advertised(host string, bound net.Addr) (string, error) {
	bindHost, port, err := net.SplitHostPort(bound.String())
	if err != nil {
		return "", fmt.Errorf("address %s: %w", bound, err)
	}
	if host == "" {
		host = bindHost
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		if host, err = sockaddr.GetPrivateIP(); err != nil || host == "" {
			return "", fmt.Errorf("bound to %s and no private address was found to tell others: set --advertise", bound)
		}
	}
	return net.JoinHostPort(host, port), nil
}

func (c *Coordinator) startGossip() (err error) {
	if c.cfg.Gossip == "" {
		return nil
	}
	id := c.dir.identity()
	c.gossip, err = gossip.Start(
		gossip.Config{Bind: c.cfg.Gossip, Advertise: c.cfg.Advertise, Cluster: c.cfg.Cluster, Name: c.cfg.Name, Seeds: c.cfg.Join, Log: c.log.Named("gossip")},
		gossip.Meta{
			Role: gossip.RoleCoordinator, NodeID: id.Node, Name: c.cfg.Name, RPC: c.addresses.RPC, HTTP: c.addresses.HTTP,
			ClusterID: id.ClusterID, Expect: c.cfg.BootstrapExpect,
		})
	if err == nil {
		c.addresses.Gossip = c.gossip.Addr()
	}
	return err
}

// Tasker is the service in front of the state.
func (c *Coordinator) Tasker() *Tasker { return &Tasker{c} }

// Addresses are where others reach this node.
func (c *Coordinator) Addresses() Addresses { return c.addresses }

// Metrics are this node's series, Raft's and gossip's among them.
func (c *Coordinator) Metrics() *prometheus.Registry { return c.metrics.registry }

// HTTPListener is the HTTP port; whoever serves it closes it.
func (c *Coordinator) HTTPListener() net.Listener { return c.http }

// HTTPOverRPC is HTTP connections that come to the RPC port. Call it before Run; it ends with Run.
func (c *Coordinator) HTTPOverRPC() net.Listener { return c.mux.listener(kindHTTP) }

// HandleRPC sets who serves connections of muster's own protocol, the preface read. Call it before Run, which ends when
// every handler has returned; their connections are closed and ctx cancelled first.
func (c *Coordinator) HandleRPC(serve func(ctx context.Context, conn net.Conn)) {
	c.mux.handle(kindRPC, serve)
}

// Run lives until ctx ends or something fails that it cannot live without. A clean stop hands leadership over first.
func (c *Coordinator) Run(ctx context.Context) error {
	defer c.dir.close()
	ports, closePorts := context.WithCancel(context.WithoutCancel(ctx))
	defer closePorts()
	muxed := make(chan error, 1)
	go func() { muxed <- c.mux.run(ports) }()

	loops, loopCtx := errgroup.WithContext(ctx)
	loops.Go(func() error { return c.peers.run(loopCtx) })
	loops.Go(func() error { return newFormation(c.peers, c.dir, c.node, c.log.Named("formation")).run(loopCtx) })
	loops.Go(func() error {
		return newCrashDetector(c.self().ID, c.node, c.peers, c.cfg.Raft.Heartbeat, c.log.Named("crash")).run(loopCtx)
	})
	loops.Go(func() error { return c.node.snapshotLoop(loopCtx) })
	loops.Go(func() error { return c.disk.run(loopCtx) })
	loops.Go(func() error { return c.memory.run(loopCtx) })
	loops.Go(func() error { return c.lead(loopCtx) })
	loops.Go(func() error { return c.compareStates(loopCtx) })
	loops.Go(func() error {
		select {
		case err := <-muxed:
			muxed <- err
			if loopCtx.Err() == nil {
				return fmt.Errorf("the rpc port failed: %w", err)
			}
		case <-loopCtx.Done():
		}
		return nil
	})
	err := loops.Wait()

	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.StopTimeout)
	defer cancel()
	err = errors.Join(err, c.node.close(stop))
	if c.gossip != nil {
		err = errors.Join(err, c.gossip.Stop(stop))
	}
	closePorts()
	<-muxed
	if c.http != nil {
		_ = c.http.Close() // whoever served it may have closed it
	}
	return err
}

// describe adds what the state machine and Raft know to what this node says about itself.
func (c *Coordinator) describe(i *nodeInfo) {
	c.node.describe(i)
	h := c.applier.hash()
	i.Applied, i.HashIndex, i.Hash, i.Gossip = c.applier.index.Load(), h.index, h.hash, c.addresses.Gossip
}

// announce tells gossip whether this node leads.
func (c *Coordinator) announce() {
	if c.gossip == nil {
		return
	}
	leads := c.leading.Load() != nil
	if err := c.gossip.Update(func(m *gossip.Meta) { m.Leader, m.Term = leads, c.node.raft.CurrentTerm() }); err != nil {
		c.log.Warn("tell gossip who leads", "error", err)
	}
}

// compareStates raises an alarm when another coordinator had another state after the same entry.
func (c *Coordinator) compareStates(ctx context.Context) error {
	for sleep(ctx, compareEvery) {
		for _, k := range c.book.list() {
			if k.HashIndex == 0 || c.doubt.Load() != nil || !c.applier.differs(hashAt{k.HashIndex, k.Hash}) {
				continue
			}
			doubt := fmt.Sprintf("the state differs from %s's at log index %d: stop the coordinator that stands alone, move its data directory away and let it join anew", k.Name, k.HashIndex)
			c.log.Error("state diverged", "peer", k.Name, "index", k.HashIndex)
			c.doubt.Store(&doubt)
		}
	}
	return nil
}
