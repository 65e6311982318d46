package fsm

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/musterhq/muster/rpc/pack"
)

// golden writes the golden files that are missing. None is ever overwritten: what was once written to a log must be
// read for ever.
var golden = flag.Bool("golden", false, "write the golden files that are missing")

// decodeOne reads a command as Apply would.
func decodeOne(t testing.TB, encoded []byte) Command {
	t.Helper()
	now, commands, err := decodeEntry(NewEntry(7, encoded))
	if err != nil || now != 7 || len(commands) != 1 {
		t.Fatalf("decode: %d commands at %d: %v", len(commands), now, err)
	}
	return commands[0]
}

// value is the command without the pointer that the decoder gives, and without what it says of the version.
func value(c Command) Command {
	switch c := c.(type) {
	case *SubmitRequest:
		c.bare = false
	case *SubmitPart:
		c.bare = false
	}
	return reflect.ValueOf(c).Elem().Interface().(Command)
}

func name(c Command) string { return reflect.TypeOf(c).Name() }

func TestEveryCommandIsListed(t *testing.T) {
	listed := map[string]bool{}
	for _, c := range every() {
		listed[name(c)] = true
	}
	known := map[string]bool{}
	for kind := range 256 {
		w := pack.NewWriter()
		w.Array(1)
		w.Uint(uint64(kind))
		_, commands, err := decodeEntry(NewEntry(1, w.Copy()))
		w.Free()
		switch {
		case errors.Is(err, ErrUnknownEntry):
		case err != nil:
			t.Errorf("kind %d without fields: %v", kind, err)
		case !listed[name(value(commands[0]))]:
			t.Errorf("kind %d is %T: add it to every()", kind, commands[0])
		default:
			known[name(value(commands[0]))] = true
		}
	}
	if len(known) != len(listed) {
		t.Errorf("%d commands are read, %d are listed", len(known), len(listed))
	}
}

func TestEveryFieldSurvivesTheLog(t *testing.T) {
	for _, c := range every() {
		t.Run(name(c), func(t *testing.T) {
			want := filled(c)
			if got := value(decodeOne(t, Encode(want))); !reflect.DeepEqual(got, want) {
				t.Fatalf("wrote %+v\nread  %+v", want, got)
			}
			// Encoding is canonical: what was read is written as it was.
			if again := Encode(decodeOne(t, Encode(want))); !bytes.Equal(again, Encode(want)) {
				t.Fatal("written anew it is other bytes")
			}
			zero := value(decodeOne(t, Encode(c)))
			if !bytes.Equal(Encode(zero), Encode(c)) {
				t.Fatalf("the zero value became %+v", zero)
			}
		})
	}
}

// TestReportsSurviveInEveryShape is for the flat list of reports, whose items have fields that depend on flags.
func TestReportsSurviveInEveryShape(t *testing.T) {
	var c JobStates
	for bits := range 64 {
		p := JobReport{Job: JobID{RequestID(bits + 1), uint32(bits)}, Attempt: uint32(bits), Kind: ReportKind(bits%4 + 1)}
		if bits&1 != 0 {
			p.Result = []byte{byte(bits)}
		}
		p.JSON = bits&2 != 0
		if bits&4 != 0 {
			p.Error = "no"
		}
		if bits&8 != 0 {
			p.ExitCode = -1
		}
		p.NoRetry, p.Timeout = bits&16 != 0, bits&32 != 0
		c.Reports = append(c.Reports, p)
	}
	if got := value(decodeOne(t, Encode(c))); !reflect.DeepEqual(got, Command(c)) {
		t.Fatalf("wrote %+v\nread  %+v", c, got)
	}
}

// TestConditionsWrittenBeforeTheyWereKnown: an entry of a version that refused them is refused as it was then.
func TestConditionsWrittenBeforeTheyWereKnown(t *testing.T) {
	jobs := []JobEntry{{Name: "a"}, {Name: "b", Needs: []Need{{Job: 0, When: WhenFailed}}}}
	for _, c := range []struct {
		first commandKind
		now   Command
	}{
		{kindSubmitRequest, SubmitRequest{Session: "s", Specs: []JobSpec{simpleSpec()}, Jobs: jobs}},
		{kindSubmitPart, SubmitPart{Upload: 1, Specs: []JobSpec{simpleSpec()}, Jobs: jobs}},
	} {
		r := newRun(t)
		r.ok(BeginSubmit{Upload: 1, Session: "s", Jobs: 2})
		encoded := Encode(c.now)
		encoded[1] = byte(c.first) // after the array's length
		answers, err := r.m.Apply(9, 1, NewEntry(r.now.UnixNano(), encoded))
		if err != nil || answers[0].Refusal == nil || answers[0].Refusal.Code != CodeInvalid {
			t.Errorf("%T of old: %+v, %v", c.now, answers, err)
		}
		r.ok(c.now)
	}
}

