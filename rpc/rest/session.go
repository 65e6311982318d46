package rest

import "time"

// Session groups requests.
type Session struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	State    string    `json:"state"` // open or closed
	Created  time.Time `json:"created"`
	Requests uint32    `json:"requests"` // kept, ended or not
	Live     uint32    `json:"live"`     // not ended
}

// Sessions is a page of sessions, oldest first.
type Sessions struct {
	Sessions []Session `json:"sessions"`
	Next     string    `json:"next,omitempty"` // "after" of the next page; empty: this is the last
}

// SessionOpen opens a session: POST /v1/sessions. The open session of that name is answered if there is one.
type SessionOpen struct {
	Name string `json:"name"`
}
