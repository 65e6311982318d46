package history

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// at is an operation from call to end; end 0: nobody heard of it.
func at(call, end int64, in Input, out Output) *Op {
	if end == 0 {
		return &Op{Client: "x", Call: call, Return: Never, Input: in, Output: Output{Code: Unknown}}
	}
	return &Op{Client: "x", Call: call, Return: end, Input: in, Output: out}
}

var (
	submit   = Input{Kind: Submit, Request: "k", Body: 1}
	other    = Input{Kind: Submit, Request: "k", Body: 2}
	read     = Input{Kind: Read, Request: "k"}
	cancel   = Input{Kind: Cancel, Request: "k"}
	retry    = Input{Kind: Retry, Request: "k"}
	readJob  = Input{Kind: ReadJob, Request: "r1", Job: "j"}
	ok       = Output{Code: OK}
	no       = Output{Code: Conflict}
	absent   = Output{Code: NotFound}
	stale    = Output{Code: Stale}
	fenced   = Output{Code: Fenced}
	accepted = Output{Code: OK, ID: "r1", State: running}
	again    = Output{Code: OK, ID: "r1", State: running, Repeat: true}
)

func is(state string) Output { return Output{Code: OK, ID: "r1", State: state} }

func pick(worker string, attempt uint32) Input {
	return Input{Kind: Pick, Request: "r1", Job: "j", Worker: worker, Attempt: attempt}
}

func word(kind Kind, worker string, attempt uint32) Input {
	in := pick(worker, attempt)
	in.Kind = kind
	if kind == Done {
		in.Result = worker
	}
	return in
}

func job(state, worker string, attempt uint32) Output {
	out := Output{Code: OK, State: state, Worker: worker, Attempt: attempt}
	if state == done {
		out.Result = worker
	}
	return out
}

var good = map[string][]*Op{
	"a request's life": {
		at(1, 2, read, absent), at(3, 4, submit, accepted), at(5, 6, submit, again), at(7, 8, other, no), at(9, 10, read, is(running)),
		at(11, 12, read, is(failed)), at(13, 14, cancel, no), at(15, 16, retry, ok), at(17, 18, cancel, ok), at(19, 20, cancel, ok), at(21, 22, read, is(cancelled)),
	},
	"an unknown submit that was done late":     {at(1, 0, submit, ok), at(2, 3, read, absent), at(4, 5, read, is(running)), at(6, 7, submit, again)},
	"an unknown submit that was never done":    {at(1, 0, submit, ok), at(2, 3, read, absent), at(4, 5, submit, accepted)},
	"an unknown cancel that was done":          {at(1, 2, submit, accepted), at(3, 0, cancel, ok), at(5, 6, read, is(running)), at(7, 8, read, is(cancelled))},
	"an unknown cancel that came too late":     {at(1, 2, submit, accepted), at(3, 0, cancel, ok), at(5, 6, read, is(done)), at(7, 8, cancel, no)},
	"concurrent submits, either the first":     {at(1, 9, submit, again), at(2, 8, submit, accepted), at(3, 7, read, absent)},
	"a read that overlaps the cancel":          {at(1, 2, submit, accepted), at(3, 9, cancel, ok), at(4, 5, read, is(running)), at(6, 7, read, is(cancelled))},
	"a cancel refused, then the state is read": {at(1, 2, submit, accepted), at(3, 4, cancel, no), at(5, 6, retry, ok), at(7, 8, read, is(running))},
	"a job's life": {
		at(1, 2, readJob, job("ready", "", 0)), at(1, 4, pick("a", 1), ok), at(5, 6, readJob, job(picked, "a", 1)), at(7, 8, word(Start, "a", 1), ok),
		at(9, 10, readJob, job(running, "a", 1)), at(11, 12, word(Done, "a", 1), ok), at(13, 14, word(Done, "a", 1), ok), at(15, 16, readJob, job(done, "a", 1)),
	},
	"a zombie is refused": {
		at(1, 2, pick("a", 1), ok), at(3, 4, word(Start, "a", 1), ok), at(3, 6, pick("b", 2), ok), at(7, 8, word(Done, "a", 1), stale),
		at(9, 10, word(Done, "b", 2), ok), at(11, 12, word(Done, "a", 1), fenced), at(13, 14, readJob, job(done, "b", 2)),
	},
	"a DONE of unknown outcome was in": {at(1, 2, pick("a", 1), ok), at(3, 0, word(Done, "a", 1), ok), at(5, 6, readJob, job(done, "a", 1))},
	"a DONE of unknown outcome was not in": {
		at(1, 2, pick("a", 1), ok), at(3, 0, word(Done, "a", 1), ok), at(3, 6, pick("b", 2), ok), at(7, 8, word(Done, "b", 2), ok), at(9, 10, readJob, job(done, "b", 2)),
	},
	"attempts that nobody heard of": {at(1, 2, readJob, job(picked, "a", 1)), at(3, 4, readJob, job(picked, "b", 3)), at(5, 6, readJob, job(failed, "c", 5))},
	"failed, then tried again": {
		at(1, 2, pick("a", 1), ok), at(3, 4, word(Failed, "a", 1), ok), at(5, 6, word(Failed, "a", 1), ok), at(7, 8, readJob, job("delayed", "a", 1)), at(7, 10, pick("a", 2), ok),
	},
	"handed out again to its holder": {
		at(1, 2, pick("a", 1), ok), at(3, 0, word(Start, "a", 1), ok), at(1, 6, pick("a", 1), ok), at(7, 8, word(Start, "a", 1), ok), at(9, 10, word(Done, "a", 1), ok),
	},
	"cancelled and retried": {
		at(1, 2, submit, accepted), at(1, 2, pick("a", 1), ok), at(3, 4, cancel, ok), at(5, 6, readJob, job(cancelled, "a", 1)), at(7, 8, word(Done, "a", 1), stale),
		at(9, 10, retry, ok), at(9, 12, pick("b", 2), ok), at(13, 14, word(Done, "b", 2), ok),
	},
}

