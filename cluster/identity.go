package cluster

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/gofrs/flock"
	"github.com/musterhq/muster/config"
)

// What a data directory holds.
const (
	identityFile  = "node.json"
	workerFile    = "worker.id" // a worker's identity: its directory is none for a coordinator
	lockFile      = "lock"
	stableFile    = "stable.db"
	boltLogFile   = "log.db"
	walLogDir     = "wal"
	snapshotsDir  = "snapshots"
	damagedDir    = "damaged" // snapshots set aside because they cannot be read
	dataFormat    = 1         // of the directory as a whole; a newer one is refused
	identityBytes = 64 << 10
	idBytes       = 8 // random bytes of a node's or cluster's id
)

// identity is what makes a node itself, whatever its address. It lives in the data directory.
type identity struct {
	Format    int      `json:"format"`
	Node      string   `json:"node"`                 // random, made once
	Cluster   string   `json:"cluster"`              // the cluster's name
	ClusterID string   `json:"cluster_id,omitempty"` // random, made when the cluster formed; empty before
	LogStore  string   `json:"log_store"`            // the kind of log store it was made with
	Promise   *promise `json:"promise,omitempty"`
}

// promise is a node's word that it forms the cluster with this id or none: see formation.
type promise struct {
	ClusterID string   `json:"cluster_id"`
	Seq       int64    `json:"seq"` // grows with each proposal of one proposer
	Proposer  member   `json:"proposer"`
	Members   []member `json:"members"`
}

// member is a coordinator by its id, and where it was reached.
type member struct {
	ID  string `json:"id"`
	RPC string `json:"rpc"`
}

func (p promise) has(id string) bool {
	return slices.ContainsFunc(p.Members, func(m member) bool { return m.ID == id })
}

