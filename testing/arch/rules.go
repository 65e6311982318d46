package arch

// Module is the import path that all of ours begin with.
const Module = "github.com/musterhq/muster"

// Directly lists, for each package of ours (by its path in the module), which others of ours it may import. A package
// that is not listed may import none. Paths under cmd, examples and testing are free: nothing imports them.
var Directly = map[string][]string{
	"fsm":             {"rpc/pack"},
	"rpc/pack":        {},
	"rpc/wire":        {"rpc/pack"},
	"rpc/rest":        {},
	"rpc/spec":        {"rpc/rest"},
	"config":          {},
	"cluster/gossip":  {"rpc/pack"},
	"cluster":         {"fsm", "cluster/backup", "cluster/gossip", "config", "rpc/pack"},
	"cluster/backup":  {"fsm"},
	"rpc/wire/duplex": {"rpc/wire", "rpc/pack"},
	"rpc/client":      {"rpc/wire", "rpc/wire/duplex", "rpc/pack", "cluster/gossip", "config"},
	"rpc/server":      {"cluster", "fsm", "rpc/wire", "rpc/wire/duplex", "rpc/pack", "config"},
	// rpc/wire: both ways in bring a submitted request into one canonical form, so that a key repeated the other way
	// is the same body.
	"rpc/api": {"cluster", "cluster/backup", "fsm", "rpc/rest", "rpc/spec", "rpc/wire", "config"},
	"worker":  {"rpc/client", "rpc/wire", "rpc/pack", "cluster/gossip", "config"},
	// What `muster bench` measures with: a Manager and a worker from outside.
	"worker/load": {"worker", "rpc/client", "rpc/wire", "config"},
}

// Free are the roots of packages that compose the others: nobody but they import each other.
var Free = []string{"cmd", "examples", "testing"}

// Never lists what a package must not reach, not even through others, and why.
var Never = []struct{ From, What, Why string }{
	{"worker", "github.com/hashicorp/raft", "whoever imports the SDK must not compile a Raft node"},
	{"worker", Module + "/fsm", "the SDK speaks the wire's words, not the log's"},
	{"rpc/client", "github.com/hashicorp/raft", "the SDK is made of it"},
	{"rpc/client", Module + "/fsm", "a client speaks the wire's words"},
	{"rpc/rest", "github.com/hashicorp/raft", "documents are plain data"},
	{"fsm", "github.com/hashicorp/raft", "the core knows nothing of how it is replicated"},
}

// Pure are the packages whose every word must follow from what they are given, and what they must not import for it:
// no clock of their own, no chance, no outside world, nothing concurrent.
var Pure = map[string][]string{
	"fsm": {
		"os", "os/exec", "net", "net/http", "math/rand", "math/rand/v2", "crypto/rand", "sync", "sync/atomic", "context",
		"syscall", "log", "log/slog", "runtime", "unsafe", "io/ioutil", "path/filepath", "github.com/hashicorp/go-hclog",
	},
}

// Clockless are the functions of package time that a pure package must not call.
var Clockless = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// Core are the only modules that the state machine may reach beyond the standard library and ours.
var Core = []string{"github.com/vmihailenco/", "github.com/tidwall/btree"}

// LinesMax is how long a file of ours may be: one purpose each. Generated files are exempt.
const LinesMax = 600

// BadNames are package names that say nothing of what the package is for.
var BadNames = []string{"util", "utils", "common", "helpers", "helper", "types", "misc", "shared", "base"}
