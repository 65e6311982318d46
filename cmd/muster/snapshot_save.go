package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/cluster/backup"
)

func newSnapshotSave(a *app) *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use: "save FILE", Short: "save the state of the cluster to a file, - for standard output", Args: cobra.ExactArgs(1),
		Long: `Saves the state of the cluster with all that was acknowledged before, while the cluster goes on. The file appears under
its name once it is whole and checked. It holds what was submitted, payloads and environments included: keep it as you
would keep those.`,
		Example: "  muster operator snapshot save nightly.snapshot\n  muster operator snapshot save - | ssh vault 'cat > nightly.snapshot'",
		RunE: func(c *cobra.Command, args []string) error {
			if args[0] == "-" {
				return a.snapshotToOutput(c.Context())
			}
			return a.snapshotToFile(c.Context(), args[0], force)
		},
	}
	c.Flags().BoolVar(&force, "force", false, "overwrite the file")
	return c
}

func (a *app) snapshotToOutput(ctx context.Context) error {
	if a.terminal(a.out) {
		return &usageError{errors.New("a snapshot is not for a terminal: name a file, or redirect the output")}
	}
	_, err := a.readSnapshot(ctx, a.out)
	return err
}

func (a *app) snapshotToFile(ctx context.Context, path string, force bool) (err error) {
	if !force {
		if _, err := os.Lstat(path); err == nil {
			return existsAlready(path)
		}
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.part")
	if err != nil {
		return &usageError{err}
	}
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	n, err := a.readSnapshot(ctx, f)
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := putInPlace(f.Name(), path, force); err != nil {
		return err
	}
	fmt.Fprintf(a.err, "saved %d bytes to %s; look at it with: muster operator snapshot inspect %s\n", n, path, path)
	return nil
}

// readSnapshot copies a snapshot to w and fails unless it was whole. The cluster must begin to answer within --timeout.
func (a *app) readSnapshot(ctx context.Context, w io.Writer) (int64, error) {
	client, err := a.client()
	if err != nil {
		return 0, err
	}
	defer client.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := time.AfterFunc(a.timeout, func() { cancel(context.DeadlineExceeded) })
	defer late.Stop()
	in, err := client.Snapshot(ctx)
	if err != nil {
		return 0, err
	}
	late.Stop()
	defer in.Close()
	check := backup.NewChecker()
	n, err := io.Copy(io.MultiWriter(w, check), in)
	if err != nil {
		return n, fmt.Errorf("the snapshot ended after %d bytes: %w; try again", n, err)
	}
	return n, check.Check()
}

// putInPlace gives the file its name. Without force it does not overwrite what came there meanwhile.
func putInPlace(temp, path string, force bool) error {
	if !force {
		switch err := os.Link(temp, path); {
		case err == nil:
			os.Remove(temp)
			return syncDir(filepath.Dir(path))
		case errors.Is(err, fs.ErrExist):
			return existsAlready(path)
		}
		// Not every file system has links.
		if _, err := os.Lstat(path); err == nil {
			return existsAlready(path)
		}
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func existsAlready(path string) error {
	return &usageError{fmt.Errorf("%s exists: give another name, or --force to overwrite it", path)}
}