var bad = map[string][]*Op{
	"an acknowledged submit is missing":        {at(1, 2, submit, accepted), at(3, 4, read, absent)},
	"a submit acknowledged, then forgotten":    {at(1, 2, submit, accepted), at(3, 4, submit, accepted)},
	"one key, two requests":                    {at(1, 2, submit, accepted), at(3, 4, submit, Output{Code: OK, ID: "r2", State: running, Repeat: true})},
	"one key, two bodies":                      {at(1, 2, submit, accepted), at(3, 4, other, again)},
	"a repeat of nothing":                      {at(1, 2, submit, again)},
	"a conflict with nothing":                  {at(1, 2, other, no)},
	"a request that nobody submitted":          {at(1, 2, read, is(running))},
	"a read from before the end":               {at(1, 2, submit, accepted), at(3, 4, read, is(done)), at(5, 6, read, is(running))},
	"a read from before the cancel":            {at(1, 2, submit, accepted), at(3, 4, cancel, ok), at(5, 6, read, is(running))},
	"ended in two ways":                        {at(1, 2, submit, accepted), at(3, 4, read, is(done)), at(5, 6, read, is(failed))},
	"cancelled by nobody":                      {at(1, 2, submit, accepted), at(3, 4, read, is(cancelled))},
	"a cancel of what had ended":               {at(1, 2, submit, accepted), at(3, 4, read, is(done)), at(5, 6, cancel, ok)},
	"a cancel refused, and cancelled":          {at(1, 2, submit, accepted), at(3, 4, cancel, ok), at(5, 6, cancel, no)},
	"a retry of what is done":                  {at(1, 2, submit, accepted), at(3, 4, read, is(done)), at(5, 6, retry, ok)},
	"a retry refused of what failed":           {at(1, 2, submit, accepted), at(3, 4, read, is(failed)), at(5, 6, retry, no)},
	"an unknown submit seen, then gone":        {at(1, 0, submit, ok), at(2, 3, read, is(running)), at(4, 5, read, absent)},
	"a stale attempt's DONE":                   {at(1, 2, pick("a", 1), ok), at(1, 4, pick("b", 2), ok), at(5, 6, word(Done, "a", 1), ok)},
	"a stale attempt's START":                  {at(1, 2, pick("a", 1), ok), at(1, 4, pick("b", 2), ok), at(5, 6, word(Start, "a", 1), ok)},
	"a stale attempt's FAILED":                 {at(1, 2, pick("a", 1), ok), at(1, 4, pick("b", 2), ok), at(5, 6, word(Failed, "a", 1), ok)},
	"DONE of an attempt refused before":        {at(1, 2, pick("a", 1), ok), at(3, 4, word(Start, "a", 1), stale), at(5, 6, word(Done, "a", 1), ok)},
	"DONE by whom it was not granted":          {at(1, 2, pick("a", 1), ok), at(3, 4, word(Done, "b", 1), ok)},
	"DONE twice, by two":                       {at(1, 2, pick("a", 1), ok), at(1, 3, pick("b", 2), ok), at(1, 9, word(Done, "a", 1), ok), at(1, 9, word(Done, "b", 2), ok)},
	"one attempt granted twice":                {at(1, 2, pick("a", 1), ok), at(1, 4, pick("b", 1), ok)},
	"handed out again after its end":           {at(1, 2, pick("a", 1), ok), at(3, 4, word(Done, "a", 1), ok), at(5, 6, pick("a", 1), ok)},
	"handed out again after another had it":    {at(1, 2, pick("a", 1), ok), at(3, 4, pick("b", 2), ok), at(5, 6, pick("a", 1), ok)},
	"granted after it was done":                {at(1, 2, pick("a", 1), ok), at(3, 4, word(Done, "a", 1), ok), at(5, 6, pick("b", 2), ok)},
	"granted after its request was cancelled":  {at(1, 2, submit, accepted), at(3, 4, cancel, ok), at(5, 6, pick("a", 1), ok)},
	"DONE after its request was cancelled":     {at(1, 2, submit, accepted), at(1, 2, pick("a", 1), ok), at(3, 4, cancel, ok), at(5, 6, word(Done, "a", 1), ok)},
	"DONE acknowledged, and read as running":   {at(1, 2, pick("a", 1), ok), at(3, 4, word(Start, "a", 1), ok), at(5, 6, word(Done, "a", 1), ok), at(7, 8, readJob, job(running, "a", 1))},
	"START acknowledged, and read as picked":   {at(1, 2, pick("a", 1), ok), at(3, 4, word(Start, "a", 1), ok), at(5, 6, readJob, job(picked, "a", 1))},
	"done by nobody":                           {at(1, 2, pick("a", 1), ok), at(3, 4, readJob, job(done, "a", 1))},
	"running without START":                    {at(1, 2, pick("a", 1), ok), at(3, 4, readJob, job(running, "a", 1))},
	"another's result":                         {at(1, 2, pick("a", 1), ok), at(3, 4, word(Done, "a", 1), ok), at(5, 6, readJob, job(done, "b", 1))},
	"DONE refused of what it has done":         {at(1, 2, pick("a", 1), ok), at(3, 4, word(Done, "a", 1), ok), at(5, 6, word(Done, "a", 1), stale)},
	"attempts that count down":                 {at(1, 2, readJob, job(picked, "b", 2)), at(3, 4, readJob, job(picked, "a", 1))},
	"a job that comes back from the dead":      {at(1, 2, readJob, job(cancelled, "", 0)), at(3, 4, readJob, job("ready", "", 0))},
	"a job cancelled and then failed":          {at(1, 2, readJob, job(cancelled, "a", 1)), at(3, 4, readJob, job(failed, "a", 1))},
	"a FAILED attempt that runs on":            {at(1, 2, pick("a", 1), ok), at(3, 4, word(Failed, "a", 1), ok), at(5, 6, readJob, job(picked, "a", 1))},
	"an attempt given back that was then done": {at(1, 2, pick("a", 1), ok), at(3, 4, word(Return, "a", 1), ok), at(5, 6, word(Done, "a", 1), ok)},
}

