package harness

import (
	"cmp"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Options say what to start. The zero value is three coordinators and two workers of four slots.
type Options struct {
	Coordinators int      // 0: 3
	Workers      int      // 0: 2; less than 0: none
	Slots        int      // of each worker; 0: 4
	Coordinator  []string // further flags of every coordinator
	Worker       []string // further flags of every worker
	Env          []string // further environment of every process
	Binary       string   // runs that instead of Binary's
	Network      bool     // each node in a network namespace of its own, see Cluster.Network; ask NetworkAllowed first
	Disks        bool     // each coordinator's data directory on a disk to be broken, see Node.Disk; ask lazydisk.Allowed first
}

// Cluster is a running cluster, seen by one test. Its methods may be called from any goroutine that may end the test.
type Cluster struct {
	*core
	tb TB
}

// core is what all views of a cluster share.
type core struct {
	opt    Options
	binary string
	hosts  *hosts
	fabric *fabric // nil: the nodes are on loopback
	dial   dialFunc
	launch *launcher
	client *http.Client
	logs   string
	data   string // the parent of every data directory; also the mark by which child processes are known
	dumped sync.Once

	mu           sync.Mutex // guards what is below
	coordinators []*Node
	workers      []*Node
	numbered     int // hosts handed out
}

// markKey is the environment variable that marks the processes of one cluster, and their children.
const markKey = "MUSTER_HARNESS"

// Start starts a cluster, waits until it has a leader and every worker has joined, and ends it with tb.
func Start(tb TB, opt Options) *Cluster {
	tb.Helper()
	c := Prepare(tb, opt)
	c.start()
	return c
}

// Prepare makes a cluster with no node in it. AddCoordinator and AddWorker start them one by one.
func Prepare(tb TB, opt Options) *Cluster {
	tb.Helper()
	opt.Coordinators = cmp.Or(opt.Coordinators, 3)
	opt.Workers = max(0, cmp.Or(opt.Workers, 2))
	opt.Slots = cmp.Or(opt.Slots, 4)
	binary := opt.Binary
	if binary == "" {
		binary = Binary(tb)
	}
	dir := tb.TempDir()
	core := &core{opt: opt, binary: binary, logs: logDir(tb, dir), data: dir}
	if err := core.connect(); err != nil {
		tb.Fatalf("%v", err)
	}
	core.launch, core.client = newLauncher(), newClient(core.dial)
	c := &Cluster{core: core, tb: tb}
	tb.Cleanup(c.end)
	return c
}

// logDir is where the logs of tb's nodes go: kept when MUSTER_TEST_LOGS says where.
func logDir(tb TB, temp string) string {
	keep := os.Getenv("MUSTER_TEST_LOGS")
	if keep == "" {
		keep = temp
	}
	err := os.MkdirAll(keep, 0o755)
	dir := ""
	if err == nil {
		dir, err = os.MkdirTemp(keep, strings.ReplaceAll(tb.Name(), "/", "_")+"-logs-*")
	}
	if err != nil {
		tb.Fatalf("make the log directory: %v", err)
	}
	return dir
}

// On returns the same cluster for another test, usually a subtest: what fails, fails that one.
func (c *Cluster) On(tb TB) *Cluster {
	view := &Cluster{core: c.core, tb: tb}
	tb.Cleanup(func() {
		if tb.Failed() {
			view.Dump()
		}
	})
	return view
}

// start starts the nodes of the options.
func (c *Cluster) start() {
	c.tb.Helper()
	for range c.opt.Coordinators {
		c.newNode(c.tb, "c", true)
	}
	flags := append(c.joinFlags(), "--bootstrap-expect", strconv.Itoa(c.opt.Coordinators))
	for _, n := range c.Coordinators() {
		n.flags = append(slices.Clone(flags), c.opt.Coordinator...)
		n.spawn(c.tb)
	}
	for _, n := range c.Coordinators() {
		n.awaitBound(c.tb)
	}
	c.WaitLeader()
	for range c.opt.Workers {
		c.AddWorker()
	}
	c.WaitWorkers(c.opt.Workers)
}

// joinFlags are the --join of every coordinator that there is.
func (c *Cluster) joinFlags() []string {
	var gossip []string
	for _, n := range c.Coordinators() {
		gossip = append(gossip, n.Addresses().Gossip)
	}
	if len(gossip) == 0 {
		return nil
	}
	return []string{"--join", strings.Join(gossip, ",")}
}

// AddCoordinator starts a further coordinator, the flags coming after those of the options.
func (c *Cluster) AddCoordinator(flags ...string) *Node {
	c.tb.Helper()
	join := c.joinFlags()
	n := c.newNode(c.tb, "c", true)
	n.flags = slices.Concat(join, c.opt.Coordinator, flags)
	n.launchNode(c.tb)
	return n
}

// AddWorker starts a further worker, the flags coming after those of the options.
func (c *Cluster) AddWorker(flags ...string) *Node {
	c.tb.Helper()
	n := c.newNode(c.tb, "w", false)
	n.flags = slices.Concat(c.joinFlags(), []string{"--slots", strconv.Itoa(c.opt.Slots)}, c.opt.Worker, flags)
	n.launchNode(c.tb)
	return n
}

// newNode makes a node without starting it.
func (c *core) newNode(tb TB, prefix string, coordinator bool) *Node {
	tb.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	list := &c.workers
	if coordinator {
		list = &c.coordinators
	}
	name := prefix + strconv.Itoa(len(*list)+1)
	n := &Node{
		Process:     &Process{name: name, binary: c.binary, env: c.environ(), log: filepath.Join(c.logs, name+".log"), launch: c.launch},
		Data:        filepath.Join(c.data, name),
		coordinator: coordinator,
		cluster:     c,
	}
	n.settle(tb)
	if coordinator && c.opt.Disks {
		n.mount(tb)
	}
	*list = append(*list, n)
	return n
}

// environ is a small environment of our own: what the person who runs the test has set must not matter.
func (c *core) environ() []string {
	env := []string{markKey + "=" + c.data}
	for _, key := range []string{"PATH", "HOME", "TMPDIR", "GOCOVERDIR", "GORACE", "GOTRACEBACK"} {
		if v, ok := os.LookupEnv(key); ok {
			env = append(env, key+"="+v)
		}
	}
	return append(env, c.opt.Env...)
}

// Coordinators are all coordinators ever started, in the order of their names.
func (c *core) Coordinators() []*Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.coordinators)
}

// Workers are all workers ever started, in the order of their names.
func (c *core) Workers() []*Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.workers)
}

// nodes are the coordinators, then the workers.
func (c *core) nodes() []*Node { return append(c.Coordinators(), c.Workers()...) }

// Node returns the node of that name.
func (c *Cluster) Node(name string) *Node {
	c.tb.Helper()
	for _, n := range c.nodes() {
		if n.name == name {
			return n
		}
	}
	c.tb.Fatalf("no node %s", name)
	return nil
}

// responsive are the coordinators that run and are not paused.
func (c *core) responsive() []*Node {
	return slices.DeleteFunc(c.Coordinators(), func(n *Node) bool { return !n.Responsive() })
}

// Binary is the path of the muster that this cluster runs, for jobs that call it.
func (c *core) Binary() string { return c.binary }
