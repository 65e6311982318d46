package harness

import (
	"encoding/json"
	"time"
)

// The documents of the HTTP interface, as far as tests look at them. They are written down here a second time on
// purpose: what the server's own code believes of its field names would not notice that one changed.

// Status is GET /v1/status.
type Status struct {
	Cluster  string  `json:"cluster"`
	Node     string  `json:"node"`
	NodeName string  `json:"node_name"`
	Leader   *Leader `json:"leader"`
	Raft     struct {
		State     string `json:"state"`
		Term      uint64 `json:"term"`
		Applied   uint64 `json:"applied"`
		Committed uint64 `json:"committed"`
		Last      uint64 `json:"last"`
		Hash      string `json:"hash"`
		HashIndex uint64 `json:"hash_index"`
	} `json:"raft"`
	Coordinators []struct {
		ID     string `json:"id"`
		Name   string `json:"name"`
		RPC    string `json:"rpc"`
		HTTP   string `json:"http"`
		Voter  bool   `json:"voter"`
		Leader bool   `json:"leader"`
		Alive  bool   `json:"alive"`
	} `json:"coordinators"`
	Workers   []Worker          `json:"workers"`
	Jobs      map[string]uint64 `json:"jobs"`
	Health    string            `json:"health"`
	Problem   string            `json:"problem"`
	Tolerates int               `json:"tolerates"`
}

// Leader names the leading coordinator.
type Leader struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Address string `json:"address"`
	Term    uint64 `json:"term"`
}

// Worker is one of GET /v1/workers.
type Worker struct {
	ID      string            `json:"id"`
	Name    string            `json:"name"`
	Queues  []string          `json:"queues"`
	Labels  map[string]string `json:"labels"`
	Slots   int               `json:"slots"`
	Used    int               `json:"used"`
	Running int               `json:"running"`
	State   string            `json:"state"`
}

// Request is GET /v1/requests/{id}.
type Request struct {
	ID          string         `json:"id"`
	Session     string         `json:"session"`
	SessionName string         `json:"session_name"`
	Name        string         `json:"name"`
	State       string         `json:"state"`
	Jobs        int            `json:"jobs"`
	Counts      map[string]int `json:"counts"`
	Index       uint64         `json:"index"`
	Created     time.Time      `json:"created"`
	Ended       time.Time      `json:"ended"`
}

// Over says whether nothing of the request can still run.
func (r Request) Over() bool { return terminal(r.State) }

// Submitted answers POST /v1/requests.
type Submitted struct {
	ID      string `json:"id"`
	Session string `json:"session"`
	Jobs    int    `json:"jobs"`
	State   string `json:"state"`
}

// Job is GET /v1/jobs/{id}.
type Job struct {
	ID           string            `json:"id"`
	Request      string            `json:"request"`
	Name         string            `json:"name"`
	State        string            `json:"state"`
	Reason       string            `json:"reason"`
	Attempt      int               `json:"attempt"`
	Retries      int               `json:"retries"`
	Lost         int               `json:"lost"`
	Worker       string            `json:"worker"`
	WorkerName   string            `json:"worker_name"`
	Progress     int               `json:"progress"`
	ProgressText string            `json:"progress_text"`
	Needs        []json.RawMessage `json:"needs"`
	Result       json.RawMessage   `json:"result"`
	Error        string            `json:"error"`
	ExitCode     *int              `json:"exit_code"`
	Cause        *struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"cause"`
	Times Times `json:"times"`
}

// Ended says whether the job is in a terminal state.
func (j Job) Ended() bool { return terminal(j.State) }

func terminal(state string) bool { return state == "done" || state == "failed" || state == "cancelled" }

// Times are when a job came to where it is; zero: not yet.
type Times struct {
	Submitted time.Time `json:"submitted"`
	Ready     time.Time `json:"ready"`
	Picked    time.Time `json:"picked"`
	Started   time.Time `json:"started"`
	Ended     time.Time `json:"ended"`
}

// Step is one entry of GET /v1/jobs/{id}/history.
type Step struct {
	Index    uint64    `json:"index"`
	Time     time.Time `json:"time"`
	State    string    `json:"state"`
	Attempt  int       `json:"attempt"`
	Worker   string    `json:"worker"`
	Reason   string    `json:"reason"`
	Progress int       `json:"progress"`
	Error    string    `json:"error"`
	ExitCode *int      `json:"exit_code"`
}

// Terminal says whether the step ended the job.
func (s Step) Terminal() bool { return terminal(s.State) }
