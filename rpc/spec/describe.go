package spec

import "reflect"

// descriptions are what an editor shows beside each field.
var descriptions = map[string]string{
	"RequestSpec":            "A request: jobs, and which of them wait on which.",
	"RequestSpec.Name":       "Name of the request, shown to people.",
	"RequestSpec.Session":    "Name of the session it belongs to, opened if absent. Default: default.",
	"RequestSpec.MaxRunning": "Jobs of this request picked or running at once. 0, the default: no limit.",
	"RequestSpec.OnFailure":  "What a failed job does: cancel (its dependents only, the default) or stop (the whole request).",
	"RequestSpec.Hold":       "Keep its jobs from workers until it is resumed. Default: false.",
	"RequestSpec.Jobs":       "The jobs.",
	"JobSpec":                "A job: exactly one of command, shell and handler, and where and when it may run.",
	"JobSpec.Name":           "Name of the job, unique in its request.",
	"JobSpec.Needs":          "Jobs that must end well before this one may run, or fail (when: failed), or end in any way (when: ended).",
	"JobSpec.NeedsAny":       "Jobs of which one must end well before this one may run, or fail (when: failed), or end in any way (when: ended).",
	"JobSpec.Payload":        "Any value; the job finds it in the file $MUSTER_INPUT.",
	"Work.Command":           "Program and arguments, run without a shell.",
	"Work.Shell":             "Script for /bin/sh -c.",
	"Work.Handler":           "Name of a Go handler of the worker.",
	"Work.Env":               "Environment variables, beside those of the worker.",
	"Work.Dir":               "Working directory. A relative path starts at the worker's own.",
	"Work.Queue":             "Queue; a worker that serves it takes the job. Default: default.",
	"Work.Labels":            "Labels that the worker must carry.",
	"Work.Slots":             "Slots that it takes of the worker's. Default: 1.",
	"Work.Priority":          "Higher first, among the ready jobs of a queue. Default: 0.",
	"Work.Timeout":           "Longest run of one attempt, such as 10m. Default: none.",
	"Work.StartAfter":        "Delay after its needs are met, such as 30s, or a time (RFC 3339) before which it does not start.",
	"Work.Retry":             "How a failed attempt is repeated. Default: not at all.",
	"Work.LostLimit":         "How many lost workers the job survives. Default: 5.",
	"Retry":                  "How often and when a failed attempt is repeated.",
	"Retry.Limit":            "Further attempts after a failed one.",
	"Retry.Backoff":          "Delay before the first of them. Default: 1s.",
	"Retry.Factor":           "Each next delay is the last one times this. Default: 2.",
	"Retry.Max":              "No delay is longer; 0s: no cap. Default: 1m.",
	"Retry.Never":            "Exit codes that are not retried.",
}

func describe(t reflect.Type, field string) string {
	if field == "" {
		return descriptions[t.Name()]
	}
	return descriptions[t.Name()+"."+field]
}
