package peer

import (
	"context"
	"fmt"

	"github.com/musterhq/muster/testing/bench/child"
)

// startRedis starts one that syncs each write before it answers.
func startRedis(ctx context.Context, e *Env) (addr string, p *child.Process, err error) {
	ports, err := child.FreePorts(1)
	if err != nil {
		return "", nil, err
	}
	dir, err := e.Mkdir("", "redis")
	if err != nil {
		return "", nil, err
	}
	p, err = e.Group.Start(child.Spec{Name: "redis", Args: []string{
		"redis-server", "--bind", "127.0.0.1", "--port", fmt.Sprint(ports[0]), "--dir", dir, "--appendonly", "yes", "--appendfsync", "always", "--save", "",
	}})
	if err != nil {
		return "", nil, err
	}
	addr = child.Loopback(ports[0])
	return addr, p, e.Group.AwaitPort(ctx, addr)
}
