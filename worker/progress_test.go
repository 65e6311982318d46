package worker

import (
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseProgress(t *testing.T) {
	for _, test := range []struct {
		line    string
		percent int
		text    string
		ok      bool
	}{
		{"50", 50, "", true},
		{"50%", 50, "", true},
		{"7/10", 70, "", true},
		{"7/10 files copied", 70, "files copied", true},
		{"  12.5%\tof it ", 12, "of it", true},
		{"1/3", 33, "", true},
		{"0", 0, "", true},
		{"0/5", 0, "", true},
		{"100 done", 100, "done", true},
		{"150", 100, "", true},
		{"12/10", 100, "", true},
		{"99999999999999999999", 100, "", true},
		{"", 0, "", false},
		{"halfway", 0, "", false},
		{"50abc", 0, "", false},
		{"-5", 0, "", false},
		{"+5", 0, "", false},
		{"5/0", 0, "", false},
		{"/", 0, "", false},
		{"1/2/3", 0, "", false},
		{"5/10%", 0, "", false},
		{"%", 0, "", false},
		{"1e2", 0, "", false},
		{"0x10", 0, "", false},
		{"inf", 0, "", false},
		{".5", 0, "", false},
		{"1.2.3", 0, "", false},
		{"50 %", 50, "%", true},
	} {
		percent, text, ok := ParseProgress(test.line)
		if percent != test.percent || text != test.text || ok != test.ok {
			t.Errorf("%q: %d, %q, %v, want %d, %q, %v", test.line, percent, text, ok, test.percent, test.text, test.ok)
		}
	}
}

func FuzzParseProgress(f *testing.F) {
	for _, line := range []string{"50", "7/10 files", "12.5%", "\xff", "1/0", "5 " + strings.Repeat("é", 5000)} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		percent, text, ok := ParseProgress(line)
		if percent < 0 || percent > 100 || len(text) > progressTextMax || !utf8.ValidString(text) {
			t.Errorf("%q: %d, %q", line, percent, text)
		}
		if !ok && (percent != 0 || text != "") {
			t.Errorf("%q is refused and yet %d, %q", line, percent, text)
		}
	})
}

func TestLastLine(t *testing.T) {
	for data, want := range map[string]string{
		"": "", "\n\n": "", "50": "50", "10\n50\n": "50", "10\n50": "50", "10\r\n50\r\n\n  \n": "50",
	} {
		if got := lastLine([]byte(data)); got != want {
			t.Errorf("%q: %q, want %q", data, got, want)
		}
	}
}

// told records what a job says of its progress.
type told struct{ words chan string }

func (w told) tell(percent int, text string) {
	w.words <- strings.TrimSpace(strings.Join([]string{string(rune('0' + percent/10)), text}, " "))
}

func TestProgressFileIsWatched(t *testing.T) {
	held := fifo(t)
	x, _ := newExecutor(t, 1<<20)
	job := testJob()
	words := told{make(chan string, 10)}
	job.teller = words
	done := make(chan outcome)
	go func() {
		done <- x.run(t.Context(), job, script(`exec 8< `+held+`; echo 10% > "$MUSTER_PROGRESS"; read next <&8
			echo nonsense >> "$MUSTER_PROGRESS"; echo 5/10 half >> "$MUSTER_PROGRESS"; read next <&8
			ln -sf /etc/passwd "$MUSTER_PROGRESS"; read next <&8`))
	}()
	next, err := os.OpenFile(held, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1", "5 half", ""} {
		if want != "" {
			if got := <-words.words; got != want {
				t.Errorf("progress %q, want %q", got, want)
			}
		}
		if _, err := next.WriteString("next\n"); err != nil {
			t.Fatal(err)
		}
	}
	if err := next.Close(); err != nil {
		t.Fatal(err)
	}
	if o := <-done; o.failure != "" {
		t.Error(o.failure)
	}
	if len(words.words) > 0 {
		t.Errorf("further progress %q", <-words.words)
	}
}
