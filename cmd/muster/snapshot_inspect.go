package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/cluster/backup"
	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/rest"
)

// snapshotInfo is what inspect prints.
type snapshotInfo struct {
	backup.Header
	Size     int64       `json:"size"`
	Sessions int         `json:"sessions"`
	Requests int         `json:"requests"`
	Workers  int         `json:"workers"`
	Keys     int         `json:"keys"`    // idempotency keys
	Uploads  int         `json:"uploads"` // requests that had not come whole
	Jobs     rest.Counts `json:"jobs"`
}

func newSnapshotInspect(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "inspect FILE", Short: "check a saved snapshot and say what is in it", Args: cobra.ExactArgs(1),
		Long: `Checks a saved snapshot from end to end, restores its state in memory and says what is in it. It needs no cluster, and
memory for the state.`,
		RunE: func(_ *cobra.Command, args []string) error {
			i, err := inspectSnapshot(args[0])
			if err != nil {
				return err
			}
			return a.show(i, func(w io.Writer) { renderSnapshot(w, i) })
		},
	}
}

func inspectSnapshot(path string) (snapshotInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return snapshotInfo{}, &usageError{err}
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return snapshotInfo{}, err
	}
	if !st.Mode().IsRegular() {
		return snapshotInfo{}, &usageError{fmt.Errorf("%s is not a file", path)}
	}
	h, m, err := backup.Read(f, st.Size())
	if err != nil {
		return snapshotInfo{}, fmt.Errorf("%s: %w", path, err)
	}
	t := m.View().Totals()
	return snapshotInfo{
		Header: h, Size: st.Size(), Sessions: t.Sessions, Requests: t.Requests, Workers: t.Workers, Keys: t.Keys, Uploads: t.Uploads,
		Jobs: rest.Counts{
			Waiting: t.Jobs[fsm.Waiting], Ready: t.Jobs[fsm.Ready], Delayed: t.Jobs[fsm.Delayed], Picked: t.Jobs[fsm.Picked],
			Running: t.Jobs[fsm.Running], Done: t.Jobs[fsm.Done], Failed: t.Jobs[fsm.Failed], Cancelled: t.Jobs[fsm.Cancelled],
		},
	}, nil
}

func renderSnapshot(w io.Writer, i snapshotInfo) {
	j := i.Jobs
	pairs(w, [][2]string{
		{"cluster", i.Cluster + " (" + i.ClusterID + ")"},
		{"saved", i.Time.Format(time.RFC3339) + " by " + i.Node + ", muster " + i.Version},
		{"log", fmt.Sprintf("index %d, term %d, %s", i.Index, i.Term, i.LogTime.Format(time.RFC3339))},
		{"hash", i.Hash},
		{"size", fmt.Sprintf("%d bytes", i.Size)},
		{"sessions", strconv.Itoa(i.Sessions)},
		{"requests", fmt.Sprintf("%d, %d not whole yet, %d idempotency keys", i.Requests, i.Uploads, i.Keys)},
		{"workers", strconv.Itoa(i.Workers)},
		{"jobs", fmt.Sprintf("%d waiting, %d ready, %d delayed, %d picked, %d running, %d done, %d failed, %d cancelled",
			j.Waiting, j.Ready, j.Delayed, j.Picked, j.Running, j.Done, j.Failed, j.Cancelled)},
	})
}
