package api

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/fsm"
)

const (
	pageDefault = 1000
	pageMax     = 10_000
	// pageBytesTarget closes a page: the item that reaches it is the last.
	pageBytesTarget = 8 << 20
)

// Parameters of queries.
const (
	paramConsistency = "consistency"
	paramLimit       = "limit"
	paramAfter       = "after"
	paramState       = "state"
	paramSession     = "session"
	paramRequest     = "request"
	paramFrom        = "from"
	paramStream      = "stream"
	paramAttempt     = "attempt"
	paramOffset      = "offset"
	paramFollow      = "follow"
	paramForce       = "force"
)

// checkParams refuses parameters that the route does not have: a mistyped filter must not select everything.
func checkParams(q url.Values, rt route) error {
	for name, values := range q {
		if !rt.has(name) {
			return invalid("unknown parameter %.40q", name)
		}
		if len(values) > 1 {
			return invalid("parameter %s is given %d times", name, len(values))
		}
	}
	return nil
}

func consistencyOf(r *http.Request) (cluster.Consistency, error) {
	switch c := r.URL.Query().Get(paramConsistency); c {
	case "", "linearizable":
		return cluster.Linearizable, nil
	case "stale":
		return cluster.Stale, nil
	default:
		return 0, invalid("consistency %.40q: use linearizable (the default) or stale", c)
	}
}

func limitOf(q url.Values) (int, error) {
	s := q.Get(paramLimit)
	if s == "" {
		return pageDefault, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, invalid("limit %.40q: give a number from 1 to %d", s, pageMax)
	}
	return min(n, pageMax), nil
}

// afterOf reads the place where the last page ended.
func afterOf[ID any](q url.Values, parse func(string) (ID, error)) (id ID, ok bool, err error) {
	s := q.Get(paramAfter)
	if s == "" {
		return id, false, nil
	}
	id, err = parse(s)
	if err != nil {
		return id, false, invalid("after: %v", err)
	}
	return id, true, nil
}

func stateOf(q url.Values) (state fsm.State, ok bool, err error) {
	s := q.Get(paramState)
	if s == "" {
		return 0, false, nil
	}
	state, ok = fsm.ParseState(s)
	if !ok {
		return 0, false, invalid("state %.40q: use waiting, ready, delayed, picked, running, done, failed or cancelled", s)
	}
	return state, true, nil
}

// number reads a parameter of at most bits bits. It is 0 when absent.
func number(q url.Values, name string, bits int) (uint64, error) {
	s := q.Get(name)
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 10, bits)
	if err != nil {
		return 0, invalid("%s %.40q is not a number that fits", name, s)
	}
	return n, nil
}

// flag reads a parameter that is true, false or absent.
func flag(q url.Values, name string) (bool, error) {
	if !q.Has(name) {
		return false, nil
	}
	s := q.Get(name)
	if s == "" { // "?follow"
		return true, nil
	}
	b, err := strconv.ParseBool(s)
	if err != nil {
		return false, invalid("%s %.40q: use true or false", name, s)
	}
	return b, nil
}

// pathID reads the id in a path; what is not an id names nothing.
func pathID[ID any](r *http.Request, what string, parse func(string) (ID, error)) (ID, error) {
	s := r.PathValue("id")
	id, err := parse(s)
	if err != nil {
		return id, notFound(what, s)
	}
	return id, nil
}
