package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"github.com/musterhq/muster/config"
)

// formedData is the data directory of a stopped node with a snapshot at some index and log entries after it.
func formedData(t *testing.T, logStore string) config.Coordinator {
	t.Helper()
	cfg := testConfig(t, 1)
	cfg.Raft.LogStore, cfg.Raft.TrailingLogs = logStore, 4
	r := start(t, cfg, false)
	leaderOf(t, r)
	add := func(n int) {
		for range n {
			if err := r.node.apply([]byte("entry"), time.Second).Error(); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.node.raft.Barrier(time.Second).Error(); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		add(20)
		if err := r.node.raft.Snapshot().Error(); err != nil {
			t.Fatal(err)
		}
	}
	add(3)
	r.stop()
	return cfg
}

// tryOpen opens the directory and its stores as a start would, and closes them.
func tryOpen(t *testing.T, cfg config.Coordinator) (replay int64, err error) {
	t.Helper()
	d, err := openDataDir(cfg)
	if err != nil {
		return 0, err
	}
	defer d.close()
	st, err := openStores(cfg.Raft, d, testLog(t), failOnFatal(t))
	if err != nil {
		return 0, err
	}
	defer st.close()
	return st.replay, nil
}

func snapshotDirs(t *testing.T, cfg config.Coordinator) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(cfg.Data, snapshotsDir, "*"))
	if err != nil || len(list) < 2 {
		t.Fatalf("snapshots: %v, %v", list, err)
	}
	if lastIndexOf(list[:1]) > lastIndexOf(list[1:]) {
		list[0], list[1] = list[1], list[0]
	}
	return list // the newest is last
}

func editIdentity(t *testing.T, cfg config.Coordinator, change func(*identity)) {
	t.Helper()
	path := filepath.Join(cfg.Data, identityFile)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var id identity
	if err := json.Unmarshal(data, &id); err != nil {
		t.Fatal(err)
	}
	change(&id)
	if data, err = json.Marshal(id); err == nil {
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func flip(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	data[len(data)/2] ^= 1
	must(t, os.WriteFile(path, data, 0o600))
}

// editLog changes the log behind the checksums' back.
func editLog(t *testing.T, cfg config.Coordinator, edit func(*raftboltdb.BoltStore)) {
	t.Helper()
	b, err := raftboltdb.NewBoltStore(filepath.Join(cfg.Data, boltLogFile))
	must(t, err)
	edit(b)
	must(t, b.Close())
}

func lastEntry(t *testing.T, b *raftboltdb.BoltStore) raft.Log {
	t.Helper()
	last, err := b.LastIndex()
	must(t, err)
	var l raft.Log
	must(t, b.GetLog(last, &l))
	return l
}

// What is wrong with a data directory is refused by name, with the next step.
func TestPreflightRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, cfg *config.Coordinator)
		want   []string
	}{
		{"no directory named", func(_ *testing.T, cfg *config.Coordinator) { cfg.Data = "" }, []string{"--data"}},
		{"another cluster", func(_ *testing.T, cfg *config.Coordinator) { cfg.Cluster = "prod" },
			[]string{`belongs to cluster "muster"`, `"prod"`, "use another directory"}},
		{"newer format", func(t *testing.T, cfg *config.Coordinator) {
			editIdentity(t, *cfg, func(id *identity) { id.Format = dataFormat + 1 })
		}, []string{identityFile, "format 2", "start the newer muster"}},
		{"another log store", func(_ *testing.T, cfg *config.Coordinator) { cfg.Raft.LogStore = logStoreWAL },
			[]string{`raft.log_store "boltdb", not "wal"`, "set it back"}},
		{"identity is no JSON", func(t *testing.T, cfg *config.Coordinator) {
			must(t, os.WriteFile(filepath.Join(cfg.Data, identityFile), []byte("{"), 0o600))
		}, []string{identityFile, "cannot be read", "joins anew"}},
		{"identity without a node", func(t *testing.T, cfg *config.Coordinator) {
			editIdentity(t, *cfg, func(id *identity) { id.Node = "" })
		}, []string{identityFile, "names no node"}},
		{"identity missing", func(t *testing.T, cfg *config.Coordinator) {
			must(t, os.Remove(filepath.Join(cfg.Data, identityFile)))
		}, []string{identityFile, "identity is lost"}},
		{"log missing", func(t *testing.T, cfg *config.Coordinator) {
			must(t, os.Remove(filepath.Join(cfg.Data, boltLogFile)))
		}, []string{boltLogFile + " is missing", stableFile, "restore it"}},
		{"log and votes missing", func(t *testing.T, cfg *config.Coordinator) {
			must(t, os.Remove(filepath.Join(cfg.Data, boltLogFile)))
			must(t, os.Remove(filepath.Join(cfg.Data, stableFile)))
		}, []string{boltLogFile + " is missing", snapshotsDir}},
		{"votes missing", func(t *testing.T, cfg *config.Coordinator) {
			must(t, os.Remove(filepath.Join(cfg.Data, stableFile)))
		}, []string{stableFile + " is missing", boltLogFile}},
		{"snapshots missing", func(t *testing.T, cfg *config.Coordinator) {
			must(t, os.RemoveAll(filepath.Join(cfg.Data, snapshotsDir)))
		}, []string{boltLogFile, "begins at entry", "entries are missing"}},
		{"newest snapshot damaged, log does not reach the older", func(t *testing.T, cfg *config.Coordinator) {
			flip(t, filepath.Join(snapshotDirs(t, *cfg)[1], snapshotState))
		}, []string{boltLogFile, "begins at entry", snapshotsDir}},
		{"newest snapshot damaged, log empty", func(t *testing.T, cfg *config.Coordinator) {
			flip(t, filepath.Join(snapshotDirs(t, *cfg)[1], snapshotState))
			editLog(t, *cfg, func(b *raftboltdb.BoltStore) { must(t, b.DeleteRange(0, 1<<40)) })
		}, []string{"cannot be read", "nothing else here reaches entry"}},
		{"no snapshot readable", func(t *testing.T, cfg *config.Coordinator) {
			for _, dir := range snapshotDirs(t, *cfg) {
				must(t, os.WriteFile(filepath.Join(dir, snapshotMeta), []byte("{"), 0o600))
			}
		}, []string{"none of the snapshots", "joins anew"}},
		{"entry missing", func(t *testing.T, cfg *config.Coordinator) {
			editLog(t, *cfg, func(b *raftboltdb.BoltStore) {
				i := lastEntry(t, b).Index - 1
				must(t, b.DeleteRange(i, i))
			})
		}, []string{boltLogFile, "log not found", "joins anew"}},
		{"entry corrupt", func(t *testing.T, cfg *config.Coordinator) {
			editLog(t, *cfg, func(b *raftboltdb.BoltStore) {
				l := lastEntry(t, b)
				l.Term++
				must(t, b.StoreLog(&l))
			})
		}, []string{boltLogFile, "corrupt log entry at index", "joins anew"}},
		{"log is no database", func(t *testing.T, cfg *config.Coordinator) {
			must(t, os.WriteFile(filepath.Join(cfg.Data, boltLogFile), make([]byte, 64<<10), 0o600))
		}, []string{boltLogFile}},
		{"raft state without a cluster", func(t *testing.T, cfg *config.Coordinator) {
			editIdentity(t, *cfg, func(id *identity) { id.ClusterID = "" })
		}, []string{identityFile, "names no cluster"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := formedData(t, logStoreBolt)
			c.damage(t, &cfg)
			_, err := tryOpenNode(t, cfg)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			if _, again := tryOpenNode(t, cfg); again == nil {
				t.Error("the second try was let through")
			}
		})
	}
}

