package worker

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// envPassed are the variables of the worker's environment that jobs see, and all LC_* ones. The rest of it may hold
// secrets of whoever started the worker; a job names what else it needs in its env.
var envPassed = []string{"HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER"}

const (
	envPrefix = "MUSTER_"
	// pathDefault is the PATH of jobs when the worker has none.
	pathDefault = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	// processMark names the variable by which the guard knows what a worker's process started.
	processMark = envPrefix + "WORKER_PROCESS"
)

// jobEnv is the environment of a job's process. Of several values of one variable the last counts, and only it is
// passed on.
func jobEnv(job Job, w work, a *attemptDir, addresses, mark string) []string {
	e := environment{at: make(map[string]int)}
	e.set("PATH", pathDefault)
	for _, kv := range os.Environ() {
		if key, value, ok := strings.Cut(kv, "="); ok && passesOn(key) {
			e.set(key, value)
		}
	}
	for _, v := range w.env {
		e.set(v.Key, v.Value)
	}
	e.set("MUSTER_SESSION", job.Session)
	e.set("MUSTER_REQUEST", job.Request)
	e.set("MUSTER_JOB", job.Name)
	e.set("MUSTER_JOB_ID", job.ID)
	e.set("MUSTER_ATTEMPT", strconv.Itoa(job.Attempt))
	if job.Index != NoIndex {
		e.set("MUSTER_ARRAY_INDEX", strconv.Itoa(job.Index))
	}
	e.set("MUSTER_ADDR", addresses)
	e.set("MUSTER_TOKEN", job.Token())
	e.set(processMark, mark)
	for _, f := range exchangeFiles {
		e.set(f.variable, a.exchange.path(f.name))
	}
	return e.list
}

func passesOn(key string) bool {
	if strings.HasPrefix(key, "LC_") {
		return true
	}
	for _, k := range envPassed {
		if k == key {
			return true
		}
	}
	return false
}

// environment is a list of key=value without repetitions.
type environment struct {
	list []string
	at   map[string]int
}

func (e *environment) set(key, value string) {
	i, ok := e.at[key]
	if !ok {
		i = len(e.list)
		e.at[key] = i
		e.list = append(e.list, "")
	}
	e.list[i] = key + "=" + value
}

func envValue(env []string, key string) string {
	for _, kv := range env {
		if k, v, _ := strings.Cut(kv, "="); k == key {
			return v
		}
	}
	return ""
}

// lookPath finds the program called name. With a slash in it, it is a path, relative to dir; else it is looked up in
// path, whose relative entries are relative to dir too. os/exec would look into the worker's PATH, not the job's.
func lookPath(name, path, dir string) (string, error) {
	if strings.Contains(name, "/") {
		if err := executable(inDir(dir, name)); err != nil {
			return "", fmt.Errorf("command %q: %w", name, err)
		}
		return name, nil
	}
	for _, entry := range filepath.SplitList(path) {
		if entry == "" {
			continue
		}
		if found := filepath.Join(entry, name); executable(inDir(dir, found)) == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("command %q is not in PATH=%s of this worker's jobs", name, path)
}

func inDir(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

func executable(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("no such file (%s)", path)
	case err != nil:
		return err
	case info.IsDir():
		return errors.New("is a directory")
	case info.Mode()&0o111 == 0:
		return errors.New("is not executable (chmod +x?)")
	}
	return nil
}
