package rest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/musterhq/muster/rpc/rest"
)

// Submit a request of two jobs, and wait until it has ended.
func ExampleClient() {
	coordinator := standIn() // "127.0.0.1:7070" in real life; give all coordinators you know
	defer coordinator.Close()
	c, err := rest.NewClient([]string{coordinator.URL}, "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	sub, err := c.Submit(ctx, rest.RequestSpec{Name: "nightly", Jobs: []rest.JobSpec{
		{Name: "extract", Work: rest.Work{Command: []string{"./extract.sh"}}},
		{Name: "report", Work: rest.Work{Shell: "wc -l *.csv"}, Needs: []rest.Need{{Job: "extract"}}},
	}}, "nightly-2026-11-22")
	var problem *rest.Problem
	switch {
	case errors.As(err, &problem): // a coordinator said no
		fmt.Println(problem.Code, problem.Detail)
		return
	case errors.Is(err, rest.ErrUnreachable): // none could be asked
		fmt.Println(err)
		return
	}
	done, err := c.WaitRequest(ctx, sub.ID, nil)
	fmt.Println(done.ID, done.State, err)
	// Output: r0000000001 done <nil>
}

func standIn() *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/requests", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, `{"id": "r0000000001", "session": "s0000000001", "jobs": 2, "state": "running"}`)
	})
	mux.HandleFunc("GET /v1/requests/r0000000001", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"id": "r0000000001", "state": "done"}`)
	})
	return httptest.NewServer(mux)
}
