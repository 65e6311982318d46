package spec

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/musterhq/muster/rpc/rest"
)

const everyField = `
name: nightly
session: reports
max_running: 8
on_failure: stop
jobs:
  - name: extract
    command: ["./extract.sh", 2026-11-22, 7, true]
    env: {TZ: UTC, N: 1.10, ON: true}
    dir: /data
    payload: {day: 2026-11-22, n: [1, 0x10, 2.50], "null": null, text: "<ä>"}
    queue: default
    labels: {gpu: "true", zone: 1}
    slots: 2
    priority: -100
    timeout: 10m
    start_after: 30s
    retry: {limit: 3, backoff: 1s, factor: 2, max: 1m, never: [2, -1]}
    lost_limit: 0
  - name: report/all
    needs: [extract, {job: load, when: done}]
    shell: |
      echo done
    start_after: 2026-11-22T10:00:00+02:00
  - name: load
    handler: resize
`

func everyFieldSpec() rest.RequestSpec {
	none, second, minute, two := uint32(0), rest.Duration(time.Second), rest.Duration(time.Minute), 2.0
	return rest.RequestSpec{
		Name: "nightly", Session: "reports", MaxRunning: 8, OnFailure: "stop",
		Jobs: []rest.JobSpec{
			{
				Name:    "extract",
				Payload: rest.Raw(`{"day":"2026-11-22","n":[1,16,2.50],"null":null,"text":"<ä>"}`),
				Work: rest.Work{
					Command: []string{"./extract.sh", "2026-11-22", "7", "true"},
					Env:     map[string]string{"TZ": "UTC", "N": "1.10", "ON": "true"},
					Dir:     "/data", Queue: "default", Labels: map[string]string{"gpu": "true", "zone": "1"},
					Slots: 2, Priority: -100, Timeout: rest.Duration(10 * time.Minute),
					StartAfter: rest.StartAfter{Delay: 30 * time.Second},
					Retry:      &rest.Retry{Limit: 3, Backoff: &second, Factor: &two, Max: &minute, Never: []int32{2, -1}},
					LostLimit:  &none,
				},
			},
			{
				Name: "report/all", Needs: []rest.Need{{Job: "extract"}, {Job: "load", When: "done"}},
				Work: rest.Work{Shell: "echo done\n", StartAfter: rest.StartAfter{At: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)}},
			},
			{Name: "load", Work: rest.Work{Handler: "resize"}},
		},
	}
}

func TestParseReadsEveryField(t *testing.T) {
	got, err := Parse([]byte(everyField))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(everyFieldSpec(), got); diff != "" {
		t.Fatal(diff)
	}
}

