package cluster

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/musterhq/muster/cluster/backup"
	"github.com/musterhq/muster/fsm"
)

// saved is the leader's state in a file of a cluster.
func saved(t *testing.T, leader *Tasker, clusterID string) []byte {
	t.Helper()
	v, _, err := leader.Read(t.Context(), Linearizable)
	must(t, err)
	var b bytes.Buffer
	must(t, backup.Write(&b, backup.Header{Cluster: "m", ClusterID: clusterID, Node: "n", Time: time.Now()}, v))
	return b.Bytes()
}

func TestRestoreRefusesAndChangesNothing(t *testing.T) {
	c := runCoordinator(t, testConfig(t, 1))
	leader := theLeader(t, c)
	_, err := leader.Propose(t.Context(), oneJob("kept"))
	must(t, err)
	own := leader.Status().ClusterID
	file := saved(t, leader, own)
	ahead := fsm.New()
	_, err = ahead.Apply(2, 1, fsm.NewEntry(time.Now().Add(time.Hour).UnixNano(), fsm.Encode(fsm.OpenSession{Name: "s"})))
	must(t, err)
	var tomorrow bytes.Buffer
	must(t, backup.Write(&tomorrow, backup.Header{ClusterID: own}, ahead.View()))
	flipped := slices.Clone(file)
	flipped[len(flipped)/2] ^= 1

	for name, test := range map[string]struct {
		in    io.Reader
		force bool
		want  error
		says  string
	}{
		"of another cluster":     {bytes.NewReader(saved(t, leader, "other")), false, ErrForeignSnapshot, "other"},
		"a bit of it is wrong":   {bytes.NewReader(flipped), true, ErrBadSnapshot, "checksum"},
		"cut short":              {bytes.NewReader(file[:len(file)-1]), true, ErrBadSnapshot, "cut short"},
		"nothing":                {strings.NewReader(""), true, ErrBadSnapshot, "cut short"},
		"the sender goes away":   {io.MultiReader(bytes.NewReader(file), iotest.ErrReader(io.ErrUnexpectedEOF)), true, ErrBadSnapshot, "did not come to its end"},
		"its time is still away": {bytes.NewReader(tomorrow.Bytes()), true, ErrBadSnapshot, "ahead of this cluster's time"},
	} {
		before := leader.Status()
		_, _, err := leader.Restore(t.Context(), test.in, test.force)
		if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
		if after := leader.Status(); after.StateHash != before.StateHash {
			t.Errorf("%s: it changed the state", name)
		}
	}
}

func TestRestoreIsBounded(t *testing.T) {
	c := runCoordinator(t, testConfig(t, 1))
	leader := theLeader(t, c)
	file := saved(t, leader, leader.Status().ClusterID)
	l := c.leading.Load()
	l.restoring.Store(true)
	if _, _, err := leader.Restore(t.Context(), bytes.NewReader(file), false); !errors.Is(err, ErrOverloaded) {
		t.Errorf("a second one at the same time: %v", err)
	}
	l.restoring.Store(false)
	limits := fsm.DefaultLimits()
	limits.UploadBytes = uint64(len(file)) - 1
	_, err := leader.Propose(t.Context(), fsm.SetLimits{Limits: limits})
	must(t, err)
	if _, _, err := leader.Restore(t.Context(), bytes.NewReader(file), false); !errors.Is(err, ErrBadSnapshot) || !strings.Contains(err.Error(), "more than") {
		t.Errorf("one that is too large: %v", err)
	}
	limits.UploadBytes = 1 << 20
	_, err = leader.Propose(t.Context(), fsm.SetLimits{Limits: limits})
	must(t, err)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := leader.Restore(ended, bytes.NewReader(file), false); !errors.Is(err, context.Canceled) {
		t.Errorf("one whose caller has gone: %v", err)
	}
	if _, _, err := leader.Restore(t.Context(), bytes.NewReader(file), false); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestSpoolKeepsTheDiskFromFillingUp(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		max, free uint64
		want      error
	}{
		"room for it":        {10, 20, nil},
		"not enough room":    {10, 19, ErrDiskFull},
		"more than may come": {9, 1000, ErrBadSnapshot},
	} {
		dir := t.TempDir()
		f, n, err := spool(dir, strings.NewReader("0123456789"), test.max, test.free)
		if !errors.Is(err, test.want) || err == nil && n != 10 {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
		if f != nil {
			must(t, f.Close())
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: left behind: %v %v", name, left, err)
		}
	}
}

// Workers of before are no longer known, and the leader does not go on judging them.
func TestRestoreForgetsLeases(t *testing.T) {
	cfg := testConfig(t, 1)
	cfg.Lease.TTL = 200 * time.Millisecond
	c := runCoordinator(t, cfg)
	leader := theLeader(t, c)
	file := saved(t, leader, leader.Status().ClusterID)
	joined, err := leader.Propose(t.Context(), fsm.JoinWorker{Name: "w", Identity: "w", Process: 1, Queues: []string{"default"}, Slots: 1})
	must(t, err)
	w := joined.(fsm.WorkerJoined)
	watch := leader.Watch(0)
	h, done, err := leader.Restore(t.Context(), bytes.NewReader(file), false)
	if err != nil || h.ClusterID == "" || done.Index != h.Index {
		t.Fatalf("restore: %+v %+v %v", h, done, err)
	}
	if _, err := watch.Next(t.Context()); !errors.Is(err, ErrTooOld) {
		t.Errorf("who watches is told %v", err)
	}
	if b, err := leader.Beat(t.Context(), w.ID, w.Incarnation, nil); err != nil || b.Known {
		t.Errorf("a beat of a worker of before: %+v %v", b, err)
	}
	eventually(t, "its lease is forgotten", func() bool {
		l := c.leading.Load().leases
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.byID) == 0
	})
}