// newID is a random id for a node or a cluster.
func newID() string {
	b := make([]byte, idBytes)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// dataDir is a data directory that this process holds the lock of. It is the one owner of the identity.
type dataDir struct {
	path string
	lock *flock.Flock

	mu         sync.Mutex
	id         identity
	formedOnce chan struct{} // closed once the cluster id is known
}

// openDataDir locks the directory, making it and an identity when there is none.
func openDataDir(cfg config.Coordinator) (*dataDir, error) {
	if cfg.Data == "" {
		return nil, errors.New("no data directory: set data (--data) to a directory of this node's own")
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	if err := os.Chmod(cfg.Data, 0o700); err != nil {
		return nil, fmt.Errorf("data directory %s must belong to the user that runs muster: %w", cfg.Data, err)
	}
	lock, err := lockDataDir(cfg.Data)
	if err != nil {
		return nil, err
	}
	d := &dataDir{path: cfg.Data, lock: lock, formedOnce: make(chan struct{})}
	if err := d.load(cfg); err != nil {
		_ = lock.Unlock()
		return nil, err
	}
	if d.id.ClusterID != "" {
		close(d.formedOnce)
	}
	return d, nil
}

func lockDataDir(dir string) (*flock.Flock, error) {
	path := filepath.Join(dir, lockFile)
	lock := flock.New(path, flock.SetPermissions(0o600))
	got, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock data directory %s: %w", dir, err)
	}
	if !got {
		holder := "another process"
		if pid, err := os.ReadFile(path); err == nil && len(pid) > 0 && len(pid) < 16 {
			holder = "pid " + strings.TrimSpace(string(pid))
		}
		return nil, fmt.Errorf("data directory %s is in use by %s: stop it, or give this node a directory of its own", dir, holder)
	}
	// The pid is for the message above only; the lock is what counts.
	if err := os.WriteFile(path, []byte(fmt.Sprintln(os.Getpid())), 0o600); err != nil {
		_ = lock.Unlock()
		return nil, fmt.Errorf("write lock of data directory: %w", err)
	}
	return lock, nil
}

// load reads the identity, or makes a new one in a directory without a node's files.
func (d *dataDir) load(cfg config.Coordinator) error {
	path := d.file(identityFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return d.create(cfg)
	}
	if err != nil {
		return fmt.Errorf("read identity: %w", err)
	}
	if len(data) > identityBytes {
		return fmt.Errorf("%s is no identity file: it has %d bytes", path, len(data))
	}
	var id identity
	if err := json.Unmarshal(data, &id); err != nil {
		return fmt.Errorf("%s cannot be read (%w): move %s away and start again, so that the node joins anew", path, err, d.path)
	}
	if id.Format > dataFormat {
		return fmt.Errorf("%s has format %d, this version reads up to %d: start the newer muster that wrote it", path, id.Format, dataFormat)
	}
	if id.Node == "" {
		return fmt.Errorf("%s names no node: move %s away and start again, so that the node joins anew", path, d.path)
	}
	if id.Cluster != cfg.Cluster {
		return fmt.Errorf("data directory %s belongs to cluster %q, this node is configured for %q: set cluster to %q, or use another directory",
			d.path, id.Cluster, cfg.Cluster, id.Cluster)
	}
	if id.LogStore != cfg.Raft.LogStore {
		return fmt.Errorf("data directory %s was made with raft.log_store %q, not %q: set it back, or move the directory away and start again, so that the node joins anew",
			d.path, id.LogStore, cfg.Raft.LogStore)
	}
	d.id = id
	return nil
}

func (d *dataDir) create(cfg config.Coordinator) error {
	if _, err := os.Stat(d.file(workerFile)); err == nil {
		return fmt.Errorf("data directory %s belongs to a worker: give this node a directory of its own", d.path)
	}
	for _, name := range []string{stableFile, boltLogFile, walLogDir, snapshotsDir} {
		if _, err := os.Stat(d.file(name)); err == nil {
			return fmt.Errorf("%s is there but %s is not: the node's identity is lost; restore the file, or move %s away and start again, so that the node joins anew",
				d.file(name), d.file(identityFile), d.path)
		}
	}
	return d.save(identity{Format: dataFormat, Node: newID(), Cluster: cfg.Cluster, LogStore: cfg.Raft.LogStore})
}

func (d *dataDir) file(name string) string { return filepath.Join(d.path, name) }

// save makes id durable, then current. Call it with mu held, or before d is shared.
func (d *dataDir) save(id identity) error {
	data, err := json.MarshalIndent(id, "", "\t")
	if err != nil {
		return fmt.Errorf("write identity: %w", err)
	}
	if err := writeDurably(d.file(identityFile), append(data, '\n')); err != nil {
		return fmt.Errorf("write identity: %w", err)
	}
	d.id = id
	return nil
}

// identity is the current one. Its Promise must not be changed.
func (d *dataDir) identity() identity {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.id
}

// formed is closed once the cluster id is known.
func (d *dataDir) formed() <-chan struct{} { return d.formedOnce }

// form makes clusterID the node's cluster for good.
func (d *dataDir) form(clusterID string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.formLocked(clusterID)
}

func (d *dataDir) formLocked(clusterID string) error {
	if d.id.ClusterID == clusterID {
		return nil
	}
	if d.id.ClusterID != "" {
		return fmt.Errorf("this node belongs to the cluster with id %s, not %s", d.id.ClusterID, clusterID)
	}
	id := d.id
	id.ClusterID, id.Promise = clusterID, nil
	if err := d.save(id); err != nil {
		return err
	}
	close(d.formedOnce)
	return nil
}

// adopt is form on the word of a cluster's member: refused while another cluster was promised. The refusal is for both
// sides to read.
func (d *dataDir) adopt(clusterID string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.id.Promise; p != nil && p.ClusterID != clusterID && d.id.ClusterID == "" {
		return fmt.Errorf("this node promised to form another cluster, with id %s, proposed by %s", p.ClusterID, p.Proposer.ID)
	}
	return d.formLocked(clusterID)
}

// promise gives the node's word, unless it is bound already. One proposer has one proposal at a time: a new one of the
// same proposer means that it dropped the last.
func (d *dataDir) promise(p promise) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.id.Promise
	switch {
	case d.id.ClusterID == p.ClusterID:
		return nil
	case d.id.ClusterID != "":
		return fmt.Errorf("this node belongs to the cluster with id %s already", d.id.ClusterID)
	case !p.has(d.id.Node):
		return errors.New("this node is no member of the proposal")
	case old != nil && old.Proposer.ID == p.Proposer.ID && old.Seq > p.Seq:
		return errors.New("a later proposal of this proposer came first")
	case old != nil && old.ClusterID != p.ClusterID && old.Proposer.ID != p.Proposer.ID:
		return fmt.Errorf("this node promised to form another cluster, with id %s, proposed by %s", old.ClusterID, old.Proposer.ID)
	}
	id := d.id
	id.Promise = &p
	return d.save(id)
}

// release takes a promise back. Only its proposer's word, or proof that the proposer dropped it, may lead here.
func (d *dataDir) release(clusterID string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.id.Promise == nil || d.id.Promise.ClusterID != clusterID {
		return nil
	}
	id := d.id
	id.Promise = nil
	return d.save(id)
}

// close gives the lock up.
func (d *dataDir) close() error {
	if d.lock == nil { // of an assembled coordinator: no directory
		return nil
	}
	return d.lock.Unlock()
}

// writeDurably replaces a file so that after a crash either the old or the new bytes are there.
func writeDurably(path string, data []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	err = d.Sync()
	if e := d.Close(); err == nil {
		err = e
	}
	return err
}