// tryOpenNode opens a whole node and closes it.
func tryOpenNode(t *testing.T, cfg config.Coordinator) (replay int64, err error) {
	t.Helper()
	d, err := openDataDir(cfg)
	if err != nil {
		return 0, err
	}
	defer d.close()
	layer := newStreamLayer(d, "", "127.0.0.1:1", testLog(t))
	defer layer.Close()
	n, err := openNode(cfg, d, new(sumFSM), layer, newAddressBook(), testLog(t), failOnFatal(t))
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return n.stores.replay, n.close(ctx)
}

func TestPreflightLock(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t, 1)
	d, err := openDataDir(cfg)
	must(t, err)
	defer d.close()
	_, err = openDataDir(cfg)
	if want := fmt.Sprintf("data directory %s is in use by pid %d", cfg.Data, os.Getpid()); err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("error %v, want %q", err, want)
	}
	info, err := os.Stat(cfg.Data)
	must(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("data directory has mode %v", info.Mode())
	}
}

// A new directory gets an identity; the same one the next time.
func TestPreflightKeepsTheIdentity(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t, 1)
	cfg.Data = filepath.Join(cfg.Data, "new", "one")
	var first identity
	for i := range 2 {
		d, err := openDataDir(cfg)
		must(t, err)
		if id := d.identity(); i == 0 {
			first = id
		} else if id.Node != first.Node || id.Node == "" || id.Cluster != "muster" {
			t.Errorf("identity %+v, was %+v", id, first)
		}
		must(t, d.close())
	}
}

