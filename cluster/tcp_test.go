package cluster

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tunedPair is a connection as muster has it, and its other end.
func tunedPair(t *testing.T) (ours net.Conn, theirs *net.TCPConn) {
	t.Helper()
	ln := listen(t)
	defer ln.Close()
	conn, err := dialTCP(context.Background(), patience, ln.Addr().String())
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	other, err := ln.Accept()
	must(t, err)
	t.Cleanup(func() { _ = other.Close() })
	return conn, other.(*net.TCPConn)
}

// vanish makes the kernel drop whatever comes to a connection, without an answer: to the other end its host is gone.
func vanish(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	raw, err := conn.SyscallConn()
	must(t, err)
	filter := []syscall.SockFilter{{Code: syscall.BPF_RET | syscall.BPF_K}} // of each packet keep 0 bytes
	program := syscall.SockFprog{Len: 1, Filter: &filter[0]}
	var errno syscall.Errno
	must(t, raw.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall6(syscall.SYS_SETSOCKOPT, fd, syscall.SOL_SOCKET, syscall.SO_ATTACH_FILTER,
			uintptr(unsafe.Pointer(&program)), unsafe.Sizeof(program), 0)
	}))
	if errno != 0 {
		t.Fatal(errno)
	}
}

// A peer that vanishes is noticed whether the connection is idle or has data on its way, which the kernel by itself would
// send again for a quarter of an hour.
func TestVanishedPeerIsNoticed(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes the 5 seconds that it takes")
	}
	for _, c := range []struct {
		name string
		send int
	}{{"idle", 0}, {"data on its way", 1}, {"more data than fits", 64 << 20}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ours, theirs := tunedPair(t)
			vanish(t, theirs)
			begun := time.Now()
			wrote := make(chan error, 1)
			go func() {
				_, err := ours.Write(make([]byte, c.send))
				wrote <- err
			}()
			_ = ours.SetReadDeadline(begun.Add(patience))
			if _, err := ours.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("after %s: %v", time.Since(begun), err)
			}
			t.Logf("noticed after %s", time.Since(begun).Round(time.Millisecond))
			if err := <-wrote; c.send > 1 && err == nil {
				t.Error("all was written")
			}
		})
	}
}

// A process that stands still has a kernel that answers: its connection stays, with all that it has not read yet.
func TestPeerThatDoesNotReadKeepsItsConnection(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes several times silenceMax")
	}
	ours, theirs := tunedPair(t)
	data := bytes.Repeat([]byte("muster"), 4<<20)
	wrote := make(chan error, 1)
	go func() {
		_, err := ours.Write(data)
		wrote <- err
	}()
	time.Sleep(3 * silenceMax) // the kernel's clock is not virtual
	select {
	case err := <-wrote:
		t.Fatalf("it is not full: %v", err)
	default:
	}
	got := make([]byte, len(data))
	if _, err := io.ReadFull(theirs, got); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("read what was on its way: %v", err)
	}
	must(t, <-wrote)
}

func TestVanished(t *testing.T) {
	t.Parallel()
	long, short := uint32(silenceMax.Milliseconds()), uint32(silenceMax.Milliseconds()-1)
	for _, c := range []struct {
		name string
		info unix.TCPInfo
		want bool
	}{
		{"sent again in vain", unix.TCPInfo{Last_ack_recv: long, Last_data_recv: long, Retransmits: 1}, true},
		{"probed in vain", unix.TCPInfo{Last_ack_recv: long, Last_data_recv: long, Probes: 2}, true},
		{"one probe is on its way", unix.TCPInfo{Last_ack_recv: long, Last_data_recv: long, Probes: 1}, false},
		{"idle", unix.TCPInfo{Last_ack_recv: long, Last_data_recv: long}, false},
		{"not for long", unix.TCPInfo{Last_ack_recv: short, Last_data_recv: long, Retransmits: 5}, false},
		{"data came", unix.TCPInfo{Last_ack_recv: long, Last_data_recv: short, Retransmits: 5}, false},
	} {
		c.info.State = tcpEstablished
		if got := vanished(&c.info); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if vanished(&unix.TCPInfo{Last_ack_recv: long, Last_data_recv: long, Retransmits: 1}) {
		t.Error("a connection that is not open yet")
	}
}