// goldenCommand is a golden file: the bytes of a command, and what they mean.
type goldenCommand struct {
	Bytes   string // hexadecimal
	Command json.RawMessage
}

// TestGoldenCommands reads every command as every version of the format has written it. A field added to a command
// leaves the old files as they are and makes a new one due (go test -run Golden -golden writes it).
func TestGoldenCommands(t *testing.T) {
	for _, c := range every() {
		t.Run(name(c), func(t *testing.T) {
			files, err := filepath.Glob(filepath.Join("testdata", "log-v1", name(c)+".*.json"))
			if err != nil {
				t.Fatal(err)
			}
			want := filled(c)
			newest := ""
			for _, file := range files { // Glob sorts
				newest = readGoldenCommand(t, file, c)
			}
			if now := hex.EncodeToString(Encode(want)); now != newest {
				if !*golden {
					t.Fatalf("is written as\n%s\nwhich no golden file shows; the newest is\n%s", now, newest)
				}
				meaning, err := json.Marshal(want)
				if err != nil {
					t.Fatal(err)
				}
				text, err := json.MarshalIndent(goldenCommand{now, meaning}, "", "\t")
				if err != nil {
					t.Fatal(err)
				}
				writeGolden(t, filepath.Join("log-v1", fmt.Sprintf("%s.%02d.json", name(c), len(files)+1)), append(text, '\n'))
			}
		})
	}
}

func readGoldenCommand(t *testing.T, file string, c Command) (asHex string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var g goldenCommand
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	data, err := hex.DecodeString(g.Bytes)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	want := reflect.New(reflect.TypeOf(c))
	if err := json.Unmarshal(g.Command, want.Interface()); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if got := value(decodeOne(t, data)); !reflect.DeepEqual(got, want.Elem().Interface()) {
		t.Fatalf("%s: read as %+v\nwant    %+v", file, got, want.Elem().Interface())
	}
	return g.Bytes
}

func writeGolden(t *testing.T, name string, data []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		t.Fatalf("golden files are never overwritten: %v", err)
	}
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// goldenStory is a small log that comes by most kinds of commands and states.
func goldenStory() [][]byte {
	const start = int64(1_700_000_000_000_000_000)
	const second = int64(1e9)
	flaky := JobSpec{
		Kind: WorkCommand, Args: []string{"./x", "1"}, Env: []Pair{{"A", "1"}, {"B", "2"}}, Dir: "/d", Queue: "default",
		Labels: []Pair{{"gpu", "true"}}, Slots: 2, Priority: -5, Timeout: 60e9, StartAfter: 1e9,
		Retry: Retry{Limit: 2, Backoff: 1e9, Factor: 2000, Max: 60e9, Never: []int32{2, -9}}, LostLimit: 1,
	}
	plain := simpleSpec()
	jobs := append(chain(), JobEntry{Name: "flaky", Spec: 1, Payload: []byte(`{"n":1}`)}, JobEntry{Name: "last", Needs: []Need{{Job: 2}, {Job: 4}}})
	gpu := []Pair{{"gpu", "true"}}
	entry := func(at int64, cmds ...Command) []byte {
		var encoded [][]byte
		for _, c := range cmds {
			encoded = append(encoded, Encode(c))
		}
		return NewEntry(start+at*second, encoded...)
	}
	say := func(w WorkerID, request RequestID, i, attempt uint32, kind ReportKind) JobStates {
		return report(w, 1, request, i, attempt, kind)
	}
	return [][]byte{
		entry(0, OpenSession{Name: "s"}, OpenSession{Name: "shut"}, CloseSession{ID: 2}),
		entry(1, JoinWorker{Name: "w1", Identity: "i1", Process: 1, Queues: []string{"default"}, Labels: gpu, Slots: 2},
			JoinWorker{Name: "w2", Identity: "i2", Process: 2, Queues: []string{"b", "default"}, Slots: 1}),
		entry(2, SubmitRequest{Session: "s", Name: "n", Key: "k", Body: 9, MaxRunning: 3, Specs: []JobSpec{plain, flaky}, Jobs: jobs},
			SubmitRequest{Session: "other", OnFailure: StopRequest, Specs: []JobSpec{plain}, Jobs: chain()}),
		entry(3, PickJobs{Worker: 1, Incarnation: 1, Max: 2, Standing: true}, PickJobs{Worker: 2, Incarnation: 1, Max: 1}),
		entry(4, say(1, 1, 0, 1, ReportStart), Progress{Items: []ProgressItem{{Job: JobID{1, 0}, Attempt: 1, Percent: 40, Text: "almost"}}}),
		entry(5, JobStates{Worker: 1, Incarnation: 1, Reports: []JobReport{
			{Job: JobID{1, 0}, Attempt: 1, Kind: ReportDone, Result: []byte(`{"r":1}`), JSON: true},
			{Job: JobID{1, 3}, Attempt: 1, Kind: ReportFailed, Error: "no", ExitCode: 3},
		}}),
		entry(6, ReassignWorker{Worker: 2, Incarnation: 1, Term: 1, Cause: "no beat"}, Tick{Term: 1}),
		entry(7, JoinWorker{Name: "w3", Queues: []string{"default"}, Slots: 1}, PickJobs{Worker: 3, Incarnation: 1, Max: 1, Standing: true}),
		entry(8, CancelRequest{ID: 2}, RetryRequest{ID: 2}),
		entry(9, DrainWorker{Worker: 3}, Tick{Term: 1}),
	}
}

