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

// child is a process that we started.
type child struct {
	pid int
	fd  *os.File // pidfd, for which the runtime waits without a thread; nil on kernels that have none
}

// startChild starts a process. Its awaitExit must follow.
func startChild(path string, argv []string, attr *syscall.ProcAttr) (child, error) {
	fd := -1
	attr.Sys.PidFD = &fd
	pid, err := syscall.ForkExec(path, argv, attr)
	if err != nil {
		return child{}, err
	}
	c := child{pid: pid}
	if fd >= 0 {
		c.fd = pollable(fd, "pidfd")
	}
	return c, nil
}

// pollable makes a file of fd for which goroutines wait in the runtime's poller.
func pollable(fd int, name string) *os.File {
	_ = unix.SetNonblock(fd, true) // else a read takes a thread
	return os.NewFile(uintptr(fd), name)
}

// awaitExit returns when the process has ended, and leaves it unreaped: until then its number, and that of its
// group, cannot mean another.
func (c *child) awaitExit() (status syscall.WaitStatus, reaped bool, err error) {
	if !c.pollExit() {
		_, _ = c.hasEnded(0) // an error will show again when it is reaped
	}
	return 0, false, nil
}

// pollExit is awaitExit without a thread. It returns false if that cannot be had.
func (c *child) pollExit() bool {
	if c.fd == nil {
		return false
	}
	defer c.fd.Close()
	conn, err := c.fd.SyscallConn()
	if err != nil {
		return false
	}
	var failed error
	err = conn.Read(func(uintptr) (ended bool) {
		ended, failed = c.hasEnded(unix.WNOHANG)
		return ended || failed != nil
	})
	return err == nil && failed == nil
}

// hasEnded says whether the process has ended; it waits for that unless options has WNOHANG.
func (c *child) hasEnded(options int) (bool, error) {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, c.pid, &info, unix.WEXITED|unix.WNOWAIT|options, nil)
		if !errors.Is(err, unix.EINTR) {
			return info.Signo != 0, err
		}
	}
}

// outputPipe makes a pipe: our end, for which the runtime waits, and the job's, which blocks as programs expect.
func outputPipe() (ours, theirs *os.File, err error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, os.NewSyscallError("pipe2", err)
	}
	return pollable(ends[0], "output"), os.NewFile(uintptr(ends[1]), "output"), nil
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
