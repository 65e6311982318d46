package cluster

import (
	"context"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A peer that vanished without a word (power, cable, a dropped route) must not hold a stream open: Raft's receiving side
// sets no deadline while it waits for a snapshot. The kernel asks in vain then: an idle connection is probed, and ends by
// itself after keepAliveIdle + keepAliveCount × keepAliveInterval, 5 s. With data on its way there are no probes, and the
// kernel would send it again for a quarter of an hour; such a connection is ended here when nothing was heard for silenceMax,
// which is looked at every silenceLook: 5 s as well.
//
// TCP_USER_TIMEOUT is not used: it takes the place of keepAliveCount, and it also ends a connection whose peer answers but
// does not read, which is a process that was stopped or whose disk is slow. That is not for the connection to judge.
const (
	keepAliveIdle     = 2 * time.Second
	keepAliveInterval = time.Second
	keepAliveCount    = 3
	silenceMax        = 4 * time.Second
	silenceLook       = time.Second
)

// tcpEstablished is the kernel's number of the state; x/sys has only BPF's name for it.
const tcpEstablished = unix.BPF_TCP_ESTABLISHED

// dialTCP connects with the time-outs above. Names are looked up at each dial.
func dialTCP(ctx context.Context, timeout time.Duration, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: timeout}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if err := tuneTCP(conn); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// tuneTCP sets the time-outs above on a connection. Other connections than TCP's are left as they are.
func tuneTCP(conn net.Conn) error {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	err := tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: keepAliveIdle, Interval: keepAliveInterval, Count: keepAliveCount})
	if err != nil {
		return err
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	watchSilence(raw)
	return nil
}

// watchSilence ends a connection whose peer has vanished, as if the peer had ended it. It looks until the connection is
// closed.
func watchSilence(raw syscall.RawConn) {
	time.AfterFunc(silenceLook, func() {
		var (
			info *unix.TCPInfo
			err  error
		)
		if closed := raw.Control(func(fd uintptr) {
			if info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil && vanished(info) {
				err = unix.Shutdown(int(fd), unix.SHUT_RDWR)
				info = nil
			}
		}); closed == nil && err == nil && info != nil {
			watchSilence(raw)
		}
	})
}

// vanished judges the peer of a connection: nothing came for long, although the kernel has sent something again or has
// probed more than once. One that acknowledges and does not read has not vanished.
func vanished(info *unix.TCPInfo) bool {
	heard := time.Duration(min(info.Last_ack_recv, info.Last_data_recv)) * time.Millisecond
	return info.State == tcpEstablished && heard >= silenceMax && (info.Retransmits > 0 || info.Probes > 1)
}