// TestGoldenLog replays a log that version 1 wrote. Every version must come to the same state, or a rolling upgrade
// would make replicas differ.
func TestGoldenLog(t *testing.T) {
	const file = "log-v1/story.txt"
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if errors.Is(err, os.ErrNotExist) && *golden {
		var b strings.Builder
		m := New()
		for i, e := range goldenStory() {
			apply(t, m, uint64(i+1), e)
			fmt.Fprintf(&b, "%016x %x\n", m.Hash(), e)
		}
		writeGolden(t, file, []byte(b.String()))
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	m := New()
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		hash, entry, _ := strings.Cut(line, " ")
		data, err := hex.DecodeString(entry)
		if err != nil {
			t.Fatal(err)
		}
		apply(t, m, uint64(i+1), data)
		if got := fmt.Sprintf("%016x", m.Hash()); got != hash {
			t.Fatalf("after entry %d the state's hash is %s, version 1 came to %s", i+1, got, hash)
		}
	}
}

// TestGoldenSnapshot restores a snapshot that version 1 wrote.
func TestGoldenSnapshot(t *testing.T) {
	const file = "snapshot-v1/story.snapshot"
	m := New()
	for i, e := range goldenStory() {
		apply(t, m, uint64(i+1), e)
	}
	data, err := os.ReadFile(filepath.Join("testdata", file))
	if errors.Is(err, os.ErrNotExist) && *golden {
		writeGolden(t, file, snapshot(t, m))
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	old, err := Restore(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Check(); err != nil {
		t.Fatal(err)
	}
	if old.Hash() != m.Hash() {
		t.Fatalf("restored: %016x, replayed: %016x", old.Hash(), m.Hash())
	}
}

// apply applies an entry in term 1, checks the invariants and fails the test on any error.
func apply(t testing.TB, m *Machine, index uint64, entry []byte) []Answer {
	t.Helper()
	answers, err := m.Apply(index, 1, entry)
	if err != nil {
		t.Fatalf("entry %d: %v", index, err)
	}
	if err := m.Check(); err != nil {
		t.Fatalf("after entry %d: %v", index, err)
	}
	return answers
}

func snapshot(t testing.TB, m *Machine) []byte {
	t.Helper()
	var buf bytes.Buffer
	n, err := m.View().WriteTo(&buf)
	if err != nil || n != int64(buf.Len()) {
		t.Fatalf("snapshot of %d bytes, %d counted: %v", buf.Len(), n, err)
	}
	return buf.Bytes()
}

func TestOtherVersionsAreRefused(t *testing.T) {
	entry := func(version uint64, commands ...[]byte) []byte {
		w := pack.NewWriter()
		defer w.Free()
		w.Array(3)
		w.Uint(version)
		w.Int(1)
		w.Array(len(commands))
		for _, c := range commands {
			w.Raw(c)
		}
		return w.Copy()
	}
	unknown := []byte{0x91, 0xcc, 200}
	good := Encode(OpenSession{Name: "s"})
	for name, data := range map[string][]byte{
		"version 2": entry(2, good), "version 0": entry(0), "an unknown command": entry(1, unknown),
		"an unknown command after a known one": entry(1, good, unknown), "no fields": {0x90}, "nil": {0xc0},
	} {
		t.Run(name, func(t *testing.T) {
			m := New()
			before := m.Hash()
			if _, err := m.Apply(1, 1, data); !errors.Is(err, ErrUnknownEntry) {
				t.Fatalf("%x: %v", data, err)
			}
			if m.Hash() != before || m.Index() != 0 {
				t.Fatal("it changed the state")
			}
		})
	}
	for name, data := range map[string][]byte{
		"empty": {}, "a bomb": {0xdd, 0xff, 0xff, 0xff, 0xff}, "bytes behind": append(entry(1, good), 0), "cut": entry(1, good)[:4],
		"a bomb of jobs": entry(1, []byte{0x99, byte(kindSubmitRequest), 0xa0, 0xa0, 0xa0, 0, 0, 0, 0x90, 0xdd, 0x7f, 0xff, 0xff, 0xff}),
	} {
		t.Run(name, func(t *testing.T) {
			m := New()
			before := m.Hash()
			if _, err := m.Apply(1, 1, data); !errors.Is(err, pack.ErrMalformed) {
				t.Fatalf("%x: %v", data, err)
			}
			if m.Hash() != before || m.Index() != 0 {
				t.Fatal("it changed the state")
			}
		})
	}
}
