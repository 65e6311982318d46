package harness

import (
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/musterhq/muster/testing/lazydisk"
)

// Disk is the disk of a coordinator's data directory, to be broken; nil without Options.Disks. A coordinator that waits
// for one that hangs is only gone when it is healed.
func (n *Node) Disk() *lazydisk.Disk { return n.disk }

// mount puts the data directory on a disk of its own.
func (n *Node) mount(tb TB) {
	tb.Helper()
	err := os.Mkdir(n.Data, 0o700)
	if err == nil {
		n.disk, err = lazydisk.Mount(n.Data)
	}
	if err != nil {
		tb.Fatalf("put the data of %s on a disk of its own: %v", n.name, err)
	}
}

func (n *Node) unmount(tb TB) {
	if n.disk == nil {
		return
	}
	if err := n.disk.Unmount(); err != nil {
		tb.Errorf("%s: %v", n.name, err)
	}
}

// PowerLoss kills the node and takes from its disk what was not fsynced: all of it, or, with a random, what chance
// decides. The disk is healed; the node stays down.
func (n *Node) PowerLoss(tb TB, random *rand.Rand) {
	tb.Helper()
	if n.disk.Hangs() {
		n.disk.Heal() // else it could not be ended
	}
	n.Kill()
	loss, err := n.disk.PowerLoss(random)
	if err != nil {
		tb.Fatalf("power loss of %s: %v", n.name, err)
	}
	tb.Logf("%s lost its power: %v", n.name, loss)
}

// Wipe empties the data directory of a node that is down: it comes back as a stranger.
func (n *Node) Wipe(tb TB) {
	tb.Helper()
	list, err := os.ReadDir(n.Data)
	for _, e := range list {
		if err == nil {
			err = os.RemoveAll(filepath.Join(n.Data, e.Name()))
		}
	}
	if err == nil && n.disk != nil {
		err = n.disk.Settle()
	}
	if err != nil {
		tb.Fatalf("wipe the data of %s: %v", n.name, err)
	}
}
