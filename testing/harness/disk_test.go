package harness

import (
	"testing"

	"github.com/musterhq/muster/testing/lazydisk"
)

// TestClusterOnLazyDisks: a cluster on disks of its own loses its power everywhere and has what it acknowledged.
func TestClusterOnLazyDisks(t *testing.T) {
	if testing.Short() {
		t.Skip("real processes")
	}
	if err := lazydisk.Allowed(); err != nil {
		t.Skipf("no disks of our own: %v", err)
	}
	c := Start(t, Options{Disks: true})
	r := c.Submit(`jobs: [{name: a, shell: "true"}]`)
	c.WaitRequest(r.ID, "done")
	for _, n := range c.Coordinators() {
		n.PowerLoss(t, nil)
	}
	for _, n := range c.Coordinators() {
		n.Restart(t)
	}
	c.WaitRequest(r.ID, "done")
	c.CheckHashes()
}
