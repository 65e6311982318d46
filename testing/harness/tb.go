package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
)

// TB is what the harness wants of a test. *testing.T and *testing.B are one; Main makes one for a command.
type TB interface {
	Helper()
	Name() string
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Failed() bool
	TempDir() string
	Cleanup(func())
	Context() context.Context
}

// ErrFailed is returned by Main when the function it ran reported a failure.
var ErrFailed = errors.New("failed")

// Main runs f outside a test, writing what it logs to out. It returns ErrFailed when f failed, after everything that f
// registered with Cleanup has run. ctx is what f's TB answers as its Context.
func Main(ctx context.Context, name string, out io.Writer, f func(TB)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &script{name: name, out: out, ctx: ctx}
	s.isolated(func() { f(s) })
	cancel()
	for {
		clean, ok := s.pop()
		if !ok {
			break
		}
		s.isolated(clean)
	}
	if s.Failed() {
		return ErrFailed
	}
	return nil
}

// script is the TB of a command.
type script struct {
	name string
	ctx  context.Context

	mu       sync.Mutex // guards what is below
	out      io.Writer
	failed   bool
	cleanups []func()
}

// isolated runs f where Fatalf can end it, and waits.
func (s *script) isolated(f func()) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() {
			if p := recover(); p != nil {
				s.Errorf("panic: %v", p)
			}
		}()
		f()
	}()
	<-ended
}

func (s *script) pop() (func(), bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.cleanups) == 0 {
		return nil, false
	}
	last := s.cleanups[len(s.cleanups)-1]
	s.cleanups = s.cleanups[:len(s.cleanups)-1]
	return last, true
}

func (s *script) Helper()                  {}
func (s *script) Name() string             { return s.name }
func (s *script) Context() context.Context { return s.ctx }

func (s *script) Logf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, format+"\n", args...)
}

func (s *script) Errorf(format string, args ...any) {
	s.Logf(format, args...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = true
}

func (s *script) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	runtime.Goexit()
}

func (s *script) Failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

func (s *script) Cleanup(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleanups = append(s.cleanups, f)
}

func (s *script) TempDir() string {
	dir, err := os.MkdirTemp("", s.name+"-")
	if err != nil {
		s.Fatalf("make a directory: %v", err)
	}
	s.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			s.Errorf("remove %s: %v", dir, err)
		}
	})
	return dir
}
