package wire_test

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/musterhq/muster/rpc/pack"
	"github.com/musterhq/muster/rpc/wire"
	"github.com/musterhq/muster/rpc/wire/wiretest"
)

// messages is every message of the protocol. A fuzzer picks by place: add at the end.
func messages() []wire.Message {
	return []wire.Message{
		&wire.Hello{}, &wire.Welcome{}, &wire.Leader{}, &wire.Error{}, &wire.Empty{}, &wire.OpenSession{},
		&wire.SessionOpened{}, &wire.CloseSession{}, &wire.Submit{}, &wire.Submitted{}, &wire.Cancel{},
		&wire.RetryRequest{}, &wire.Retried{}, &wire.GetRequest{}, &wire.Wait{}, &wire.RequestInfo{}, &wire.ListJobs{},
		&wire.JobsPage{}, &wire.GetJob{}, &wire.JobInfo{}, &wire.Drain{}, &wire.GetStatus{}, &wire.Status{}, &wire.Join{},
		&wire.Joined{}, &wire.Leave{}, &wire.Pick{}, &wire.Report{}, &wire.Reported{}, &wire.Progress{}, &wire.Beat{},
		&wire.BeatAnswer{}, &wire.Granted{}, &wire.Stop{}, &wire.Inputs{}, &wire.InputsPage{}, &wire.ReadLog{}, &wire.LogChunk{},
		&wire.Pause{},
	}
}

func name(m wire.Message) string { return reflect.TypeOf(m).Elem().Name() }

func encode(m wire.Message) []byte {
	w := pack.NewWriter()
	defer w.Free()
	m.Append(w)
	return w.Copy()
}

func fresh(m wire.Message) wire.Message {
	return reflect.New(reflect.TypeOf(m).Elem()).Interface().(wire.Message)
}

