package fsm

import (
	"strings"
	"testing"
	"time"
)

// limitsBut are the default limits with a change.
func limitsBut(change func(*Limits)) SetLimits {
	l := DefaultLimits()
	change(&l)
	return SetLimits{Limits: l}
}

// parts are those of a request in two parts: a and b, then c, which needs a. What comes of it is asked of commit.
type parts struct {
	begin       BeginSubmit
	first, rest SubmitPart
	commit      CommitSubmit
}

func newParts() parts {
	return parts{
		BeginSubmit{Upload: 1, Session: "s", Key: "k", Body: 1, Jobs: 3},
		SubmitPart{Upload: 1, Specs: []JobSpec{simpleSpec()}, Jobs: []JobEntry{{Name: "a"}, {Name: "b"}}},
		SubmitPart{Upload: 1, Part: 1, Jobs: []JobEntry{{Name: "c", Needs: []Need{{Job: 0}}}}},
		CommitSubmit{Upload: 1, Parts: 2},
	}
}

func (p parts) beginBut(change func(*BeginSubmit)) BeginSubmit {
	c := p.begin
	change(&c)
	return c
}

// restBut is the second part with another job.
func (p parts) restBut(j ...JobEntry) SubmitPart {
	return SubmitPart{Upload: 1, Part: 1, Jobs: j}
}

func TestBeginSubmitIsRefused(t *testing.T) {
	p := newParts()
	taken := oneJob("k")
	taken.Body = 2
	long := strings.Repeat("x", nameBytesMax+1)
	for name, test := range map[string]struct {
		before []Command
		begin  BeginSubmit
		code   Code
	}{
		"a name that is in use":     {[]Command{p.begin}, p.beginBut(func(c *BeginSubmit) { c.Key = "other" }), CodeConflict},
		"too many at a time":        {[]Command{limitsBut(func(l *Limits) { l.Uploads = 1 }), p.begin}, p.beginBut(func(c *BeginSubmit) { c.Upload = 2 }), CodeLimit},
		"a key of another body":     {[]Command{taken}, p.begin, CodeConflict},
		"a session that is closed":  {[]Command{OpenSession{Name: "s"}, CloseSession{ID: 1}}, p.begin, CodeConflict},
		"too many sessions":         {[]Command{limitsBut(func(l *Limits) { l.Sessions = 1 }), OpenSession{Name: "other"}}, p.begin, CodeLimit},
		"no jobs":                   {nil, p.beginBut(func(c *BeginSubmit) { c.Jobs = 0 }), CodeInvalid},
		"too many jobs":             {[]Command{limitsBut(func(l *Limits) { l.Jobs = 2 })}, p.begin, CodeLimit},
		"too many jobs with others": {[]Command{limitsBut(func(l *Limits) { l.LiveJobs = 3 }), oneJob("other")}, p.begin, CodeLimit},
		"a key too long":            {nil, p.beginBut(func(c *BeginSubmit) { c.Key = long }), CodeLimit},
		"too many keys":             {[]Command{limitsBut(func(l *Limits) { l.Keys = 1 }), oneJob("other")}, p.begin, CodeLimit},
		"an unknown on_failure":     {nil, p.beginBut(func(c *BeginSubmit) { c.OnFailure = StopRequest + 1 }), CodeInvalid},
		"a name that is no text":    {nil, p.beginBut(func(c *BeginSubmit) { c.Name = "\xff" }), CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSaga()
			s.must(t, test.before...)
			sum, uploads := s.m.db.sum, s.m.db.uploads.byID.Len()
			if a := s.do(t, test.begin); codeOf(a) != test.code {
				t.Errorf("answered %+v, want %s", a, test.code)
			}
			if s.m.db.sum != sum || s.m.db.uploads.byID.Len() != uploads {
				t.Error("it changed the state")
			}
			s.replay(t)
		})
	}
}

func TestBeginSubmitOfAKnownKey(t *testing.T) {
	p := newParts()
	known := oneJob("k")
	known.Body = p.begin.Body
	s := newSaga()
	first := s.must(t, known).(RequestSubmitted)
	if again, ok := s.must(t, p.begin).(RequestSubmitted); !ok || !again.Repeat || again.ID != first.ID || s.m.db.uploads.byID.Len() != 0 {
		t.Errorf("answered %+v, first %+v", again, first)
	}
	s.replay(t)
}

