package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/musterhq/muster/rpc/wire"
)

// Why a job's context ended: context.Cause(ctx) is one of these.
var (
	// ErrTimeout is the cause when the job ran longer than its timeout.
	ErrTimeout = errors.New("job ran into its timeout")
	// ErrRevoked is the cause when the attempt is no longer this worker's: the job was cancelled, or this worker was
	// taken for lost and the job went to another. Nothing that it still does counts.
	ErrRevoked = errors.New("attempt was revoked")
	// ErrDraining is the cause when the worker stops and the job did not end within the drain timeout. It goes back
	// on the board, unless it still ends well.
	ErrDraining = errors.New("worker is stopping")
)

// NoIndex is the Index of a job that is not an instance of an array.
const NoIndex = -1

// Job is one attempt of one job, as a handler sees it. A copy is as good as the original.
type Job struct {
	ID      string
	Name    string
	Request string // id of the request that the job belongs to
	Session string // name of the session
	Attempt int    // from 1. (ID, Attempt) is the fencing token for side effects, see Token
	Index   int    // in its array, from 0; NoIndex when there is none
	Payload []byte // JSON, or empty

	parents []wire.Parent
	teller  teller // nil: nobody wants to know
}

// teller takes the progress of an attempt.
type teller interface {
	tell(percent int, text string)
}

// Bind decodes the payload into v, as json.Unmarshal does. A job without a payload leaves v as it is.
func (j Job) Bind(v any) error {
	if len(j.Payload) == 0 {
		return nil
	}
	if err := json.Unmarshal(j.Payload, v); err != nil {
		return fmt.Errorf("payload of job %s: %w", j.Name, err)
	}
	return nil
}

// Parent is the result of the job called name, if this job needs it.
func (j Job) Parent(name string) (Result, bool) {
	for _, p := range j.parents {
		if p.Name == name {
			return Result{data: p.Result, json: p.JSON}, true
		}
	}
	return None, false
}

// Parents are the names of the jobs that this one needs, in the order of its spec.
func (j Job) Parents() []string {
	names := make([]string, len(j.parents))
	for i, p := range j.parents {
		names[i] = p.Name
	}
	return names
}

// Progress tells how far the job is, with an optional text for people. It never blocks and may be called as often
// as one likes: the newest word is sent at a bounded rate.
func (j Job) Progress(percent int, text ...string) {
	if j.teller == nil {
		return
	}
	var note string
	if len(text) > 0 {
		note = cutText(text[0], progressTextMax)
	}
	j.teller.tell(min(max(percent, 0), 100), note)
}

// Token is the fencing token of this attempt: "<job id>/<attempt>". Of two tokens of a job, the one with the higher
// attempt is right: hand it to whatever the job changes outside of muster.
func (j Job) Token() string { return j.ID + "/" + strconv.Itoa(j.Attempt) }

// ResultBytesMax is the largest result of a job.
const ResultBytesMax = 256 << 10

// Result is what a job hands to its dependents and to whoever asked for it. The zero value is None.
type Result struct {
	data []byte
	json bool
	err  error // of JSON; it fails the attempt
}

// None is the result of a job that has none.
var None Result

// JSON is the result v, encoded as JSON. A v that cannot be encoded fails the attempt.
func JSON(v any) Result {
	data, err := json.Marshal(v)
	if err != nil {
		return Result{err: fmt.Errorf("encode result: %w", err)}
	}
	return Result{data: data, json: true}
}

// Bytes is the result b, kept as it is. It must not be changed afterwards.
func Bytes(b []byte) Result { return Result{data: b} }

// IsJSON says whether the result is JSON.
func (r Result) IsJSON() bool { return r.json }

// Bytes are the result's bytes: JSON text if IsJSON. They are not to be changed.
func (r Result) Bytes() []byte { return r.data }

// Bind decodes a JSON result into v.
func (r Result) Bind(v any) error {
	if !r.json {
		return errors.New("result is not JSON: read its Bytes")
	}
	return json.Unmarshal(r.data, v)
}

// permanent marks an error that no retry can mend.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Permanent marks err as one that a retry cannot mend: the job fails at once, whatever retries it has left.
// Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

func isPermanent(err error) bool {
	var p permanent
	return errors.As(err, &p)
}
