package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/cluster/backup"
	"github.com/musterhq/muster/rpc/rest"
)

func newSnapshotRestore(a *app) *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use: "restore FILE", Short: "put the state of a saved snapshot in place of the cluster's", Args: cobra.ExactArgs(1),
		Long: `Puts the state of a saved snapshot in place of the cluster's, on all coordinators at once, while they run. What went on
since the snapshot was saved is lost: requests submitted since are gone, and jobs that ended since run again.

The file is checked first, here and by the leader; one that is not whole changes nothing. The snapshot of another cluster is refused
unless forced: into a new cluster, of any size, restore with --force. Workers join again by themselves; the jobs that they held when
the snapshot was saved are ready again, and the attempts of all jobs that may still run go on from far above those before.`,
		Example: "  muster operator snapshot inspect nightly.snapshot\n  muster operator snapshot restore nightly.snapshot",
		RunE: func(c *cobra.Command, args []string) error {
			r, err := a.restoreSnapshot(c.Context(), args[0], force)
			if err != nil {
				return err
			}
			return a.show(r, func(w io.Writer) { renderRestored(w, r) })
		},
	}
	c.Flags().BoolVar(&force, "force", false, "also the snapshot of another cluster")
	return c
}

// restoreSnapshot takes as long as the state is large: --timeout does not bound it.
func (a *app) restoreSnapshot(ctx context.Context, path string, force bool) (r rest.SnapshotRestored, err error) {
	f, err := os.Open(path)
	if err != nil {
		return r, &usageError{err}
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return r, err
	}
	if !st.Mode().IsRegular() {
		return r, &usageError{fmt.Errorf("%s is not a file", path)}
	}
	saved, err := backup.Open(f, st.Size())
	if err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	client, err := a.client()
	if err != nil {
		return r, err
	}
	defer client.Close()
	fmt.Fprintf(a.err, "restoring %d bytes, saved %s in cluster %s (%s)\n", st.Size(), saved.Time.Format(time.RFC3339), saved.Cluster, saved.ClusterID)
	return client.RestoreSnapshot(ctx, io.NewSectionReader(f, 0, st.Size()), force)
}

func renderRestored(w io.Writer, r rest.SnapshotRestored) {
	fmt.Fprintf(w, "restored %d sessions and %d requests as of %s; %d jobs that workers held are ready again\n",
		r.Sessions, r.Requests, r.Saved.Format(time.RFC3339), r.Returned)
}
