package child

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of processor times in /proc: USER_HZ, which is 100 on every architecture that Go knows.
const tick = 10 * time.Millisecond

// stat is what /proc/PID/stat tells of a process.
type stat struct {
	parent int
	start  uint64        // ticks after boot: with the id, it names a process
	used   time.Duration // user and system, with its children that have ended
}

// parseStat reads /proc/PID/stat, proc_pid_stat(5). The second field, the program's name in brackets, may contain anything.
func parseStat(b []byte) (s stat, err error) {
	end := bytes.LastIndexByte(b, ')')
	fields := strings.Fields(string(b[end+1:]))
	const third = 3 // the field that follows the name
	if end < 0 || len(fields) <= 22-third {
		return stat{}, fmt.Errorf("%q is no stat of a process", b)
	}
	if s.parent, err = strconv.Atoi(fields[4-third]); err != nil {
		return stat{}, err
	}
	if s.start, err = strconv.ParseUint(fields[22-third], 10, 64); err != nil {
		return stat{}, err
	}
	for _, f := range fields[14-third : 18-third] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return stat{}, err
		}
		s.used += time.Duration(n) * tick
	}
	return s, nil
}

// processes reads all of /proc.
func processes() map[int]stat {
	all := map[int]stat{}
	paths, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		if s, err := parseStat(b); err == nil {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			all[pid] = s
		}
	}
	return all
}

// descends says whether a process is root or comes from it.
func descends(all map[int]stat, pid, root int) bool {
	for pid > 1 {
		if pid == root {
			return true
		}
		s, ok := all[pid]
		if !ok {
			return false
		}
		pid = s.parent
	}
	return false
}

// family is the processes that come from pid, without it, by their ids.
func family(pid int) map[int]stat {
	all, kin := processes(), map[int]stat{}
	for p, s := range all {
		if p != pid && descends(all, p, pid) {
			kin[p] = s
		}
	}
	return kin
}

// Usage is the processor time, user and system, that the processes and all that come from them have used so far.
func Usage(procs ...*Process) time.Duration {
	all := processes()
	var sum time.Duration
	for _, p := range procs {
		for pid, s := range all {
			if descends(all, pid, p.cmd.Process.Pid) {
				sum += s.used
			}
		}
	}
	return sum
}

// Own is what this process has used, without its children.
func Own() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