func TestParseReadsItsOwnJSON(t *testing.T) {
	want := everyFieldSpec()
	body, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(body)
	if err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	want.Jobs[1].Needs[1].When = "" // JSON leaves the default out
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

func TestParseAccepts(t *testing.T) {
	for name, body := range map[string]string{
		"flow style that begins like JSON": `{jobs: [{name: a, shell: "true"}]}`,
		"an alias":                         "jobs:\n- name: a\n  shell: x\n  retry: &r {limit: 1}\n- name: b\n  shell: x\n  retry: *r\n",
		"a byte order mark":                "\ufeffjobs: [{name: a, shell: x}]",
		"a document marker":                "---\njobs: [{name: a, shell: x}]\n...\n",
		"names that YAML reads otherwise":  "jobs: [{name: 7, shell: x}, {name: true, shell: x, needs: [7]}]",
		"no payload":                       "jobs: [{name: a, shell: x, payload: null}]",
		"space around JSON":                "\n {\"jobs\": [ {\"name\":\"a\" , \"shell\" : \"x\"} ] } \n",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse([]byte(body)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"nothing", "", "1: malformed: the request is empty"},
		{"nothing but comments", "# none\n", "malformed: the request is empty"},
		{"text", "hello", "1:1: wants an object, not text"},
		{"a list", "[]", "1:1: wants an object, not a list"},
		{"no jobs", "name: x", "1:1: has no jobs: give a list of at least one under \"jobs\""},
		{"empty jobs", "jobs: []", "1:7: jobs: is empty: a request has at least one job"},
		{"jobs of a wrong kind", "jobs: {a: {shell: x}}", "1:7: jobs: wants a list, not an object"},
		{"unknown field", "jobs:\n  - name: a\n    comand: [x]\n    shell: x\n", "3:5: jobs[0].comand: unknown field; did you mean \"command\"?"},
		{"unknown field of a request", "{\"jobs\":[{\"name\":\"a\",\"shell\":\"x\"}],\n \"quux\": 1}", "2:2: quux: unknown field; known are name, session, max_running, on_failure, hold, jobs"},
		{"other case", `{"Jobs":[]}`, "1:2: Jobs: unknown field; did you mean \"jobs\"?\n1:1: has no jobs: give a list of at least one under \"jobs\""},
		{"unknown field of retry", "jobs: [{name: a, shell: x, retry: {times: 3}}]", "1:36: jobs[0].retry.times: unknown field; known are limit, backoff, factor, max, never"},
		{"key twice", "jobs:\n- name: a\n  shell: x\n  shell: y\n", "4:3: jobs[0].shell: is given twice"},
		{"key twice in JSON", `{"jobs":[{"name":"a","shell":"x","shell":"y"}]}`, "1:34: jobs[0].shell: is given twice"},
		{"key twice in a payload", `{"jobs":[{"name":"a","shell":"x","payload":{"k":1,"k":2}}]}`, "1:51: jobs[0].payload.k: is given twice"},
		{"no name", "jobs: [{shell: x}]", "1:8: jobs[0]: has no name"},
		{"empty name", "jobs: [{name: '', shell: x}]", "1:15: jobs[0].name: is empty"},
		{"name with space", "jobs: [{name: a b, shell: x}]", "1:15: jobs[0].name: \"a b\" holds ' '; names are made of letters, digits and . _ - /"},
		{"long name", "jobs: [{name: " + strings.Repeat("a", 129) + ", shell: x}]", "1:15: jobs[0].name: is 129 bytes long; names have at most 128"},
		{"same name", "jobs:\n- {name: a, shell: x}\n- {name: a, shell: x}\n", "3:10: jobs[1].name: another job is named \"a\" (line 2)"},
		{"no action", "jobs: [{name: a}]", "1:8: jobs[0]: has nothing to do: give one of command, shell or handler"},
		{"two actions", "jobs: [{name: a, shell: x, command: [x]}]", "1:8: jobs[0]: has both shell and command: give exactly one of command, shell or handler"},
		{"command as text", "jobs: [{name: a, command: echo hi}]", "1:27: jobs[0].command: wants a list such as [\"echo\", \"hello\"]; for a line of shell write shell: instead"},
		{"empty command", "jobs: [{name: a, command: []}]", "1:27: jobs[0].command: names no program"},
		{"zero byte", `{"jobs":[{"name":"a","shell":"a\u0000b"}]}`, "1:30: jobs[0].shell: holds a zero byte"},
		{"unknown need", "jobs:\n- {name: train-a, shell: x}\n- {name: report, shell: x, needs: [trian-a]}\n", "3:36: jobs[1].needs: job \"report\" needs \"trian-a\", which does not exist; did you mean \"train-a\"?"},
		{"need twice", "jobs:\n- {name: a, shell: x}\n- {name: b, shell: x, needs: [a, {job: a}]}\n", "3:34: jobs[1].needs: job \"b\" needs \"a\" twice"},
		{"itself", "jobs: [{name: a, shell: x, needs: [a]}]", "1:15: jobs[0].needs: jobs need each other in a circle: a -> a (each needs the next)"},
		{"cycle", "jobs:\n- {name: z, shell: x, needs: [c]}\n- {name: a, shell: x, needs: [b, free]}\n- {name: free, shell: x}\n- {name: c, shell: x, needs: [a]}\n- {name: b, shell: x, needs: [free, c]}\n", "3:10: jobs[1].needs: jobs need each other in a circle: a -> b -> c -> a (each needs the next)"},
		{"later: array", "jobs: [{name: a, shell: x, array: 3}]", "1:28: jobs[0].array: is not supported yet"},
		{"when", "jobs: [{name: a, shell: x}, {name: b, shell: x, needs: [{job: a, when: faild}]}]", "1:72: jobs[1].needs[0].when: is \"faild\", but must be done or failed or ended"},
		{"hold", "hold: 1\njobs: [{name: a, shell: x}]", "1:7: hold: wants true or false, not a number"},
		{"any of none", "jobs: [{name: a, shell: x, needs_any: []}]", "1:39: jobs[0].needs_any: is empty: it could never be met; leave it out"},
		{"any of the unknown", "jobs: [{name: a, shell: x, needs_any: [b]}]", "1:40: jobs[0].needs_any: job \"a\" needs \"b\", which does not exist"},
		{"all and any of the same", "jobs: [{name: a, shell: x}, {name: b, shell: x, needs: [a], needs_any: [{job: a, when: failed}]}]", "1:73: jobs[1].needs_any: job \"b\" needs \"a\" twice"},
		{"need without a job", "jobs: [{name: a, shell: x, needs: [{when: done}]}]", "1:36: jobs[0].needs[0]: names no job"},
		{"high priority", "jobs: [{name: a, shell: x, priority: 101}]", "1:38: jobs[0].priority: is 101, but must lie within -100 and 100"},
		{"no slots", "jobs: [{name: a, shell: x, slots: 0}]", "1:35: jobs[0].slots: is 0, but must lie within 1 and 100000"},
		{"many slots", "jobs: [{name: a, shell: x, slots: 99999999999999999999}]", "1:35: jobs[0].slots: is 99999999999999999999, but must lie within 1 and 100000"},
		{"half a slot", "jobs: [{name: a, shell: x, slots: 0.5}]", "1:35: jobs[0].slots: wants a whole number, not 0.5"},
		{"number without unit", "jobs: [{name: a, shell: x, timeout: 90}]", "1:37: jobs[0].timeout: wants a unit: 90s, 90m or 90h"},
		{"no duration", "jobs: [{name: a, shell: x, timeout: soon}]", "1:37: jobs[0].timeout: \"soon\" is not a duration: write a number and a unit, like 30s, 10m or 1h30m"},
		{"negative duration", "jobs: [{name: a, shell: x, timeout: -1s}]", "1:37: jobs[0].timeout: duration -1s is negative"},
		{"no time", "jobs: [{name: a, shell: x, start_after: noon}]", "1:41: jobs[0].start_after: \"noon\" is neither a duration like 30s nor an RFC 3339 time like 2026-11-22T08:00:00Z"},
		{"small factor", "jobs: [{name: a, shell: x, retry: {factor: 0.5}}]", "1:44: jobs[0].retry.factor: is 0.5, but must lie within 1 and 1000"},
		{"no factor", "jobs: [{name: a, shell: x, retry: {factor: .nan}}]", "1:44: jobs[0].retry.factor: is .nan, but must lie within 1 and 1000"},
		{"policy", "on_failure: explode\njobs: [{name: a, shell: x}]", "1:13: on_failure: is \"explode\", but must be cancel or stop"},
		{"variable without value", "jobs: [{name: a, shell: x, env: {X: }}]", "jobs[0].env.X: has no value; write \"\" for an empty one"},
		{"variable with a list", "jobs: [{name: a, shell: x, env: {X: [1]}}]", "1:37: jobs[0].env.X: wants text, not a list"},
		{"no variable", "jobs: [{name: a, shell: x, env: {A=B: 1}}]", "1:34: jobs[0].env.A=B: is no name of a variable"},
		{"infinite payload", "jobs: [{name: a, shell: x, payload: .inf}]", "1:37: jobs[0].payload: is .inf, which JSON has no number for"},
		{"flow style with a typo", "{jobs: [{nme: a, shell: x}]}", "1:10: jobs[0].nme: unknown field; did you mean \"name\"?\n1:9: jobs[0]: has no name"},
		{"malformed JSON", "{\"jobs\": [}", "1:11: malformed: invalid character '}' looking for beginning of value"},
		{"JSON cut short", `{"jobs": [`, "1:11: malformed: the JSON ends too early"},
		{"text after JSON", `{"jobs":[{"name":"a","shell":"x"}]} {}`, "1:37: malformed: text after the end of the request"},
		{"malformed YAML", "jobs:\n  - name: a\n   shell: x\n", "malformed: did not find expected '-' indicator"},
		{"two documents", "jobs: [{name: a, shell: x}]\n---\njobs: []\n", "malformed: a second YAML document; submit one request at a time"},
		{"merge key", "jobs: [{name: a, shell: x, <<: {slots: 1}}]", "1:28: malformed: merge keys (<<) are not supported; repeat the fields"},
		{"key that is a list", "? [a]\n: b\n", "malformed: a key must be text"},
		{"tag", "jobs: [{name: a, shell: !!binary aGk=}]", "1:25: malformed: the YAML tag !!binary is not supported"},
		{"not UTF-8", "jobs: [{name: a,\n shell: \"\xff\"}]", "2:10: the request is not UTF-8 text"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse([]byte(c.body))
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, %+v", err, got)
			}
			if !strings.HasSuffix(e.Error(), c.want) {
				t.Fatalf("got  %s\nwant %s", e, c.want)
			}
		})
	}
}

