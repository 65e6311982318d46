package harness

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// patience is how long a dial may take to show that nothing comes through.
const patience = 300 * time.Millisecond

// TestFabricDropsOneWay: of two hosts, and the harness, only those lose something that are said to, in that direction.
func TestFabricDropsOneWay(t *testing.T) {
	if err := NetworkAllowed(); err != nil {
		t.Skipf("no network of our own: %v", err)
	}
	f, err := newFabric()
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	sockets := map[int]net.PacketConn{}
	for _, n := range []int{1, 2} {
		ns, err := f.host(n)
		if err == nil {
			err = ns.do(func() (err error) {
				sockets[n], err = net.ListenPacket("udp", address(n)+":7072")
				return err
			})
		}
		if err != nil {
			t.Fatal(err)
		}
		defer sockets[n].Close()
	}
	// arrives says whether a datagram gets from one host to the other.
	arrives := func(from, to int, bound time.Duration) bool {
		t.Helper()
		text := fmt.Sprint(time.Now())
		if _, err := sockets[from].WriteTo([]byte(text), sockets[to].LocalAddr()); err != nil {
			t.Fatal(err)
		}
		_ = sockets[to].SetReadDeadline(time.Now().Add(bound))
		buf := make([]byte, 1500)
		n, _, err := sockets[to].ReadFrom(buf)
		return err == nil && string(buf[:n]) == text
	}
	if !arrives(1, 2, BoundDefault) || !arrives(2, 1, BoundDefault) {
		t.Fatal("nothing arrives on a whole network")
	}
	if err := f.change(func() []int { f.lost[2] = map[int]bool{1: true}; return []int{2} }); err != nil {
		t.Fatal(err)
	}
	if arrives(1, 2, patience) {
		t.Error("it arrives although it is dropped")
	}
	if !arrives(2, 1, BoundDefault) {
		t.Error("the other direction is dropped too")
	}
	if err := f.change(func() []int { clear(f.lost); return []int{2} }); err != nil {
		t.Fatal(err)
	}
	if !arrives(1, 2, BoundDefault) {
		t.Error("it is still dropped")
	}
}

// TestFabricIsOurs: what listens on a host can be dialled from the hub, and not from outside.
func TestFabricIsOurs(t *testing.T) {
	if err := NetworkAllowed(); err != nil {
		t.Skipf("no network of our own: %v", err)
	}
	f, err := newFabric()
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	ns, err := f.host(1)
	if err != nil {
		t.Fatal(err)
	}
	var l net.Listener
	if err := ns.do(func() (err error) { l, err = net.Listen("tcp", address(1)+":0"); return err }); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := f.dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	other, err := newFabric() // another cluster's, with the same addresses
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if conn, err := other.dial(ctx, "tcp", l.Addr().String()); err == nil {
		_ = conn.Close()
		t.Error("another network reaches it")
	}
}

func TestEstablishedReadsTheKernelsTable(t *testing.T) {
	line := "   1: 010012C6:1B9F 020012C6:C350 01 00000000:00000000 00:00000000 00000000     0        0 12345 1"
	local, remote, ok := established(line)
	if !ok || local != (endpoint{"198.18.0.1", 7071}) || remote != (endpoint{"198.18.0.2", 50000}) {
		t.Errorf("%v %v %v", local, remote, ok)
	}
	if _, _, ok := established(strings.Replace(line, " 01 ", " 0A ", 1)); ok {
		t.Error("a listener counts as established")
	}
}

// TestClusterOnItsOwnNetwork: a cluster in namespaces works, its leader is cut off and another leads, and all is one
// cluster again when it is healed.
func TestClusterOnItsOwnNetwork(t *testing.T) {
	if testing.Short() {
		t.Skip("real processes")
	}
	if err := NetworkAllowed(); err != nil {
		t.Skipf("no network of our own: %v", err)
	}
	c := Start(t, Options{Network: true})
	old := c.Leader()
	c.Network().Cut([]*Node{old}, c.nodes())
	Until(t, BoundDefault, "another leader", func() error {
		leader, err := c.FindLeader()
		if err == nil && leader == old {
			err = errors.New("it is the one that was cut off")
		}
		return err
	})
	r := c.Submit(`jobs: [{name: a, shell: "true"}]`)
	c.WaitRequest(r.ID, "done")
	c.Network().Heal()
	Until(t, BoundDefault, "one cluster again", func() error { // the healed node may need another election to come in
		if res := c.CLI("status"); res.Code != 0 {
			return fmt.Errorf("muster status: %d %s", res.Code, res.Stderr)
		}
		return nil
	})
	c.CheckHashes()
}
