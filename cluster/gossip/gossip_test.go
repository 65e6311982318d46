package gossip

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"go.uber.org/goleak"
)

// A probe of memberlist that waits for its answer ends by itself, a second at most after Stop.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).probeNode"))
}

const patience = 30 * time.Second

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %s in vain: %s", patience, what)
		}
	}
}

func startTest(t *testing.T, cfg Config, meta Meta) *Gossip {
	t.Helper()
	if cfg.Bind == "" {
		cfg.Bind = "127.0.0.1:0"
	}
	if cfg.Cluster == "" {
		cfg.Cluster = "m"
	}
	if meta.Role == "" {
		meta.Role = RoleCoordinator
	}
	g, err := Start(cfg, meta)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := g.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return g
}

// ids is the node ids in order, with a star at who leads.
func ids(list []Meta) string {
	var names []string
	for _, m := range list {
		name := m.NodeID
		if m.Leader {
			name += "*"
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// A worker learns of the coordinators and follows who leads, whoever it was given as a seed.
func TestWorkerFollowsTheLeader(t *testing.T) {
	t.Parallel()
	key := []byte("0123456789abcdef")
	a := startTest(t, Config{Key: key}, Meta{NodeID: "a", RPC: "a:1"})
	b := startTest(t, Config{Key: key, Seeds: []string{a.Addr()}}, Meta{NodeID: "b", RPC: "b:1"})
	_, port, err := splitHostPort(b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	w := startTest(t, Config{Key: key, Seeds: []string{fmt.Sprintf("localhost:%d", port)}}, Meta{NodeID: "w", Role: RoleWorker})
	for _, g := range []*Gossip{a, b, w} {
		eventually(t, "all know all", func() bool { return ids(g.Members()) == "a b w" })
	}
	if got := ids(w.Coordinators()); got != "a b" {
		t.Fatalf("coordinators %q", got)
	}
	lead := func(g *Gossip, term uint64, leads bool) {
		t.Helper()
		if err := g.Update(func(m *Meta) { m.Term, m.Leader = term, leads }); err != nil {
			t.Fatal(err)
		}
	}
	lead(b, 2, true)
	eventually(t, "b leads", func() bool { return ids(w.Coordinators()) == "b* a" })
	lead(a, 3, true) // b has not noticed yet
	eventually(t, "the higher term goes first", func() bool { return ids(w.Coordinators()) == "a* b*" })
	lead(b, 3, false)
	eventually(t, "only a leads", func() bool { return ids(w.Coordinators()) == "a* b" })
	if got := w.Coordinators()[0]; got.RPC != "a:1" || got.Term != 3 {
		t.Fatalf("leader %+v", got)
	}
}

func TestChangedIsSignalledWithoutBlocking(t *testing.T) {
	t.Parallel()
	a := startTest(t, Config{}, Meta{NodeID: "a"}) // nobody reads its signals until the end
	b := startTest(t, Config{Seeds: []string{a.Addr()}}, Meta{NodeID: "b"})
	for term := range uint64(20) {
		if err := b.Update(func(m *Meta) { m.Term = term + 1 }); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the last word arrives", func() bool {
		list := a.Members()
		return len(list) == 2 && list[1].Term == 20
	})
	select {
	case <-a.Changed():
	default:
		t.Fatal("no signal is pending")
	}
}

// Another cluster's name, id or key is not heard.
func TestStrangersAreNotHeard(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg  Config
		meta Meta
	}{
		"name": {Config{Cluster: "other"}, Meta{NodeID: "x", ClusterID: "one"}},
		"id":   {Config{}, Meta{NodeID: "x", ClusterID: "two"}},
		"key":  {Config{Key: []byte("fedcba9876543210")}, Meta{NodeID: "x", ClusterID: "one"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := []byte("0123456789abcdef")
			a := startTest(t, Config{Key: key}, Meta{NodeID: "a", ClusterID: "one"})
			c.cfg.Bind, c.cfg.Seeds = "127.0.0.1:0", []string{a.Addr()}
			if c.cfg.Key == nil {
				c.cfg.Key = key
			}
			x := startTest(t, c.cfg, c.meta)
			// A friend that comes later is heard, so the stranger had its time.
			b := startTest(t, Config{Key: key, Seeds: []string{a.Addr()}}, Meta{NodeID: "b", ClusterID: "one"})
			for range 3 {
				_ = x.joinOnce(context.Background())
			}
			eventually(t, "friends know each other", func() bool { return ids(a.Members()) == "a b" && ids(b.Members()) == "a b" })
			if got := ids(x.Members()); got != "x" {
				t.Errorf("the stranger knows %q", got)
			}
		})
	}
}

// Two that met before either belonged to a cluster lose sight of each other once they belong to different ones.
func TestClustersPart(t *testing.T) {
	t.Parallel()
	a := startTest(t, Config{}, Meta{NodeID: "a"})
	b := startTest(t, Config{Seeds: []string{a.Addr()}}, Meta{NodeID: "b"})
	eventually(t, "they met", func() bool { return len(a.Members()) == 2 && len(b.Members()) == 2 })
	for g, id := range map[*Gossip]string{a: "one", b: "two"} {
		if err := g.Update(func(m *Meta) { m.ClusterID = id }); err != nil {
			t.Fatal(err)
		}
	}
	s := a.state
	err := s.NotifyAlive(&memberlist.Node{Name: "b/1", Meta: b.state.NodeMeta(MetaBytesMax)})
	if err == nil || !strings.Contains(err.Error(), "another cluster of this name, with id two") {
		t.Fatalf("error %v", err)
	}
	if err := s.NotifyAlive(&memberlist.Node{Name: "b/1", Meta: []byte("garbage")}); err == nil {
		t.Fatal("garbage was taken for a meta")
	}
}

// One that comes back under its id replaces its older self, dead or not.
func TestRestartReplacesTheOlderSelf(t *testing.T) {
	t.Parallel()
	a := startTest(t, Config{}, Meta{NodeID: "a"})
	old := startTest(t, Config{Seeds: []string{a.Addr()}}, Meta{NodeID: "b", RPC: "old:1"})
	eventually(t, "it is there", func() bool { return ids(a.Members()) == "a b" })
	eventually(t, "a later millisecond", func() bool { return uint64(time.Now().UnixMilli()) > old.Self().Started })
	startTest(t, Config{Seeds: []string{a.Addr()}}, Meta{NodeID: "b", RPC: "new:2"})
	eventually(t, "the new one counts", func() bool { m := a.Members(); return len(m) == 2 && m[1].RPC == "new:2" })
}

func TestLeaveIsHeard(t *testing.T) {
	t.Parallel()
	a := startTest(t, Config{}, Meta{NodeID: "a"})
	b := startTest(t, Config{Seeds: []string{a.Addr()}}, Meta{NodeID: "b"})
	eventually(t, "it is there", func() bool { return ids(a.Members()) == "a b" && ids(b.Members()) == "a b" })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := b.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := b.Stop(ctx); err != nil {
		t.Fatal("second stop:", err)
	}
	eventually(t, "it is gone", func() bool { return ids(a.Members()) == "a" })
}

// The seed is not there yet when others begin to look for it.
func TestSeedThatComesLater(t *testing.T) {
	t.Parallel()
	first := startTest(t, Config{}, Meta{NodeID: "first"})
	address := first.Addr()
	if err := first.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	b := startTest(t, Config{Seeds: []string{address, "no-port", "127.0.0.1:1"}}, Meta{NodeID: "b"})
	a := startTest(t, Config{Bind: address}, Meta{NodeID: "a"})
	eventually(t, "they meet", func() bool { return ids(a.Members()) == "a b" && ids(b.Members()) == "a b" })
}

func TestStartRefusals(t *testing.T) {
	t.Parallel()
	ok := Meta{Role: RoleWorker, NodeID: "a"}
	for name, c := range map[string]struct {
		cfg  Config
		meta Meta
		want string
	}{
		"no cluster":     {Config{Bind: "127.0.0.1:0"}, ok, "no cluster name"},
		"no port":        {Config{Bind: "127.0.0.1", Cluster: "m"}, ok, "missing port"},
		"bad port":       {Config{Bind: "127.0.0.1:http", Cluster: "m"}, ok, "want a number"},
		"short key":      {Config{Bind: "127.0.0.1:0", Cluster: "m", Key: []byte("short")}, ok, "key"},
		"too many seeds": {Config{Bind: "127.0.0.1:0", Cluster: "m", Seeds: make([]string, seedsMax+1)}, ok, "at most 64"},
		"long name":      {Config{Bind: "127.0.0.1:0", Cluster: "m"}, Meta{Role: RoleWorker, NodeID: "a", Name: strings.Repeat("n", 65)}, "too long for gossip"},
	} {
		g, err := Start(c.cfg, c.meta)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
		if err == nil {
			_ = g.Stop(context.Background())
		}
	}
}

func longest() Meta {
	s := func(n int) string { return strings.Repeat("x", n) }
	return Meta{
		Role: s(roleBytesMax), NodeID: s(idBytesMax), Name: s(nameBytesMax), RPC: s(addressBytesMax), HTTP: s(addressBytesMax),
		ClusterID: s(idBytesMax), Term: 1<<64 - 1, Leader: true, Expect: 255, Started: 1<<64 - 1,
	}
}

// The largest Meta that the fields' limits allow still fits, and comes back whole.
func TestMetaFitsAndRoundTrips(t *testing.T) {
	t.Parallel()
	m := longest()
	data, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > MetaBytesMax {
		t.Fatalf("%d bytes, at most %d fit", len(data), MetaBytesMax)
	}
	got, err := decodeMeta(data)
	if err != nil || got != m {
		t.Fatalf("%+v, %v", got, err)
	}
	if v := reflect.ValueOf(m); v.NumField() != metaFields {
		t.Fatalf("Meta has %d fields, %d are written", v.NumField(), metaFields)
	}
	m.RPC += "x"
	if _, err := m.encode(); !errors.Is(err, ErrMetaTooLong) {
		t.Fatalf("error %v", err)
	}
}

// Metas of other versions, with fewer or more fields, are read.
func TestMetaOfOtherVersions(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		"\x92\xa6worker\xa1a", // the first two fields
		"\x9b\xa6worker\xa1a\xa0\xa0\xa0\xa0\x00\xc2\x00\x00\x93\x01\x02\x03", // an eleventh field
	} {
		if m, err := decodeMeta([]byte(data)); err != nil || m.NodeID != "a" {
			t.Errorf("%q: %+v, %v", data, m, err)
		}
	}
}

func FuzzDecodeMeta(f *testing.F) {
	m := longest()
	data, err := m.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte{0x9a, 0xdb, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte("\x92\xa6worker\xa1a"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decodeMeta(data)
		if err != nil {
			return
		}
		again, err := m.encode()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if len(again) > MetaBytesMax {
			t.Fatalf("%d bytes", len(again))
		}
		if got, err := decodeMeta(again); err != nil || got != m {
			t.Fatalf("%+v became %+v, %v", m, got, err)
		}
	})
}
