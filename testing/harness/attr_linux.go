package harness

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// attributes put a process in a group of its own (a Ctrl-C at the terminal is ours to pass on) and have the kernel
// kill it when this process dies.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// stopped says whether the kernel has stopped the process.
func stopped(pid int) bool { return procState(pid) == "T" }

// Alive says whether a process runs: it exists and is no zombie that only waits for its parent to ask.
func Alive(pid int) bool {
	s := procState(pid)
	return s != "" && s != "Z" && s != "X"
}

// procState is the state letter of a process, or "" when there is none.
func procState(pid int) string {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	// pid (name) state …, where the name may hold anything.
	if i := strings.LastIndexByte(string(text), ')'); i >= 0 && len(text) > i+2 {
		return string(text[i+2])
	}
	return ""
}

// WithEnv lists the living processes that were started with each of these texts somewhere in their environment.
func WithEnv(texts ...string) []int {
	dir, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, d := range dir {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		environ, err := os.ReadFile("/proc/" + d.Name() + "/environ")
		if err == nil && containsAll(string(environ), texts) && Alive(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func containsAll(s string, texts []string) bool {
	for _, text := range texts {
		if !strings.Contains(s, text) {
			return false
		}
	}
	return true
}
