package worker

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFloodingOutputKeepsHeadAndTail(t *testing.T) {
	const limit = 64 << 10 // half of it for each stream
	x, _ := newExecutor(t, limit)
	got := x.run(t.Context(), testJob(), script(`yes 0123456789abcde | head -c 33554432; echo the end; echo why >&2; exit 1`))
	if got.failure != "exit code 1: why" {
		t.Errorf("got %+v", got)
	}
	text := output(t, x, testJob(), stdoutStream)
	if len(text) > limit/2+100 {
		t.Errorf("%d bytes are kept of a stream that may have %d", len(text), limit/2)
	}
	left := 33554432 + len("the end\n") - limit/2
	if want := fmt.Sprintf("\n[muster: %d bytes left out]\n", left); !strings.Contains(text, want) {
		t.Errorf("output lacks %q", want)
	}
	if !strings.HasPrefix(text, "0123456789abcde\n") || !strings.HasSuffix(text, "the end\n") {
		t.Errorf("output is %.20q…%q", text, text[len(text)-20:])
	}
}

func TestCaptureKeepsWhatFits(t *testing.T) {
	for n := range 40 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "out")
			c := &capture{limit: 16, create: func() (*os.File, error) {
				return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
			}}
			all := strings.Repeat("abcdefghij", 4)[:n]
			for i := 0; i < n; i += 3 {
				c.write([]byte(all[i:min(i+3, n)]))
			}
			if last := string(c.last(3)); n >= 3 && n != 13 && n != 14 && last != all[n-3:] {
				t.Errorf("last bytes are %q of %q", last, all)
			}
			size, err := c.end()
			if err != nil {
				t.Fatal(err)
			}
			want := all
			if n > 16 {
				want = fmt.Sprintf("%s\n[muster: %d bytes left out]\n%s", all[:12], n-16, all[n-4:])
			}
			got, err := os.ReadFile(path)
			if err != nil && n > 0 {
				t.Fatal(err)
			}
			if string(got) != want || size != int64(len(want)) {
				t.Errorf("kept %q of %d bytes, want %q", got, size, want)
			}
		})
	}
}

func TestOutputIsReadableWhileItGrows(t *testing.T) {
	held := fifo(t)
	x, _ := newExecutor(t, 1<<20)
	done := make(chan outcome)
	go func() {
		done <- x.run(t.Context(), testJob(), script(`echo one; echo begun > `+held+`; cat `+held+`; echo two`))
	}()
	if _, err := os.ReadFile(held); err != nil { // it has written its first line
		t.Fatal(err)
	}
	var data []byte
	for len(data) == 0 { // and the worker is about to read it
		var eof bool
		var err error
		data, eof, err = x.attempts.readLog(testJob().ID, testJob().Attempt, stdoutStream, 0, 100)
		if eof || err != nil {
			t.Fatal(eof, err)
		}
	}
	if string(data) != "one\n" {
		t.Errorf("read %q", data)
	}
	if err := os.WriteFile(held, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	<-done
	if got := output(t, x, testJob(), stdoutStream); got != "one\ntwo\n" {
		t.Errorf("read %q in the end", got)
	}
}

func TestOutputOfUnknownAttempts(t *testing.T) {
	x, _ := newExecutor(t, 1<<20)
	for _, q := range []struct {
		job             string
		attempt, stream int
		offset          int64
	}{{"j0000000009-00001", 1, 0, 0}, {testJob().ID, 99, 0, 0}, {testJob().ID, 2, 2, 0}, {testJob().ID, 2, -1, 0}, {testJob().ID, 2, 0, -1}} {
		if _, _, err := x.attempts.readLog(q.job, q.attempt, q.stream, q.offset, 10); err == nil {
			t.Errorf("%+v has output", q)
		}
	}
}

func TestOldOutputGoesFirst(t *testing.T) {
	x, _ := newExecutor(t, 1<<20)
	say := func(attempt int) Job {
		job := testJob()
		job.Attempt = attempt
		x.run(t.Context(), job, script("echo $MUSTER_ATTEMPT"))
		return job
	}
	first, second := say(1), say(2)
	x.attempts.mu.Lock()
	x.attempts.bytes += attemptBytesKept - 5 // as if much more had been kept
	x.attempts.mu.Unlock()
	third := say(3)
	for _, test := range []struct {
		job  Job
		kept bool
	}{{first, false}, {second, true}, {third, true}} {
		_, _, err := x.attempts.readLog(test.job.ID, test.job.Attempt, stdoutStream, 0, 10)
		if kept := err == nil; kept != test.kept {
			t.Errorf("output of attempt %d: kept %v, want %v", test.job.Attempt, kept, test.kept)
		}
		_, err = os.Stat(filepath.Join(x.attempts.dir, attemptName(test.job.ID, test.job.Attempt)))
		if kept := err == nil; kept != test.kept {
			t.Errorf("directory of attempt %d: kept %v, want %v", test.job.Attempt, kept, test.kept)
		}
	}
}

func TestOutputSurvivesARestartOfTheWorker(t *testing.T) {
	x, _ := newExecutor(t, 1<<20)
	x.run(t.Context(), testJob(), script("echo kept"))
	// A worker that was killed leaves the files of the contract behind.
	dir := filepath.Join(x.attempts.dir, attemptName(testJob().ID, 9))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, inputFile), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := openAttempts(filepath.Dir(x.attempts.dir), 1<<20, x.log)
	if err != nil {
		t.Fatal(err)
	}
	defer again.close()
	data, eof, err := again.readLog(testJob().ID, testJob().Attempt, stdoutStream, 0, 10)
	if string(data) != "kept\n" || !eof || err != nil {
		t.Errorf("read %q, %v, %v", data, eof, err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the directory of a lost attempt without output is left")
	}
}