// What can be mended without losing anything is mended.
func TestPreflightMends(t *testing.T) {
	t.Parallel()
	t.Run("nothing to mend", func(t *testing.T) {
		t.Parallel()
		for _, kind := range []string{logStoreBolt, logStoreWAL} {
			replay, err := tryOpen(t, formedData(t, kind))
			must(t, err)
			if want := int64(3*(5+entryOverheadBytes) + entryOverheadBytes); replay != want {
				t.Errorf("%s: %d bytes to replay, want %d", kind, replay, want)
			}
		}
	})
	t.Run("leftover of a snapshot", func(t *testing.T) {
		t.Parallel()
		cfg := formedData(t, logStoreBolt)
		left := filepath.Join(cfg.Data, snapshotsDir, "3-99-1700000000000.tmp")
		must(t, os.MkdirAll(left, 0o700))
		_, err := tryOpen(t, cfg)
		must(t, err)
		if exists(left) {
			t.Error("it is still there")
		}
	})
	t.Run("damaged snapshot that the log makes up for", func(t *testing.T) {
		t.Parallel()
		cfg := formedData(t, logStoreBolt)
		dirs := snapshotDirs(t, cfg)
		editLog(t, cfg, func(b *raftboltdb.BoltStore) { // as if more had been left behind the snapshot
			l := lastEntry(t, b)
			for i := lastIndexOf(dirs[:1]) + 1; i <= lastIndexOf(dirs[1:]); i++ {
				e := raft.Log{Index: i, Term: l.Term, Data: []byte("entry")}
				e.Extensions = seal(&e)
				must(t, b.StoreLog(&e))
			}
		})
		flip(t, filepath.Join(dirs[1], snapshotState))
		_, err := tryOpen(t, cfg)
		must(t, err)
		if exists(dirs[1]) || !exists(filepath.Join(cfg.Data, damagedDir, filepath.Base(dirs[1]))) {
			t.Error("the damaged snapshot was not set aside")
		}
	})
	t.Run("log of another branch", func(t *testing.T) {
		t.Parallel()
		cfg := formedData(t, logStoreBolt)
		at := lastIndexOf(snapshotDirs(t, cfg)[1:])
		editLog(t, cfg, func(b *raftboltdb.BoltStore) {
			var l raft.Log
			must(t, b.GetLog(at, &l))
			l.Term, l.Extensions = l.Term+1, nil
			l.Extensions = seal(&l)
			must(t, b.StoreLog(&l))
		})
		replay, err := tryOpen(t, cfg)
		must(t, err)
		if replay != 0 {
			t.Errorf("%d bytes left of a log that is not this snapshot's", replay)
		}
	})
	t.Run("crash between bootstrap and its note", func(t *testing.T) {
		t.Parallel()
		cfg := formedData(t, logStoreBolt)
		var was string
		editIdentity(t, cfg, func(id *identity) {
			was = id.ClusterID
			own := member{ID: id.Node}
			id.ClusterID, id.Promise = "", &promise{ClusterID: was, Proposer: own, Members: []member{own}}
		})
		r := start(t, cfg, false)
		leaderOf(t, r)
		if got := r.dir.identity(); got.ClusterID != was || got.Promise != nil {
			t.Errorf("identity %+v, want cluster id %s", got, was)
		}
	})
}

func TestPromiseRules(t *testing.T) {
	t.Parallel()
	a, b := member{ID: "a"}, member{ID: "b"}
	d := openTestDir(t, "m", "")
	all := []member{a, b, {ID: d.identity().Node}}
	step := func(what string, err error, want string) {
		t.Helper()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Fatalf("%s: error %v, want %q", what, err, want)
		}
	}
	step("not a member", d.promise(promise{ClusterID: "0", Proposer: a, Members: []member{a, b}}), "no member")
	step("first", d.promise(promise{ClusterID: "1", Seq: 10, Proposer: a, Members: all}), "")
	step("again", d.promise(promise{ClusterID: "1", Seq: 10, Proposer: a, Members: all}), "")
	step("another proposer", d.promise(promise{ClusterID: "2", Seq: 99, Proposer: b, Members: all}), "promised to form another cluster, with id 1")
	step("same proposer, later", d.promise(promise{ClusterID: "3", Seq: 30, Proposer: a, Members: all}), "")
	step("same proposer, delayed", d.promise(promise{ClusterID: "1", Seq: 10, Proposer: a, Members: all}), "a later proposal")
	step("taken in by another", d.adopt("9"), "promised to form another cluster, with id 3")
	step("release of another", d.release("1"), "")
	if p := d.identity().Promise; p == nil || p.ClusterID != "3" {
		t.Fatalf("promise %+v", p)
	}
	step("release", d.release("3"), "")
	step("the other proposer", d.promise(promise{ClusterID: "2", Seq: 5, Proposer: b, Members: all}), "")
	step("its stream", d.adopt("2"), "")
	if id := d.identity(); id.ClusterID != "2" || id.Promise != nil {
		t.Fatalf("identity %+v", id)
	}
	select {
	case <-d.formed():
	default:
		t.Fatal("not formed")
	}
	step("another cluster", d.adopt("9"), "belongs to the cluster with id 2")
	step("a new proposal", d.promise(promise{ClusterID: "7", Proposer: a, Members: all}), "already")
}
