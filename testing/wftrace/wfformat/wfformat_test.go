package wfformat

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

func diamond(t *testing.T) Trace {
	t.Helper()
	f, err := os.Open("testdata/diamond.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	trace, err := Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return trace
}

func TestEdgesNamedAtEitherEndAreNeeds(t *testing.T) {
	request, err := Convert(diamond(t), Options{TimeScale: 0.001, Session: "traces"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"name":"diamond","session":"traces","jobs":[` +
		`{"name":"fetch_01","shell":"sleep 0.040000"},` +
		`{"name":"left_01","needs":["fetch_01"],"shell":"sleep 0.090500"},` +
		`{"name":"right_01","needs":["fetch_01"],"shell":"sleep 0.020000"},` +
		`{"name":"merge_01","needs":["left_01","right_01"],"shell":"sleep 0.010000"}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestHandlerJobsSleepByPayload(t *testing.T) {
	request, err := Convert(diamond(t), Options{TimeScale: 0.5, Handler: "sleep"})
	if err != nil {
		t.Fatal(err)
	}
	j := request.Jobs[2]
	if j.Shell != "" || j.Handler != "sleep" || j.Payload.Seconds != 10 {
		t.Errorf("%+v", j)
	}
}

func TestWorkAndSpan(t *testing.T) {
	work, span := Work(diamond(t), 1)
	if work != 160500*time.Millisecond || span != 140500*time.Millisecond {
		t.Errorf("work %v, span %v", work, span)
	}
}

func TestBadTimeScaleIsRefused(t *testing.T) {
	for _, scale := range []float64{-1, math.NaN()} {
		if _, err := Convert(diamond(t), Options{TimeScale: scale}); err == nil {
			t.Errorf("%v is taken", scale)
		}
	}
}

func TestBadTracesAreRefusedByName(t *testing.T) {
	wrap := func(tasks, runs string) string {
		return `{"workflow":{"specification":{"tasks":[` + tasks + `]},"execution":{"tasks":[` + runs + `]}}}`
	}
	ran := `{"id":"a","runtimeInSeconds":1}`
	for name, c := range map[string]struct{ text, want string }{
		"no JSON":        {"workflow: {}", "read WfFormat"},
		"no task":        {"{}", "no task"},
		"no id":          {wrap(`{"name":"x"}`, ""), `task 0 ("x") has no id`},
		"twice":          {wrap(`{"id":"a"},{"id":"a"}`, ran), `"a" is there twice`},
		"no run time":    {wrap(`{"id":"a"}`, `{"id":"a"}`), `"a" has no runtimeInSeconds`},
		"negative":       {wrap(`{"id":"a"}`, `{"id":"a","runtimeInSeconds":-1}`), `"a" ran for -1 s`},
		"unknown parent": {wrap(`{"id":"a","parents":["b"]}`, ran), `there is no task "b"`},
		"unknown child":  {wrap(`{"id":"a","children":["c"]}`, ran), `there is no task "c"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(strings.NewReader(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
