package main

import (
	"testing"
)

func TestSubjectsAreChosenByName(t *testing.T) {
	all := subjects("muster")
	names := func(list []subject) (n []string) {
		for _, s := range list {
			n = append(n, s.name)
		}
		return n
	}
	for _, c := range []struct {
		names []string
		want  int
	}{{nil, len(all)}, {[]string{"nats", "muster"}, 3}, {[]string{"ceilings"}, 5}, {[]string{"fsync", "fsync"}, 1}} {
		got, err := choose(all, c.names)
		if err != nil || len(got) != c.want {
			t.Errorf("%v: %v %v, want %d", c.names, names(got), err, c.want)
		}
	}
	if _, err := choose(all, []string{"oracle"}); err == nil {
		t.Error("an unknown name was accepted")
	}
	for group, members := range groups {
		if got, err := choose(all, []string{group}); err != nil || len(got) != len(members) {
			t.Errorf("%s: %v %v", group, names(got), err)
		}
	}
}