func TestGoodHistories(t *testing.T) {
	for name, ops := range good {
		if v := Check(ops, Options{}); len(v.Failures) > 0 {
			t.Errorf("%s: %s", name, strings.Join(v.Failures, "\n"))
		}
	}
}

func TestBadHistories(t *testing.T) {
	for name, ops := range bad {
		v := Check(ops, Options{})
		if len(v.Failures) != 1 || !strings.Contains(v.Failures[0], "not linearizable") {
			t.Errorf("%s: %v", name, v.Failures)
		}
	}
}

func TestStrangersMayDoWhatNobodyReports(t *testing.T) {
	ops := []*Op{at(1, 2, readJob, job(running, "a", 1)), at(3, 4, readJob, job(running, "b", 2)), at(5, 6, readJob, job(done, "b", 2))}
	if v := Check(ops, Options{Strangers: func(request string) bool { return request == "r1" }}); len(v.Failures) > 0 {
		t.Error(v.Failures)
	}
	if v := Check(ops, Options{Strangers: func(string) bool { return false }}); len(v.Failures) != 1 {
		t.Error("found right although nobody said START or DONE")
	}
	ops = append(ops, at(7, 8, readJob, job(done, "c", 2)))
	if v := Check(ops, Options{Strangers: func(string) bool { return true }}); len(v.Failures) != 1 {
		t.Error("one job done by two was found right")
	}
}

