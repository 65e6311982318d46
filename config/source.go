package config

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// The prefixes of settings in the environment.
const (
	CoordinatorEnv = "MUSTER_COORDINATOR_"
	WorkerEnv      = "MUSTER_WORKER_"
)

// Source is where values come from, each before the next.
type Source struct {
	File  string            // YAML; empty: none
	Env   []string          // as of os.Environ; other variables than ours are passed over
	Flags map[string]string // by Setting.Flag
}

// Coordinator gives the settings of a coordinator, not yet validated. Its name defaults to the host's.
func (s Source) Coordinator() (Coordinator, error) {
	cfg := DefaultCoordinator()
	err := s.fill(&cfg, CoordinatorEnv)
	if profile := cfg.Raft.Profile; err == nil && profile != ProfileLAN { // other defaults, and what is set wins over them
		cfg = DefaultCoordinator()
		cfg.Raft.adopt(profile)
		err = s.fill(&cfg, CoordinatorEnv)
	}
	cfg.Name = orHostname(cfg.Name)
	return cfg, err
}

// Worker gives the settings of a worker, not yet validated. Its name defaults to the host's, and its slots to the
// number of processors.
func (s Source) Worker() (Worker, error) {
	cfg := DefaultWorker()
	cfg.Slots = runtime.NumCPU()
	err := s.fill(&cfg, WorkerEnv)
	cfg.Name = orHostname(cfg.Name)
	return cfg, err
}

func (s Source) fill(cfg any, prefix string) error {
	settings := Settings(cfg)
	if s.File != "" {
		body, err := os.ReadFile(s.File)
		if err != nil {
			return fmt.Errorf("read the settings: %w", err)
		}
		if err := fillFromFile(settings, s.File, body); err != nil {
			return err
		}
	}
	if err := fillFromEnv(settings, prefix, s.Env); err != nil {
		return err
	}
	for _, set := range settings {
		if text, given := s.Flags[set.Flag()]; given {
			if err := set.Set(text); err != nil {
				return fmt.Errorf("--%s: %w", set.Flag(), err)
			}
		}
	}
	return nil
}

// fillFromEnv refuses a variable with our prefix that names no setting: it is a typo.
func fillFromEnv(settings []Setting, prefix string, env []string) error {
	byName := make(map[string]Setting, len(settings))
	for _, set := range settings {
		byName[prefix+set.Env()] = set
	}
	for _, entry := range env {
		name, text, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		set, known := byName[name]
		if !known {
			return fmt.Errorf("%s: there is no such setting", name)
		}
		if err := set.Set(text); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func orHostname(name string) string {
	if name != "" {
		return name
	}
	host, err := os.Hostname()
	if err != nil {
		return "unnamed"
	}
	return host
}
