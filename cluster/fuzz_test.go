package cluster

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/config"
)

// storedBytes is an entry as raft-boltdb stores it.
func storedBytes(f *testing.F, l *raft.Log) []byte {
	f.Helper()
	var b bytes.Buffer
	if err := codec.NewEncoder(&b, &codec.MsgpackHandle{}).Encode(l); err != nil {
		f.Fatal(err)
	}
	return b.Bytes()
}

// rawEntries is a store whose entries are bytes, read as raft-boltdb reads them.
type rawEntries struct {
	raft.LogStore
	data []byte
}

func (s rawEntries) GetLog(_ uint64, l *raft.Log) error {
	return codec.NewDecoder(bytes.NewReader(s.data), &codec.MsgpackHandle{}).Decode(l)
}

// FuzzStoredEntry reads arbitrary bytes as a stored entry of the log: it is the one that was written, whole, or it is
// called corrupt, without a panic and without more memory than the bytes explain.
func FuzzStoredEntry(f *testing.F) {
	whole := raft.Log{Index: 7, Term: 3, Type: raft.LogCommand, Data: []byte("an entry"), AppendedAt: time.Unix(1, 0)}
	sealed := whole
	sealed.Extensions = seal(&whole)
	f.Add(storedBytes(f, &sealed))
	f.Add(storedBytes(f, &whole))
	f.Add([]byte{0x86, 0xa4, 'D', 'a', 't', 'a', 0xc6, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0xdf, 0xff, 0xff, 0xff, 0xff})
	f.Add(bytes.Repeat([]byte{0x81}, 4096))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := newLogStore(rawEntries{data: data}, &diskGuard{path: "log.db", fatal: func(string) {}})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var l raft.Log
		err := s.GetLog(7, &l)
		runtime.ReadMemStats(&after)
		if spent := after.TotalAlloc - before.TotalAlloc; spent > uint64(4<<20+256*len(data)) {
			t.Errorf("%d bytes took %d bytes of memory", len(data), spent)
		}
		switch {
		case errors.Is(err, ErrCorruptEntry):
		case err != nil:
			t.Errorf("an error of no kind: %v", err)
		case l.Index != 7 || !bytes.Equal(seal(&l)[:sealBytes], seal(&raft.Log{Index: 7, Term: l.Term, Type: l.Type, Data: l.Data, Extensions: l.Extensions})):
			t.Errorf("taken for what it is not: %+v", l)
		}
	})
}

// FuzzStoredValue: a term or a vote is what was written, or it is called corrupt.
func FuzzStoredValue(f *testing.F) {
	f.Add([]byte("CurrentTerm"), sealValue(termKey, []byte{0, 0, 0, 0, 0, 0, 0, 9}))
	f.Add([]byte("LastVoteCand"), sealValue([]byte("LastVoteCand"), []byte("node")))
	f.Add([]byte("CurrentTerm"), []byte{1})
	f.Fuzz(func(t *testing.T, key, stored []byte) {
		value, err := unsealValue(key, stored)
		switch {
		case err == nil && !bytes.Equal(sealValue(key, value), stored):
			t.Errorf("%q: %q was taken as %q", key, stored, value)
		case err != nil && !errors.Is(err, ErrCorruptValue):
			t.Errorf("an error of no kind: %v", err)
		}
	})
}

// FuzzFrames: whatever comes before a handshake is read as one frame or not at all, and never beyond it.
func FuzzFrames(f *testing.F) {
	var whole bytes.Buffer
	if err := writeFrame(&whole, []byte("hello")); err != nil {
		f.Fatal(err)
	}
	f.Add(whole.Bytes())
	f.Add([]byte{0xff, 0xff, 1})
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		frame, err := readFrame(r)
		if err != nil {
			return
		}
		if len(frame) > frameBytesMax || len(data)-r.Len() != 2+len(frame) {
			t.Errorf("a frame of %d bytes took %d of %d", len(frame), len(data)-r.Len(), len(data))
		}
	})
}

// FuzzIdentity puts arbitrary bytes into node.json: the node is who the file says, or the file is named; it is never
// taken for a new node.
func FuzzIdentity(f *testing.F) {
	for _, text := range []string{
		`{"format": 1, "node": "0011223344556677", "cluster": "muster", "log_store": "boltdb"}`,
		`{"format": 1, "node": "0011223344556677", "cluster": "muster", "cluster_id": "8899aabbccddeeff", "log_store": "boltdb",
			"promise": {"cluster_id": "x", "seq": 3, "proposer": {"id": "a", "rpc": "b"}, "members": [{"id": "a", "rpc": "b"}]}}`,
		`{"format": 2}`, `{"node": ""}`, `{}`, `null`, "", "\x00\x00", `[[[[`, `{"promise": {"members": [null]}}`, `{"node": "a", "node": "b"}`,
	} {
		f.Add([]byte(text))
	}
	cfg := config.DefaultCoordinator()
	d := &dataDir{path: f.TempDir()}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := d.file(identityFile)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		d.id = identity{}
		if err := d.load(cfg); err != nil {
			if !strings.Contains(err.Error(), d.path) {
				t.Errorf("%v: it does not say where", err)
			}
			return
		}
		if d.id.Node == "" || d.id.Cluster != cfg.Cluster || d.id.Format > dataFormat {
			t.Errorf("%q was taken as %+v", data, d.id)
		}
		read := d.id
		if err := d.save(read); err != nil {
			t.Fatal(err)
		}
		if err := d.load(cfg); err != nil || !cmp.Equal(read, d.id, cmp.AllowUnexported()) {
			t.Errorf("%+v became %+v, %v", read, d.id, err)
		}
	})
}

// FuzzSnapshotInfo puts arbitrary bytes into a snapshot's meta.json beside a state of some bytes: the snapshot is
// readable as what its directory's name says, or damaged.
func FuzzSnapshotInfo(f *testing.F) {
	const id = "2-10-1700000000000"
	f.Add([]byte(`{"Version": 1, "ID": "2-10-1700000000000", "Index": 10, "Term": 2, "Size": 0, "CRC": "AAAAAAAAAAA="}`))
	f.Add([]byte(`{"Version": 9, "ID": "2-10-1700000000000", "Configuration": {"Servers": [{"Suffrage": 9}]}}`))
	f.Add([]byte(`{"ID": "../../x"}`))
	f.Add([]byte("null"))
	d := &dataDir{path: f.TempDir()}
	dir := filepath.Join(d.file(snapshotsDir), id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		f.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, snapshotState), nil, 0o600); err != nil {
		f.Fatal(err)
	}
	quiet := hclog.New(&hclog.LoggerOptions{Output: io.Discard})
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, snapshotMeta), data, 0o600); err != nil {
			t.Fatal(err)
		}
		newest, damaged, err := newestSnapshot(d, quiet)
		switch {
		case err != nil && !strings.Contains(err.Error(), dir):
			t.Errorf("%v: it does not say where", err)
		case err == nil && (len(damaged) > 0 || newest.ID != id):
			t.Errorf("%q was taken as %+v, damaged %q", data, newest, damaged)
		}
	})
}
