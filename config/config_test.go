package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func writeFile(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "muster.yaml")
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLaterSourcesWin(t *testing.T) {
	s := Source{
		File: writeFile(t, `
name: from-file
data: /file
http: 127.0.0.1:1
join: [127.0.0.1:2, "127.0.0.1:3"]
raft: {log_store: wal, heartbeat: 250ms, in_flight: 1}
`),
		Env:   []string{"MUSTER_COORDINATOR_DATA=/env", "MUSTER_COORDINATOR_HTTP=127.0.0.1:4", "MUSTER_COORDINATOR_RAFT_SNAPSHOT_BYTES=1048576", "MUSTER_WORKER_SLOTS=9", "HOME=/"},
		Flags: map[string]string{"http": "127.0.0.1:5", "raft-in-flight": "3", "config": "not ours"},
	}
	got, err := s.Coordinator()
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultCoordinator()
	want.Name, want.Data, want.HTTP = "from-file", "/env", "127.0.0.1:5"
	want.Join = []string{"127.0.0.1:2", "127.0.0.1:3"}
	want.Raft.LogStore, want.Raft.Heartbeat, want.Raft.InFlight, want.Raft.SnapshotBytes = "wal", 250*time.Millisecond, 3, 1<<20
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

func TestWorkerFromEverySource(t *testing.T) {
	s := Source{
		File:  writeFile(t, "queues:\n- a\n- b\nlabels: {gpu: true, zone: '1'}\n"),
		Env:   []string{"MUSTER_WORKER_LOG_JSON=true", "MUSTER_WORKER_KILL_GRACE=1m"},
		Flags: map[string]string{"join": "h:1, h:2", "name": "w1"},
	}
	got, err := s.Worker()
	if err != nil {
		t.Fatal(err)
	}
	if got.Slots < 1 {
		t.Fatal("no slots")
	}
	want := DefaultWorker()
	want.Name, want.Slots, want.Queues, want.Labels = "w1", got.Slots, []string{"a", "b"}, map[string]string{"gpu": "true", "zone": "1"}
	want.LogJSON, want.KillGrace, want.Join = true, time.Minute, []string{"h:1", "h:2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

func TestSourceRefuses(t *testing.T) {
	for _, c := range []struct {
		name, file string
		s          Source
		want       string
	}{
		{"unknown setting", "data: x\nhtttp: y\n", Source{}, `:2:1: there is no setting "htttp"`},
		{"unknown in a section", "raft:\n  fast: true\n", Source{}, `:2:3: there is no setting "raft.fast"`},
		{"twice", "data: x\ndata: y\n", Source{}, ":2:1: data is given twice"},
		{"section as text", "raft: fast\n", Source{}, ":1:7: wants settings, each as name: value"},
		{"list for text", "data: [a]\n", Source{}, ":1:7: data wants a text"},
		{"nested list", "join: [[a]]\n", Source{}, ":1:7: join wants a list"},
		{"bad duration", "raft:\n  heartbeat: 5\n", Source{}, `:2:14: raft.heartbeat: "5" is not a duration`},
		{"bad number", "raft: {in_flight: many}\n", Source{}, `:1:19: raft.in_flight: "many" is not a whole number`},
		{"malformed", "data: [\n", Source{}, "muster.yaml:"},
		{"no such file", "", Source{File: "/nowhere/muster.yaml"}, "read the settings: open /nowhere/muster.yaml"},
		{"unknown variable", "", Source{Env: []string{"MUSTER_COORDINATOR_HTTPS=x"}}, "MUSTER_COORDINATOR_HTTPS: there is no such setting"},
		{"bad variable", "", Source{Env: []string{"MUSTER_COORDINATOR_LOG_JSON=maybe"}}, `MUSTER_COORDINATOR_LOG_JSON: "maybe" is neither true nor false`},
		{"bad flag", "", Source{Flags: map[string]string{"raft-heartbeat": "fast"}}, `--raft-heartbeat: "fast" is not a duration`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.file != "" {
				c.s.File = writeFile(t, c.file)
			}
			_, err := c.s.Coordinator()
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %s", err, c.want)
			}
		})
	}
	_, err := Source{Env: []string{"MUSTER_WORKER_LABELS=a=1,b"}}.Worker()
	if err == nil || !strings.Contains(err.Error(), `MUSTER_WORKER_LABELS: "b" is not key=value`) {
		t.Fatalf("got %v", err)
	}
}

func TestEverySettingReadsWhatItWrites(t *testing.T) {
	c, w := DefaultCoordinator(), DefaultWorker()
	c.Join, w.Labels = []string{"a:1", "b:2"}, map[string]string{"x": "1", "y": "2"}
	for _, cfg := range []any{&c, &w} {
		seen := map[string]bool{}
		for _, s := range Settings(cfg) {
			before := s.String()
			if err := s.Set(before); err != nil || s.String() != before {
				t.Errorf("%s: %q became %q, %v", s.Key, before, s.String(), err)
			}
			if seen[s.Flag()] || seen[s.Env()] || strings.HasSuffix(s.Key, ".") || s.Key == "" {
				t.Errorf("%q: name missing or taken", s.Key)
			}
			seen[s.Flag()], seen[s.Env()] = true, true
		}
	}
}

func TestValidateNamesTheSetting(t *testing.T) {
	good := DefaultCoordinator()
	good.Data = "d"
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spoil func(*Coordinator)
		want  string
	}{
		"no data":            {func(c *Coordinator) { c.Data = "" }, "data: is empty"},
		"no port":            {func(c *Coordinator) { c.HTTP = "localhost" }, `http: "localhost" is not host:port`},
		"large port":         {func(c *Coordinator) { c.RPC = "127.0.0.1:70000" }, "rpc: \"127.0.0.1:70000\" has no port from 0 to 65535"},
		"every address":      {func(c *Coordinator) { c.RPC = ":7071" }, "rpc: :7071 can be reached from other machines"},
		"a public address":   {func(c *Coordinator) { c.Gossip = "10.0.0.1:7072" }, "set --insecure"},
		"peer without host":  {func(c *Coordinator) { c.Join = []string{":7072"} }, "join: :7072 names no host"},
		"log level":          {func(c *Coordinator) { c.LogLevel = "loud" }, `log_level: is "loud"`},
		"log store":          {func(c *Coordinator) { c.Raft.LogStore = "paper" }, `raft.log_store: is "paper"`},
		"two leaders":        {func(c *Coordinator) { c.Raft.Lease = time.Second }, "raft.lease: is 1s"},
		"impatient election": {func(c *Coordinator) { c.Raft.Election = time.Millisecond }, "raft.election: is 1ms"},
		"negative expect":    {func(c *Coordinator) { c.BootstrapExpect = -1 }, "bootstrap_expect: is -1"},
		"no ttl":             {func(c *Coordinator) { c.Lease.TTL = 0 }, "lease.ttl: is 0s"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := good
			c.spoil(&bad)
			if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestAStaticListNeedsNoGossip(t *testing.T) {
	c, w := DefaultCoordinator(), DefaultWorker()
	c.Data, c.Gossip, c.Coordinators = "d", "", []string{"h:1", "i:1"}
	w.Data, w.Slots, w.Gossip, w.Coordinators = "d", 1, "", []string{"h:1"}
	for _, err := range []error{c.Validate(), w.Validate()} {
		if err != nil {
			t.Error(err)
		}
	}
	c.Coordinators = nil
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "gossip: ") {
		t.Errorf("got %v", err)
	}
}

func TestValidateWorker(t *testing.T) {
	w := DefaultWorker()
	w.Data, w.Slots, w.Join = "d", 1, []string{"localhost:7072"}
	if err := w.Validate(); err != nil {
		t.Fatal(err)
	}
	w.Slots, w.Join, w.Queues, w.Gossip = 0, nil, nil, "0.0.0.0:0"
	err := w.Validate()
	for _, want := range []string{"slots: is 0", "join: a worker needs", "queues: is empty", "gossip: 0.0.0.0:0 can be reached"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	w.Gossip, w.Insecure = "0.0.0.0:0", true
	if err := w.Validate(); strings.Contains(err.Error(), "can be reached") {
		t.Errorf("got %v although --insecure", err)
	}
}

// A profile, wherever it is named, gives other defaults; what is set anywhere wins over it.
func TestProfileGivesDefaults(t *testing.T) {
	for _, s := range []Source{
		{File: writeFile(t, "raft: {profile: wan, lease: 2s}")},
		{File: writeFile(t, "raft: {lease: 2s}"), Env: []string{"MUSTER_COORDINATOR_RAFT_PROFILE=wan"}},
		{Env: []string{"MUSTER_COORDINATOR_RAFT_LEASE=2s"}, Flags: map[string]string{"raft-profile": "wan"}},
	} {
		got, err := s.Coordinator()
		if err != nil {
			t.Fatal(err)
		}
		want := DefaultCoordinator().Raft
		want.Profile, want.Heartbeat, want.Election, want.Lease, want.TransportWait = "wan", 3*time.Second, 3*time.Second, 2*time.Second, 10*time.Second
		if diff := cmp.Diff(want, got.Raft); diff != "" {
			t.Error(diff)
		}
	}
}

func TestProfilesAreValid(t *testing.T) {
	for _, name := range profileNames() {
		c := DefaultCoordinator()
		c.Data, c.Raft.Profile = "/d", name
		c.Raft.adopt(name)
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := DefaultCoordinator()
	c.Data, c.Raft.Profile = "/d", "moon"
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), `raft.profile: is "moon", but must be one of lan, wan`) {
		t.Errorf("got %v", err)
	}
}