// ending is a running request whose end is settled.
func ending(state string) Output { return Output{Code: OK, ID: "r1", State: running, Ending: state} }

func TestWhatIsDoneInSteps(t *testing.T) {
	begin, cancelled1 := at(1, 2, submit, accepted), at(3, 4, cancel, ok)
	first := at(1, 2, pick("a", 1), ok)
	for name, c := range map[string]struct {
		ops         []*Op
		steps, once bool // whether it is right
	}{
		"cancelled and about to end":              {[]*Op{begin, cancelled1, at(5, 6, read, ending(cancelled)), at(7, 8, read, is(cancelled))}, true, true},
		"about to end after its end":              {[]*Op{begin, cancelled1, at(5, 6, read, is(cancelled)), at(7, 8, read, ending(cancelled))}, false, false},
		"cancelled and runs":                      {[]*Op{begin, cancelled1, at(5, 6, read, is(running))}, false, false},
		"a submit finds it running":               {[]*Op{begin, cancelled1, at(5, 6, submit, again)}, true, false},
		"a submit finds it running, it has ended": {[]*Op{begin, cancelled1, at(5, 6, read, is(cancelled)), at(7, 8, submit, again)}, false, false},
		"a retry too early":                       {[]*Op{begin, cancelled1, at(5, 6, retry, no), at(7, 8, read, is(cancelled)), at(9, 10, retry, ok), at(11, 12, read, is(running))}, true, false},
		"a retry refused after the end":           {[]*Op{begin, cancelled1, at(5, 6, read, is(cancelled)), at(7, 8, retry, no)}, false, false},
		"about to fail, and not to be cancelled":  {[]*Op{begin, at(3, 4, read, ending(failed)), at(5, 6, cancel, no), at(7, 8, read, is(failed))}, true, true},
		"about to fail, and done":                 {[]*Op{begin, at(3, 4, read, ending(failed)), at(5, 6, read, is(done))}, false, false},
		"a job goes on a while":                   {[]*Op{begin, first, cancelled1, at(5, 6, readJob, job(picked, "a", 1)), at(7, 8, readJob, job(cancelled, "a", 1))}, true, false},
		"a job goes on after its end":             {[]*Op{begin, first, cancelled1, at(5, 6, readJob, job(cancelled, "a", 1)), at(7, 8, readJob, job(picked, "a", 1))}, false, false},
		"a job is picked after all":               {[]*Op{begin, cancelled1, at(5, 6, readJob, job("ready", "", 0)), at(7, 8, pick("a", 1), ok)}, false, false},
		"a job is revived late": {[]*Op{begin, first, at(3, 4, word(Failed, "a", 1), ok), at(5, 6, read, is(failed)), at(7, 8, retry, ok),
			at(9, 10, readJob, job(failed, "a", 1)), at(11, 12, pick("b", 2), ok)}, true, false},
		"a job that failed goes on without a retry": {[]*Op{begin, first, at(3, 4, word(Failed, "a", 1), ok), at(5, 6, readJob, job(failed, "a", 1)), at(7, 8, pick("b", 2), ok)}, false, false},
	} {
		for steps, want := range map[bool]bool{true: c.steps, false: c.once} {
			if v := Check(c.ops, Options{Steps: steps}); (len(v.Failures) == 0) != want {
				t.Errorf("%s, in steps %v: %v", name, steps, v.Failures)
			}
		}
	}
}

