package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/musterhq/muster/cluster"
	"github.com/musterhq/muster/rpc/rest"
)

// Whatever is answered, a browser must not run, frame or guess at it.
func TestEveryAnswerTellsBrowsersWhatItIsNot(t *testing.T) {
	leader, follower := newRig(t), newRig(t)
	follower.follow("n2", "n1", leader.address())
	sub := leader.submit(chain)
	for _, path := range []string{"/", "/dashboard/app.js", "/v1/status", "/v1/nothing", "/metrics", "/v1/openapi.json", "/v1/requests/" + sub.ID} {
		for _, r := range []*rig{leader, follower} {
			h := r.raw("GET", path, "").Header
			for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin"} {
				if got := h.Values(name); len(got) != 1 || got[0] != want {
					t.Errorf("%s of %s: %s is %q", path, r.base, name, got)
				}
			}
			policy := h.Values("Content-Security-Policy")
			if len(policy) != 1 || !strings.Contains(policy[0], "frame-ancestors 'none'") || strings.Contains(policy[0], "unsafe") {
				t.Errorf("%s of %s: policy %q", path, r.base, policy)
			}
		}
	}
}

// What a page may ask for depends on where it came from.
func TestPagesOfOthers(t *testing.T) {
	r := newRig(t) // of the cluster 127.0.0.1:7070, 127.0.0.1:8070
	for _, c := range []struct {
		name, method string
		headers      []string
		status       int
		reads        bool // the page may see what was answered
	}{
		{"a program", "POST", nil, 201, false},
		{"this coordinator's page", "POST", []string{"Sec-Fetch-Site", "same-origin", "Origin", "HERE"}, 200, false},
		{"typed into the address line", "GET", []string{"Sec-Fetch-Site", "none"}, 200, false},
		{"this coordinator's page, browser without Sec-Fetch", "POST", []string{"Origin", "HERE"}, 200, false},
		{"another coordinator's page changes something", "POST", []string{"Sec-Fetch-Site", "same-site", "Origin", "http://127.0.0.1:8070"}, 200, true},
		{"another coordinator's page reads", "GET", []string{"Sec-Fetch-Site", "same-site", "Origin", "http://127.0.0.1:8070"}, 200, true},
		{"the same by the name localhost", "POST", []string{"Sec-Fetch-Site", "cross-site", "Origin", "http://localhost:8070"}, 200, true},
		{"another port of that host", "POST", []string{"Sec-Fetch-Site", "same-site", "Origin", "http://127.0.0.1:8071"}, 403, false},
		{"another site", "POST", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 403, false},
		{"another site, browser without Sec-Fetch", "POST", []string{"Origin", "https://evil.example"}, 403, false},
		{"another site with ours in its name", "POST", []string{"Origin", "http://127.0.0.1:8070.evil.example"}, 403, false},
		{"a sandboxed page", "POST", []string{"Sec-Fetch-Site", "cross-site", "Origin", "null"}, 403, false},
		{"another site reads", "GET", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 200, false},
		{"another site asks before it sends", "OPTIONS", []string{"Origin", "https://evil.example", "Access-Control-Request-Method", "POST"}, 405, false},
	} {
		for i := range c.headers {
			c.headers[i] = strings.ReplaceAll(c.headers[i], "HERE", r.base)
		}
		body := ""
		if c.method == "POST" {
			body = `{"name": "s"}`
		}
		got := r.raw(c.method, "/v1/sessions", body, c.headers...)
		if got.StatusCode != c.status {
			t.Errorf("%s: %s, want %d: %s", c.name, got.Status, c.status, got.body)
		}
		if reads := got.Header.Get("Access-Control-Allow-Origin") != ""; reads != c.reads {
			t.Errorf("%s: may read is %v", c.name, reads)
		}
		if c.status == 403 && as[rest.Problem](t, got).Code != rest.CodeCrossOrigin {
			t.Errorf("%s: %s", c.name, got.body)
		}
	}
}

// A follower judges where a call came from; to the leader the follower's page would be that of a stranger.
func TestFollowersPageChangesThroughIt(t *testing.T) {
	leader, follower := newRig(t), newRig(t)
	follower.follow("n2", "n1", leader.address())
	follower.call(201, "POST", "/v1/sessions", `{"name": "s"}`, "Origin", follower.base)
	follower.fails(403, rest.CodeCrossOrigin, "POST", "/v1/sessions", `{"name": "s"}`, "Origin", "https://evil.example")
}

// A site may make its own name mean this machine, and is then of the same origin as far as the browser knows.
func TestNamesMadeToMeanThisMachine(t *testing.T) {
	const browser = "Mozilla/5.0"
	for _, c := range []struct {
		listens, host, agent string
		status               int
	}{
		{"127.0.0.1:7070", "127.0.0.1:7070", browser, 200},
		{"127.0.0.1:7070", "localhost:7070", browser, 200},
		{"127.0.0.1:7070", "[::1]:7070", browser, 200},
		{"127.0.0.1:7070", "beta.internal:8070", browser, 200}, // a coordinator of the cluster is found by that name
		{"127.0.0.1:7070", "evil.example:7070", browser, 403},
		{"127.0.0.1:7070", "evil.example:7070", "curl/8", 200},
		{"10.1.2.3:7070", "muster.example:7070", browser, 200}, // not this machine only: names are for those who run it
	} {
		r := newRig(t)
		r.fake.set(func() {
			r.fake.node.HTTP = c.listens
			r.fake.servers = []cluster.Server{{ID: "n2", HTTP: "beta.internal:8070"}}
		})
		req := r.request("GET", "/v1/sessions", "", "User-Agent", c.agent)
		req.Host = c.host
		resp, err := r.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%+v: %s", c, resp.Status)
		}
	}
}

// An address that gossip brings must not add words to the dashboard's policy.
func TestAddressesInThePolicy(t *testing.T) {
	r := newRig(t)
	r.fake.set(func() {
		r.fake.servers = []cluster.Server{{ID: "n1", HTTP: "c1.example:7070"}, {ID: "n2", HTTP: "x; script-src *:80"}, {ID: "n3", HTTP: "c3\" onload=\":1"}, {ID: "n4"}}
	})
	got := r.raw("GET", "/", "")
	policy := got.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'self'; connect-src 'self' http://c1.example:7070;") || strings.Contains(policy, "script-src") || strings.Contains(string(got.body), "onload") {
		t.Errorf("policy %q\n%s", policy, got.body)
	}
	if got.StatusCode != http.StatusOK {
		t.Error(got.Status)
	}
}
