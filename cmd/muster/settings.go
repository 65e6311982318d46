package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/musterhq/muster/config"
)

// usages are what the help says of each setting, by its key. A setting without one is left out of the help, but may
// be given all the same.
var usages = map[string]string{
	"name":                  "name for people (default: the host's)",
	"data":                  "directory for its identity and data; only this node uses it",
	"http":                  "address of the HTTP interface; port 0: any free one",
	"rpc":                   "address for RPC and Raft; port 0: any free one",
	"gossip":                "address of gossip, TCP and UDP; port 0: any free one",
	"advertise":             "host that others reach this node by (default: that of each address)",
	"cluster":               "name of the cluster; members of another one are refused",
	"bootstrap_expect":      "form a new cluster once this many coordinators are there",
	"join":                  "gossip addresses of any members",
	"coordinators":          "rpc addresses of the coordinators, instead of gossip",
	"queues":                "queues that it serves",
	"labels":                "labels that it carries, KEY=VALUE",
	"slots":                 "how many slots' worth of jobs it runs at once (default: the processors)",
	"drain_timeout":         "how long running jobs may go on when it is stopped",
	"kill_grace":            "between SIGTERM and SIGKILL to a job that must stop",
	"queue_wait":            "a submit that waits longer to be committed is refused as overloaded",
	"stop_timeout":          "for a clean stop, the hand-over of the leadership included",
	"raft.profile":          "lan or wan: how patient coordinators are with each other (see docs/reliability.md)",
	"raft.log_store":        "boltdb or wal; fixed once the data directory is there",
	"lease.ttl":             "a worker that is not heard for this long is lost",
	"log_level":             "trace, debug, info, warn, error or off",
	"log_json":              "write the log as JSON",
	"insecure":              "allow addresses that other machines reach, without any protection",
	"log_bytes":             "how much output is kept for each attempt",
	"raft.heartbeat":        "without word from the leader before an election",
	"raft.election":         "for a candidate before it tries again",
	"max_body":              "largest submitted request, in bytes",
	"raft.in_flight":        "log entries proposed and not yet applied",
	"raft.entry_bytes":      "size of a log entry to aim for",
	"lease.reconnect_grace": "for a worker whose connection dropped",
}

// settingsFlags makes a flag of every setting. The flags only gather text: config.Source gives it meaning, so that
// flags, environment and file are read alike.
type settingsFlags struct {
	file  string
	flags *pflag.FlagSet
	names []string
}

func addSettings(c *cobra.Command, settings []config.Setting, prefix string) *settingsFlags {
	f := &settingsFlags{flags: c.Flags()}
	f.flags.SortFlags = false
	f.flags.StringVar(&f.file, "config", "", "YAML file with settings; the environment ("+prefix+"…) and flags come before it")
	for _, s := range settings {
		f.names = append(f.names, s.Flag())
		usage := usages[s.Key]
		f.flags.Var(&settingFlag{kind: s.Type()}, s.Flag(), usage)
		flag := f.flags.Lookup(s.Flag())
		flag.DefValue, flag.Hidden = defaultText(s), usage == ""
		if s.Type() == "bool" {
			flag.NoOptDefVal = "true"
		}
	}
	return f
}

func defaultText(s config.Setting) string {
	if text := s.String(); text != "0" && text != "false" {
		return text
	}
	return ""
}

// source is where the settings come from.
func (f *settingsFlags) source(environ []string) config.Source {
	given := make(map[string]string)
	for _, name := range f.names {
		if flag := f.flags.Lookup(name); flag.Changed {
			given[name] = flag.Value.String()
		}
	}
	return config.Source{File: f.file, Env: environ, Flags: given}
}

// settingFlag is a flag's text.
type settingFlag struct{ kind, text string }

func (s *settingFlag) String() string { return s.text }

// Type is shown in the help.
func (s *settingFlag) Type() string { return s.kind }

// Set is called for each time that the flag is given; lists grow by it.
func (s *settingFlag) Set(text string) error {
	if s.text != "" && (s.kind == "list" || s.kind == "pairs") {
		text = s.text + "," + text
	}
	s.text = text
	return nil
}

// wrongSettings makes a usage error of what is wrong with settings.
func wrongSettings(kind string, err error) error {
	if err == nil {
		return nil
	}
	return &usageError{fmt.Errorf("settings of the %s:\n%w", kind, err)}
}
