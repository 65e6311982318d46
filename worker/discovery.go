package worker

import (
	"context"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/musterhq/muster/cluster/gossip"
	"github.com/musterhq/muster/config"
)

// discovery knows where the coordinators are: from gossip, from a list, or from both.
type discovery struct {
	listed []string       // RPC addresses
	gossip *gossip.Gossip // nil: none
}

func startDiscovery(cfg config.Worker, id string, log hclog.Logger) (*discovery, error) {
	d := &discovery{listed: cfg.Coordinators}
	if len(cfg.Join) == 0 {
		return d, nil
	}
	g, err := gossip.Start(gossip.Config{
		Bind: cfg.Gossip, Advertise: cfg.Advertise, Cluster: cfg.Cluster, Name: cfg.Name, Seeds: cfg.Join, Log: log,
	}, gossip.Meta{Role: gossip.RoleWorker, NodeID: id, Name: cfg.Name})
	if err != nil {
		return nil, err
	}
	d.gossip = g
	return d, nil
}

// coordinators are the RPC addresses that gossip knows, whoever says that it leads first.
func (d *discovery) coordinators() []string {
	return d.collect(func(m gossip.Meta) string { return m.RPC })
}

// addresses are those of $MUSTER_ADDR, comma-separated: HTTP where it is known, else RPC, which speaks HTTP too.
func (d *discovery) addresses() string {
	list := d.collect(func(m gossip.Meta) string {
		if m.HTTP != "" {
			return m.HTTP
		}
		return m.RPC
	})
	return strings.Join(append(list, d.listed...), ",")
}

func (d *discovery) collect(address func(gossip.Meta) string) (list []string) {
	if d.gossip == nil {
		return nil
	}
	for _, m := range d.gossip.Coordinators() {
		if a := address(m); a != "" && !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	return list
}

func (d *discovery) close() error {
	if d.gossip == nil {
		return nil
	}
	return d.gossip.Stop(context.Background())
}
