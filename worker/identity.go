package worker

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

// ErrDataInUse is returned by Run when another process holds the data directory.
var ErrDataInUse = errors.New("data directory is in use")

const (
	identityFile  = "worker.id"
	nodeFile      = "node.json" // a coordinator's identity: its directory is none for a worker
	lockFile      = "worker.lock"
	identityBytes = 16
)

// identity is who a worker is. It holds the lock of the data directory until close.
type identity struct {
	id      string // stable over restarts
	process uint64 // random for each start, never 0
	lock    *flock.Flock
}

// openIdentity locks dir, which is created if absent, and reads or makes the identity in it.
func openIdentity(dir string) (*identity, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create data directory: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, nodeFile)); err == nil {
		return nil, fmt.Errorf("data directory %q belongs to a coordinator: choose another with --data", dir)
	}
	lock := flock.New(filepath.Join(dir, lockFile), flock.SetPermissions(0o600))
	switch ok, err := lock.TryLock(); {
	case err != nil:
		return nil, fmt.Errorf("lock data directory %q: %w", dir, err)
	case !ok:
		return nil, fmt.Errorf("%w: %q belongs to a worker that runs; stop it or choose another with --data", ErrDataInUse, dir)
	}
	id, err := loadIdentity(filepath.Join(dir, identityFile))
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &identity{id: id, process: randomProcess(), lock: lock}, nil
}

// close lets go of the data directory.
func (i *identity) close() error { return i.lock.Close() }

func loadIdentity(path string) (string, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return makeIdentity(path)
	}
	if err != nil {
		return "", fmt.Errorf("read identity: %w", err)
	}
	id := strings.TrimSpace(string(data))
	if raw, err := hex.DecodeString(id); err != nil || len(raw) != identityBytes {
		return "", fmt.Errorf("identity file %q does not hold %d hex digits: restore it, or remove it to start as a new worker",
			path, 2*identityBytes)
	}
	return id, nil
}

// makeIdentity writes a new identity so that a crash leaves either none or a whole one.
func makeIdentity(path string) (string, error) {
	raw := make([]byte, identityBytes)
	rand.Read(raw)
	id := hex.EncodeToString(raw)
	tmp := path + ".new"
	if err := writeSynced(tmp, id+"\n"); err != nil {
		return "", fmt.Errorf("write identity: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return "", fmt.Errorf("write identity: %w", err)
	}
	return id, nil
}

func writeSynced(path, text string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func randomProcess() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.LittleEndian.Uint64(b[:]) | 1
}