// TestSubmitPartIsRefused refuses a second part, and takes the right one afterwards: a refusal leaves nothing behind.
func TestSubmitPartIsRefused(t *testing.T) {
	p := newParts()
	needs := func(jobs ...uint32) (list []Need) {
		for _, j := range jobs {
			list = append(list, Need{Job: j})
		}
		return list
	}
	large := simpleSpec()
	large.Dir = strings.Repeat("x", 100)
	for name, test := range map[string]struct {
		limits func(*Limits)
		part   SubmitPart
		code   Code
	}{
		"of nothing":                      {nil, SubmitPart{Upload: 2}, CodeNotFound},
		"the one before again":            {nil, p.first, CodeConflict},
		"with a gap":                      {nil, SubmitPart{Upload: 1, Part: 2}, CodeConflict},
		"more jobs than announced":        {nil, p.restBut(JobEntry{Name: "c"}, JobEntry{Name: "d"}), CodeInvalid},
		"too many specs":                  {func(l *Limits) { l.Jobs = 3 }, SubmitPart{Upload: 1, Part: 1, Specs: []JobSpec{simpleSpec(), simpleSpec(), simpleSpec()}}, CodeLimit},
		"too many bytes":                  {func(l *Limits) { l.UploadBytes = 4 * jobBytes }, p.restBut(JobEntry{Name: "c", Payload: make([]byte, jobBytes)}), CodeLimit},
		"a spec without work":             {nil, SubmitPart{Upload: 1, Part: 1, Specs: []JobSpec{{Queue: "default", Slots: 1}}}, CodeInvalid},
		"a spec too large":                {func(l *Limits) { l.SpecBytes = 50 }, SubmitPart{Upload: 1, Part: 1, Specs: []JobSpec{large}}, CodeLimit},
		"a job of a spec that is to come": {nil, p.restBut(JobEntry{Name: "c", Spec: 1}), CodeInvalid},
		"a job without a name":            {nil, p.restBut(JobEntry{}), CodeInvalid},
		"a job's name of a part before":   {nil, p.restBut(JobEntry{Name: "a"}), CodeInvalid},
		"a job's name twice":              {func(l *Limits) { l.Jobs = 9 }, SubmitPart{Upload: 3, Part: 1, Jobs: []JobEntry{{Name: "c"}, {Name: "c"}}}, CodeInvalid},
		"a payload too large":             {func(l *Limits) { l.PayloadBytes = 9 }, p.restBut(JobEntry{Name: "c", Payload: make([]byte, 10)}), CodeLimit},
		"too many needs":                  {func(l *Limits) { l.Needs = 1 }, p.restBut(JobEntry{Name: "c", Needs: needs(0, 1)}), CodeLimit},
		"too many needs together":         {func(l *Limits) { l.Edges = 1 }, p.restBut(JobEntry{Name: "c", Needs: needs(0, 1)}), CodeLimit},
		"a need of itself":                {nil, p.restBut(JobEntry{Name: "c", Needs: needs(2)}), CodeInvalid},
		"a need of what is to come":       {nil, p.restBut(JobEntry{Name: "c", Needs: needs(3)}), CodeInvalid},
		"a need twice":                    {nil, p.restBut(JobEntry{Name: "c", Needs: needs(0, 0)}), CodeInvalid},
		"a need on no known condition":    {nil, p.restBut(JobEntry{Name: "c", Needs: []Need{{When: 99}}}), CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSaga()
			s.must(t, p.begin, p.first)
			// Another of four jobs, so that two jobs of a part are not too many.
			s.must(t, BeginSubmit{Upload: 3, Session: "s", Jobs: 4}, SubmitPart{Upload: 3, Specs: []JobSpec{simpleSpec()}})
			if test.limits != nil {
				s.must(t, limitsBut(test.limits))
			}
			sum := s.m.db.sum
			if a := s.do(t, test.part); codeOf(a) != test.code {
				t.Errorf("answered %+v, want %s", a, test.code)
			}
			if s.m.db.sum != sum {
				t.Error("it changed the state")
			}
			s.must(t, SetLimits{Limits: DefaultLimits()}, p.rest)
			if r := s.must(t, p.commit).(RequestSubmitted); r.Repeat || r.Jobs != 3 {
				t.Errorf("submitted %+v", r)
			}
			s.must(t, SubmitPart{Upload: 3, Part: 1, Jobs: []JobEntry{{Name: "c"}, {Name: "d"}}})
			s.replay(t)
		})
	}
}