func TestReadsDoNotGoBack(t *testing.T) {
	for name, c := range map[string]struct {
		list []Seen
		ok   bool
	}{
		"in order":                      {[]Seen{{Call: 1, Return: 2, Index: 5}, {Call: 3, Return: 4, Index: 5}, {Call: 5, Return: 6, Index: 9}}, true},
		"back":                          {[]Seen{{Call: 1, Return: 2, Index: 5, Node: "a"}, {Call: 3, Return: 4, Index: 4, Node: "b"}}, false},
		"concurrent":                    {[]Seen{{Call: 1, Return: 5, Index: 5}, {Call: 3, Return: 4, Index: 4}}, true},
		"back behind a concurrent one":  {[]Seen{{Call: 1, Return: 2, Index: 7}, {Call: 1, Return: 9, Index: 3}, {Call: 5, Return: 6, Index: 6}}, false},
		"stale ones of two nodes":       {[]Seen{{Call: 1, Return: 2, Index: 5, Node: "a", Stale: true}, {Call: 3, Return: 4, Index: 4, Node: "b", Stale: true}}, true},
		"stale ones of one go back":     {[]Seen{{Call: 1, Return: 2, Index: 5, Node: "a", Stale: true}, {Call: 3, Return: 4, Index: 4, Node: "a", Stale: true}}, false},
		"a stale one behind a true one": {[]Seen{{Call: 1, Return: 2, Index: 5, Node: "a"}, {Call: 3, Return: 4, Index: 4, Node: "a", Stale: true}}, true},
	} {
		if got := CheckReads(c.list); (len(got) == 0) != c.ok {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestASearchThatDoesNotEndIsAFailure: many concurrent operations of unknown outcome and a contradiction at the end.
func TestASearchThatDoesNotEndIsAFailure(t *testing.T) {
	ops := []*Op{at(1, 2, submit, accepted)}
	for range 40 {
		ops = append(ops, at(3, 0, cancel, ok), at(3, 0, retry, ok))
	}
	ops = append(ops, at(4, 5, read, absent))
	v := Check(ops, Options{Limit: time.Millisecond})
	if len(v.Failures) != 1 || !strings.Contains(v.Failures[0], "not judged within 1ms") {
		t.Error(v.Failures)
	}
}

// TestWordsSaidAgainCostNothing: what is said again for want of an answer must not make the search endless.
func TestWordsSaidAgainCostNothing(t *testing.T) {
	ops := []*Op{at(1, 2, submit, accepted), at(1, 2, pick("a", 1), ok)}
	for i := range int64(60) {
		ops = append(ops, at(3+i, 0, word(Start, "a", 1), ok), at(3+i, 0, word(Done, "a", 1), ok), at(3+i, 0, cancel, ok), at(3+i, 0, submit, ok))
	}
	ops = append(ops, at(100, 101, readJob, job(picked, "a", 1)), at(102, 103, readJob, job(running, "a", 1)))
	if v := Check(ops, Options{}); len(v.Failures) > 0 {
		t.Error(v.Failures)
	}
	ops = append(ops, at(104, 105, readJob, job(picked, "a", 1)))
	if v := Check(ops, Options{}); len(v.Failures) != 1 || !strings.Contains(v.Failures[0], "not linearizable") {
		t.Error(v.Failures)
	}
}

// TestThinKeepsOneCancelForEachRetry: a second cancel of unknown outcome may matter after a retry.
func TestThinKeepsOneCancelForEachRetry(t *testing.T) {
	ops := []*Op{
		at(1, 2, submit, accepted), at(3, 0, cancel, ok), at(3, 0, cancel, ok), at(3, 0, cancel, ok), at(4, 5, read, is(cancelled)),
		at(6, 7, retry, ok), at(8, 9, read, is(cancelled)),
	}
	if v := Check(ops, Options{}); len(v.Failures) > 0 {
		t.Error(v.Failures)
	}
	if n := len(thin(ops)); n != len(ops)-1 {
		t.Errorf("%d of %d are left", n, len(ops))
	}
}

func TestAFailureIsDrawnAndKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kept")
	v := Check(bad["an acknowledged submit is missing"], Options{Dir: dir})
	text := strings.Join(v.Failures, "\n")
	for file, wants := range map[string]string{"request-k.html": "<html", "history.jsonl": `"Kind":"submit"`} {
		path := filepath.Join(dir, file)
		content, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(content), wants) || !strings.Contains(text, path) {
			t.Errorf("%s: %v, named in %q", path, err, text)
		}
	}
}

func TestRecorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRecorder()
		first := r.Begin("m", submit)
		lost := r.Begin("m", cancel)
		r.Begin("m", read).Unknown()
		time.Sleep(time.Second)
		first.Return(accepted)
		lost.Unknown()
		r.Saw(Seen{Call: r.Now(), Index: 3})
		ops := r.Ops()
		if len(ops) != 2 || ops[0].Return-ops[0].Call < int64(time.Second)-10 || ops[1].Return != Never || ops[1].Output.Code != Unknown {
			t.Errorf("%v", ops)
		}
		if ops[0].Call == ops[1].Call || len(r.Reads()) != 1 || r.Reads()[0].Return <= r.Reads()[0].Call {
			t.Errorf("%v %v", ops, r.Reads())
		}
	})
}