func TestEveryFieldOfEveryMessageCrosses(t *testing.T) {
	for _, m := range messages() {
		t.Run(name(m), func(t *testing.T) {
			wiretest.Fill(m)
			got := fresh(m)
			if err := wire.Decode(pack.NewReader(encode(m)), got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(m, got); diff != "" {
				t.Errorf("sent -, read +:\n%s", diff)
			}
		})
	}
}

func TestZeroMessagesCross(t *testing.T) {
	for _, m := range messages() {
		got := fresh(m)
		if err := wire.Decode(pack.NewReader(encode(m)), got); err != nil {
			t.Errorf("%s: %v", name(m), err)
		}
		if diff := cmp.Diff(m, got); diff != "" {
			t.Errorf("%s: sent -, read +:\n%s", name(m), diff)
		}
	}
}

// A peer of a later version adds fields at the end of a record; one of an earlier version leaves them out.
func TestMessagesOfOtherVersionsAreRead(t *testing.T) {
	for _, m := range messages() {
		wiretest.Fill(m)
		later := fresh(m)
		if err := wire.Decode(pack.NewReader(withExtraField(t, encode(m))), later); err != nil {
			t.Errorf("%s with one field more: %v", name(m), err)
		}
		if diff := cmp.Diff(m, later); diff != "" {
			t.Errorf("%s with one field more: sent -, read +:\n%s", name(m), diff)
		}
		if err := wire.Decode(pack.NewReader([]byte{0x90}), fresh(m)); err != nil {
			t.Errorf("%s without fields: %v", name(m), err)
		}
	}
}

// withExtraField adds a map to the record that data is.
func withExtraField(t *testing.T, data []byte) []byte {
	t.Helper()
	extra := []byte{0x81, 0xa1, 'k', 0x92, 1, 2}
	if data[0] == 0xdc {
		n := binary.BigEndian.Uint16(data[1:3])
		return append(append(binary.BigEndian.AppendUint16([]byte{0xdc}, n+1), data[3:]...), extra...)
	}
	if n := int(data[0] & 0x0f); data[0]&0xf0 == 0x90 {
		return append(append([]byte{0xdc, 0, byte(n + 1)}, data[1:]...), extra...)
	}
	t.Fatalf("not a record: %x", data[0])
	return nil
}

var update = flag.Bool("update", false, "write golden bytes of messages that have none yet")

// Bytes of a released protocol never change: lines of the golden file are added, not edited.
func TestMessagesHaveTheirGoldenBytes(t *testing.T) {
	const path = "testdata/v1.golden"
	golden := readGolden(t, path)
	for _, m := range messages() {
		wiretest.Fill(m)
		want, ok := golden[name(m)]
		if !ok && *update {
			addGolden(t, path, name(m), encode(m))
			continue
		}
		if got := hex.EncodeToString(encode(m)); got != want {
			t.Errorf("%s: got  %s\n\twant %s", name(m), got, want)
		}
	}
}

func readGolden(t *testing.T, path string) map[string]string {
	t.Helper()
	golden := make(map[string]string)
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) && *update {
		return golden
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if name, bytes, ok := strings.Cut(lines.Text(), " "); ok {
			golden[name] = bytes
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return golden
}

func addGolden(t *testing.T, path, name string, data []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "%s %x\n", name, data); err != nil {
		t.Fatal(err)
	}
}

// What most reports and assignments leave out must not leak into those that do not.
func TestShortRecordsCross(t *testing.T) {
	id := wire.JobID{Request: 7, Index: 3}
	for _, r := range []wire.JobReport{
		{Job: id, Attempt: 1, Kind: wire.ReportStart},
		{Job: id, Attempt: 1, Kind: wire.ReportDone, Result: []byte("x")},
		{Job: id, Attempt: 1, Kind: wire.ReportDone, Result: []byte{}},
		{Job: id, Attempt: 1, Kind: wire.ReportDone, Result: []byte("1"), JSON: true},
		{Job: id, Attempt: 1, Kind: wire.ReportFailed, Error: "boom"},
		{Job: id, Attempt: 1, Kind: wire.ReportFailed, ExitCode: -1},
		{Job: id, Attempt: 1, Kind: wire.ReportFailed, NoRetry: true},
		{Job: id, Attempt: 1, Kind: wire.ReportFailed, Timeout: true},
	} {
		m, got := &wire.Report{Reports: []wire.JobReport{r, {Job: id}}}, new(wire.Report)
		if err := wire.Decode(pack.NewReader(encode(m)), got); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(m, got); diff != "" {
			t.Errorf("sent -, read +:\n%s", diff)
		}
	}
	ref, spec := &wire.RequestRef{Name: "r"}, &wire.RunSpec{Kind: wire.WorkShell}
	for _, a := range []wire.Assignment{
		{ArrayIndex: -1},
		{ArrayIndex: -1, Payload: []byte("{}")},
		{ArrayIndex: -1, Parents: []wire.Parent{{Name: "p"}}},
		{ArrayIndex: -1, FetchInputs: true},
		{ArrayIndex: 0},
	} {
		a.Job, a.Attempt, a.Name, a.Request, a.Spec = id, 2, "n", ref, spec
		m, got := &wire.Granted{Jobs: []wire.Assignment{a}}, new(wire.Granted)
		if err := wire.Decode(pack.NewReader(encode(m)), got); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(m, got); diff != "" {
			t.Errorf("sent -, read +:\n%s", diff)
		}
	}
}

func TestSharedSpecsAreSentOnce(t *testing.T) {
	long := strings.Repeat("x", 1000)
	var specs []*wire.RunSpec
	for i := range 20 { // more than a table scans
		specs = append(specs, &wire.RunSpec{Kind: wire.WorkShell, Args: []string{fmt.Sprint(i, long)}})
	}
	ref, m := &wire.RequestRef{Name: "r"}, new(wire.Granted)
	for i := range 1000 {
		m.Jobs = append(m.Jobs, wire.Assignment{Job: wire.JobID{Request: 1, Index: uint32(i)}, Request: ref, Spec: specs[i%len(specs)], ArrayIndex: -1})
	}
	data := encode(m)
	if len(data) > len(specs)*1100+1000*12 {
		t.Errorf("%d bytes for 1000 jobs of %d specs", len(data), len(specs))
	}
	got := new(wire.Granted)
	if err := wire.Decode(pack.NewReader(data), got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, got); diff != "" {
		t.Error(diff)
	}
	if got.Jobs[0].Spec != got.Jobs[len(specs)].Spec || got.Jobs[0].Request != got.Jobs[1].Request {
		t.Error("what was shared when sent is not shared when read")
	}
}

func TestAnAssignmentOfAnUnknownSpecIsRefused(t *testing.T) {
	w := pack.NewWriter()
	w.Array(3)
	w.Array(0)
	w.Array(0)
	w.Array(1)
	w.Array(6)
	for range 3 {
		w.Uint(1)
	}
	w.String("job")
	w.Uint(0)
	w.Uint(0)
	if err := wire.Decode(pack.NewReader(w.Data()), new(wire.Granted)); !errors.Is(err, pack.ErrMalformed) {
		t.Errorf("got %v", err)
	}
}

func TestNegativeAndZeroTimes(t *testing.T) {
	m := &wire.RequestInfo{Created: time.Unix(-5, 7).UTC()}
	got := new(wire.RequestInfo)
	if err := wire.Decode(pack.NewReader(encode(m)), got); err != nil || !got.Created.Equal(m.Created) || !got.Ended.IsZero() {
		t.Errorf("got %v, %v, %v", got.Created, got.Ended, err)
	}
}

func TestErrorsAreToldApartByCode(t *testing.T) {
	err := fmt.Errorf("beat: %w", wire.Errorf(wire.CodeStale, "attempt %d", 1))
	if !errors.Is(err, wire.ErrStale) || errors.Is(err, wire.ErrLimit) {
		t.Errorf("%v is not what its code says", err)
	}
	for c := range wire.Code(64) {
		known := !strings.HasPrefix(c.String(), "code ")
		if want := c <= wire.CodeLimit || c >= wire.CodeNotLeader && c <= wire.CodeMalformed; known != want {
			t.Errorf("code %d is called %q", c, c)
		}
	}
	if wire.CodeNotLeader != 32 {
		t.Errorf("CodeNotLeader is %d: numbers cross the wire and never change", wire.CodeNotLeader)
	}
}