func TestCommitSubmitIsRefused(t *testing.T) {
	p := newParts()
	taken := oneJob("k")
	taken.Body = 2
	for name, test := range map[string]struct {
		before []Command
		commit CommitSubmit
		code   Code
	}{
		"of nothing":                       {nil, p.commit, CodeNotFound},
		"without a part that came":         {[]Command{p.begin, p.first, p.rest}, CommitSubmit{Upload: 1, Parts: 1}, CodeConflict},
		"with a part that did not come":    {[]Command{p.begin, p.first, p.rest}, CommitSubmit{Upload: 1, Parts: 3}, CodeConflict},
		"too few jobs":                     {[]Command{p.begin, p.first}, CommitSubmit{Upload: 1, Parts: 1}, CodeInvalid},
		"its key was used meanwhile":       {[]Command{p.begin, p.first, p.rest, taken}, p.commit, CodeConflict},
		"its session was closed meanwhile": {[]Command{OpenSession{Name: "s"}, p.begin, p.first, p.rest, CloseSession{ID: 1}}, p.commit, CodeConflict},
		"too many jobs came meanwhile":     {[]Command{p.begin, p.first, p.rest, oneJob("other"), limitsBut(func(l *Limits) { l.LiveJobs = 3 })}, p.commit, CodeLimit},
		"it was dropped":                   {[]Command{p.begin, p.first, p.rest, DropSubmit{Upload: 1}}, p.commit, CodeNotFound},
		"its parts came too long ago": {
			[]Command{p.begin, p.first, p.rest, limitsBut(func(l *Limits) { l.UploadFor = time.Millisecond }), Tick{Term: 1}}, p.commit, CodeNotFound,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSaga()
			s.must(t, test.before...)
			sum, before := s.m.db.sum, s.m.View().Totals()
			if a := s.do(t, test.commit); codeOf(a) != test.code {
				t.Errorf("answered %+v, want %s", a, test.code)
			}
			if s.m.db.sum != sum || s.m.View().Totals() != before {
				t.Error("it changed the state")
			}
			s.replay(t)
		})
	}
}

// TestCommitSubmitOfAKnownKey: who handed the same in twice at a time gets one request.
func TestCommitSubmitOfAKnownKey(t *testing.T) {
	p := newParts()
	s := newSaga()
	whole := SubmitRequest{Session: "s", Key: "k", Body: 1, Specs: p.first.Specs, Jobs: append(append([]JobEntry(nil), p.first.Jobs...), p.rest.Jobs...)}
	s.must(t, p.begin, p.first, p.rest)
	first := s.must(t, whole).(RequestSubmitted)
	if again := s.must(t, p.commit).(RequestSubmitted); !again.Repeat || again.ID != first.ID || s.m.db.uploads.byID.Len() != 0 {
		t.Errorf("answered %+v, first %+v, %d uploads left", again, first, s.m.db.uploads.byID.Len())
	}
	s.replay(t)
}

// TestUploadsEndWithTheirLeadership: the next leader's first entry forgets what the last one's Tasker had begun.
func TestUploadsEndWithTheirLeadership(t *testing.T) {
	p := newParts()
	s := newSaga()
	s.must(t, p.begin, p.first)
	if at, ok := s.m.NextDeadline(); !ok || at != s.m.Now()+int64(DefaultLimits().UploadFor) {
		t.Errorf("it is to be forgotten at %d, %v", at, ok)
	}
	answers, err := s.m.Apply(s.m.Index()+1, 2, NewEntry(s.m.Now(), Encode(p.rest)))
	if err != nil || codeOf(answers[0]) != CodeNotFound {
		t.Errorf("a part to the next leader was answered %+v, %v", answers, err)
	}
	if _, ok := s.m.NextDeadline(); ok || s.m.db.uploads.byID.Len() != 0 || s.m.db.uploads.bytes != 0 || s.m.db.uploads.jobs != 0 {
		t.Errorf("it was not forgotten: %+v", s.m.db.uploads)
	}
}
