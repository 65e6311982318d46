package spec

import (
	"slices"
	"strings"

	"github.com/musterhq/muster/rpc/rest"
)

// requestDecoder fills a rest.RequestSpec. Beside each job it keeps the places that checkGraph needs.
type requestDecoder struct {
	decoder
	spec   rest.RequestSpec
	places []jobPlaces
}

// jobPlaces are where a job and its needs stand in the body.
type jobPlaces struct {
	name     place
	needs    []place
	needsAny []place
}

// requestFields are the fields of a request. What later versions know is named so that it can be told from a typo.
var (
	requestFields = []string{"name", "session", "max_running", "on_failure", "hold", "jobs"}
	requestLater  = []string{"cron", "schedule", "limits", "defaults"}
)

func (d *requestDecoder) request() error {
	t, err := d.src.next()
	if err != nil {
		return err
	}
	jobs := false
	err = d.object(t, func(name, value token) error {
		jobs = jobs || name.text == "jobs"
		return d.requestField(name, value)
	})
	if err != nil {
		return err
	}
	if t.kind == objectStart && !jobs {
		if err := d.problem(t.at, "has no jobs: give a list of at least one under \"jobs\""); err != nil {
			return err
		}
	}
	_, err = d.src.next() // what follows the request, if anything
	return err
}

func (d *requestDecoder) requestField(name, value token) error {
	switch name.text {
	case "name":
		return d.title(value, &d.spec.Name)
	case "session":
		return d.title(value, &d.spec.Session)
	case "max_running":
		return d.count(value, 0, CountMax, &d.spec.MaxRunning)
	case "on_failure":
		return d.oneOf(value, &d.spec.OnFailure, "cancel", "stop")
	case "hold":
		return d.truth(value, &d.spec.Hold)
	case "jobs":
		return d.jobs(value)
	}
	return d.unknown(name, value, requestFields, requestLater)
}

func (d *requestDecoder) jobs(t token) error {
	err := d.list(t, func(item token) error {
		d.spec.Jobs = append(d.spec.Jobs, rest.JobSpec{})
		d.places = append(d.places, jobPlaces{name: item.at})
		return d.job(item, len(d.spec.Jobs)-1)
	})
	if err == nil && t.kind == arrayStart && len(d.spec.Jobs) == 0 {
		return d.problem(t.at, "is empty: a request has at least one job")
	}
	return err
}

// unknown refuses a field and says what may have been meant.
func (d *decoder) unknown(name, value token, known, later []string) error {
	var err error
	switch {
	case slices.Contains(later, name.text):
		err = d.problem(name.at, "is not supported yet")
	default:
		if meant := nearest(name.text, known); meant != "" {
			err = d.problem(name.at, "unknown field; did you mean %q?", meant)
		} else {
			err = d.problem(name.at, "unknown field; known are %s", strings.Join(known, ", "))
		}
	}
	if err != nil {
		return err
	}
	return d.skip(value)
}

// count reads a whole number into the 32 bits of the field.
func (d *decoder) count(t token, low, high int64, into *uint32) error {
	n := int64(*into)
	err := d.integer(t, low, high, &n)
	*into = uint32(n)
	return err
}

// truth reads true or false.
func (d *decoder) truth(t token, into *bool) error {
	if t.kind != boolean {
		return d.mismatch(t, "true or false")
	}
	*into = strings.EqualFold(t.text, "true")
	return nil
}

func (d *decoder) oneOf(t token, into *string, words ...string) error {
	var s string
	before := len(d.problems)
	if err := d.text(t, &s); err != nil || len(d.problems) > before {
		return err
	}
	if !slices.Contains(words, s) {
		return d.problem(t.at, "is %q, but must be %s", clip(s), strings.Join(words, " or "))
	}
	*into = s
	return nil
}