func TestParseListsSeveralProblems(t *testing.T) {
	_, err := Parse([]byte("jobs:\n- {name: a, shel: x}\n- {name: b, shell: x, slots: -1, needs: [c]}\n"))
	want := `2:13: jobs[0].shel: unknown field; did you mean "shell"?
2:3: jobs[0]: has nothing to do: give one of command, shell or handler
3:30: jobs[1].slots: is -1, but must lie within 1 and 100000
3:42: jobs[1].needs: job "b" needs "c", which does not exist`
	if err == nil || err.Error() != want {
		t.Fatalf("got\n%v\nwant\n%s", err, want)
	}
}

func TestParseStopsAtEnoughProblems(t *testing.T) {
	_, err := Parse([]byte("jobs: [" + strings.Repeat("{},", 1000) + "]"))
	var e *Error
	if !errors.As(err, &e) || len(e.Problems()) != ProblemsMax {
		t.Fatalf("got %v", err)
	}
}

// What a stranger may send to make a reader slow or large.
func TestParseBoundsHostileBodies(t *testing.T) {
	job := "jobs:\n- name: a\n  shell: x\n  payload: "
	bomb := "jobs:\n- name: a\n  shell: x\n  payload:\n    - &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += "    - &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+",", 10) + "]\n"
	}
	for name, c := range map[string]struct{ body, want string }{
		"YAML lists":      {job + strings.Repeat("[", 200_000), "exceeded max depth"},
		"YAML sequences":  {strings.Repeat("- ", 200_000), "exceeded max depth"},
		"deeper than us":  {job + strings.Repeat("[", 200) + strings.Repeat("]", 200), depthMessage},
		"JSON lists":      {`{"jobs":[{"payload":` + strings.Repeat("[", 200_000), depthMessage},
		"JSON skipped":    {`{"x":` + strings.Repeat(`{"a":`, 200_000), "x: unknown field"},
		"alias bomb":      {bomb, "aliases stand for more than"},
		"alias of itself": {job + "&a [*a]\n", "nested deeper"},
		"large YAML":      {job + strings.Repeat("x", YAMLBytesMax), "submit it as JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(c.body))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %.300v, want %s", err, c.want)
			}
		})
	}
}
