package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/musterhq/muster/rpc/rest"
)

// complain tells a person what failed, where, and what to try next.
func complain(w io.Writer, err error) {
	var work *workError
	if err == nil || errors.As(err, &work) {
		return
	}
	fmt.Fprintln(w, "error:", err)
	if next := nextStep(err); next != "" {
		fmt.Fprintln(w, next)
	}
}

// nextStep is the command or the deed that probably helps.
func nextStep(err error) string {
	var (
		usage       *usageError
		problem     *rest.Problem
		unreachable *rest.UnreachableError
	)
	switch {
	case errors.As(err, &usage), errors.Is(err, errInterrupted):
		return ""
	case errors.As(err, &unreachable):
		if errors.As(err, &problem) && problem.Code == rest.CodeNoLeader {
			return "A leader needs a majority of the coordinators: start those that are down. Try: muster members"
		}
		return "Is a coordinator running there? Name others with --addr HOST:PORT[,HOST:PORT] or MUSTER_ADDR. To try muster out: muster dev"
	case errors.As(err, &problem):
		return problemStep(problem)
	}
	return ""
}

func problemStep(p *rest.Problem) string {
	switch p.Code {
	case rest.CodeNotFound:
		return "Ended requests are forgotten after a while. List what there is: muster requests"
	case rest.CodeUnknownOutcome:
		return "It may or may not have taken effect. Look first: muster requests"
	case rest.CodeDiskFull:
		return "Make room on the coordinators' disks. Look: muster status"
	}
	return ""
}
