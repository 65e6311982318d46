package worker

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// The streams of a process.
const (
	stdoutStream = iota
	stderrStream
)

// streamFiles are the names of the files that keep each stream.
var streamFiles = [2]string{"stdout", "stderr"}

const (
	// captureTailMax is how much of the end of a stream that is too long is kept.
	captureTailMax = 64 << 10
	// copyBytes is the size of a read from a process. Pipes hold four times as much.
	copyBytes = 16 << 10
	// drainBytesMax bounds what is still read of a pipe after its process has ended: more than a pipe can hold.
	drainBytesMax = 1 << 20
)

// capture keeps one stream of a process in a file: its head and, if that is not all, a line telling how much is left
// out, and its tail. The tail is appended at the end, so that what has been read at an offset stays true.
type capture struct {
	limit  int64 // bytes kept
	create func() (*os.File, error)

	mu    sync.Mutex // guards the fields below
	file  *os.File   // nil until there is output, and after end
	size  int64      // of file
	tail  []byte     // the last bytes of what had no room, up to twice tailMax
	cut   int64      // bytes that had no room
	err   error      // of the file; what comes after it is lost
	ended bool
}

func (c *capture) tailMax() int64 { return min(captureTailMax, c.limit/4) }
func (c *capture) headMax() int64 { return c.limit - c.tailMax() }

// write takes output. It never fails: a job does not suffer from our disk being full.
func (c *capture) write(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(int64(len(p)), c.headMax()-c.size)
	if n > 0 && c.cut == 0 {
		c.store(p[:n])
		p = p[n:]
	}
	c.cut += int64(len(p))
	if tail := int(c.tailMax()); len(p) > 0 {
		c.tail = append(c.tail, p[max(0, len(p)-tail):]...)
		if len(c.tail) > 2*tail {
			c.tail = append(c.tail[:0], c.tail[len(c.tail)-tail:]...)
		}
	}
}

func (c *capture) store(p []byte) {
	if c.file == nil && c.err == nil {
		c.file, c.err = c.create()
	}
	if c.err != nil {
		return
	}
	n, err := c.file.Write(p)
	c.size += int64(n)
	c.err = err
}

// end appends the tail and closes the file. It returns the file's size.
func (c *capture) end() (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut > 0 {
		tail := c.tail[max(0, int64(len(c.tail))-c.tailMax()):]
		if out := c.cut - int64(len(tail)); out > 0 {
			c.store(fmt.Appendf(nil, "\n[muster: %d bytes left out]\n", out))
		}
		c.store(tail)
	}
	c.ended = true
	if c.file == nil {
		return 0, c.err
	}
	return c.size, errors.Join(c.err, c.file.Close())
}

// last is the last n bytes of the stream so far.
func (c *capture) last(n int64) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if have := int64(len(c.tail)); c.cut > 0 && have > 0 {
		return c.tail[max(0, have-n):]
	}
	if c.file == nil || c.ended {
		return nil
	}
	data := make([]byte, min(n, c.size))
	got, _ := c.file.ReadAt(data, c.size-int64(len(data)))
	return data[:got]
}

// readAt reads what is in the file while the stream goes on.
func (c *capture) readAt(offset int64, limit int) ([]byte, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file == nil || c.ended {
		return nil, false, nil // not begun, or just about to be kept: the next read tells
	}
	return readSection(c.file, offset, limit, false)
}

// readSection reads up to limit bytes at offset; ended says whether the end of the file is the end of the stream.
func readSection(f *os.File, offset int64, limit int, ended bool) (data []byte, eof bool, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	data = make([]byte, max(0, min(int64(limit), info.Size()-offset)))
	n, err := f.ReadAt(data, offset)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return data[:n], ended && offset+int64(n) >= info.Size(), err
}

var copyBuffers = sync.Pool{New: func() any { return new([copyBytes]byte) }}

// pump copies a pipe into c until it ends, or until settle is called and the pipe is empty.
func pump(pipe *os.File, c *capture) {
	buf := copyBuffers.Get().(*[copyBytes]byte)
	defer copyBuffers.Put(buf)
	for {
		n, err := pipe.Read(buf[:])
		c.write(buf[:n])
		if errors.Is(err, os.ErrDeadlineExceeded) {
			drain(pipe, c, buf[:])
			return
		}
		if err != nil {
			return
		}
	}
}

// settle ends a pump even if a process that left its group still holds the pipe.
func settle(pipe *os.File) { _ = pipe.SetReadDeadline(time.Unix(0, 1)) }

// drain takes what is in the pipe without waiting for more.
func drain(pipe *os.File, c *capture, buf []byte) {
	_ = pipe.SetReadDeadline(time.Time{})
	raw, err := pipe.SyscallConn()
	if err != nil {
		return
	}
	for left := drainBytesMax; left > 0; {
		var n int
		err := raw.Read(func(fd uintptr) bool {
			n, _ = syscall.Read(int(fd), buf)
			return true
		})
		if err != nil || n <= 0 {
			return
		}
		c.write(buf[:n])
		left -= n
	}
}
