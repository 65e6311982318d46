package worker

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// groupAttr gives a process a group of its own, and has the kernel kill it when its worker is gone.
func groupAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// awaitExit returns when the process has ended, and leaves it unreaped: until then its number, and that of its
// group, cannot mean another.
func awaitExit(p *os.Process) (*os.ProcessState, error) {
	for {
		err := unix.Waitid(unix.P_PID, p.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return nil, nil // an error will show again when it is reaped
		}
	}
}

// groupLives says whether somebody is left in a group. Who has ended but is not reaped yet does not count: an orphan's
// new parent may take its time, and in a container without an init it never does.
func groupLives(group int) bool {
	if syscall.Kill(-group, 0) != nil {
		return false
	}
	pids, err := processes()
	if err != nil {
		return true
	}
	for _, pid := range pids {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // gone meanwhile
		}
		// "pid (name) state parent group …", where the name may hold anything
		var state rune
		var parent, of int
		_, err = fmt.Sscanf(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " %c %d %d", &state, &parent, &of)
		if err == nil && of == group && state != 'Z' && state != 'X' {
			return true
		}
	}
	return false
}

func processes() (pids []int, err error) {
	entries, err := os.ReadDir("/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, err
}

// marked are the processes whose environment has mark=value, other than this one.
func marked(mark, value string) (found []int) {
	pids, _ := processes() // without /proc nobody is found
	want := []byte(mark + "=" + value)
	for _, pid := range pids {
		if pid == os.Getpid() {
			continue
		}
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil {
			continue // gone, or not ours
		}
		for kv := range bytes.SplitSeq(env, []byte{0}) {
			if bytes.Equal(kv, want) {
				found = append(found, pid)
				break
			}
		}
	}
	return found
}

// openElsewhere says whether somebody else may have f open: a lease to write is given only to whoever has a file alone.
func openElsewhere(f *os.File) bool {
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		return true // or this file system, or the system's settings, have no leases
	}
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	return err != nil
}
