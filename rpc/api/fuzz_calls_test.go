package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/musterhq/muster/rpc/rest"
)

// streamPatience is how long a call that streams or waits is listened to; what it answers is looked at then.
const streamPatience = 2 * time.Millisecond

// FuzzCalls sends any route any path, parameters, headers and body: the answer is the route's own or a problem that
// names its code, never an internal error.
func FuzzCalls(f *testing.F) {
	routes := New(newFake(), Config{Registry: prometheus.NewRegistry()}).routes()
	for i := range routes {
		for _, id := range []string{"r0000000001", "r0000000001.0", "w0000000001", "", "..", "r0000000001.4294967295", "%00", "r99999999999999999999"} {
			f.Add(uint8(i), id, "consistency=stale", "", []byte(`{"jobs": [{"name": "a", "shell": "x"}]}`))
		}
		f.Add(uint8(i), "r0000000001.1", "limit=1&after=r0000000001.0&state=ready", "k", []byte(`{"worker": "w0000000001", "attempt": 1, "state": "DONE"}`))
		f.Add(uint8(i), "x", "limit=-1&follow=maybe&offset=18446744073709551616", "\xff", []byte(`{"worker": "w0000000001", "max": 4294967295}`))
	}
	f.Fuzz(func(t *testing.T, which uint8, id, query, key string, body []byte) {
		if len(body) > 64<<10 {
			return
		}
		fake := newFake()
		s := New(fake, Config{MaxBody: 1 << 20, Registry: prometheus.NewRegistry()})
		s.statusWait = streamPatience
		send := func(rt route, id, query, key string, body []byte) *httptest.ResponseRecorder {
			ctx, cancel := context.WithTimeout(context.Background(), streamPatience)
			defer cancel()
			path := strings.ReplaceAll(strings.TrimSuffix(rt.path, "{$}"), "{id}", url.PathEscape(id))
			req := httptest.NewRequestWithContext(ctx, rt.method, path, bytes.NewReader(body))
			req.URL.RawQuery = query
			req.Header["Idempotency-Key"] = []string{key}
			rec := httptest.NewRecorder()
			s.ServeHTTP(rec, req)
			return rec
		}
		routes := s.routes()
		for _, rt := range routes {
			switch rt.id {
			case "submitRequest":
				send(rt, "", "", "", []byte(chain))
			case "joinWorker":
				send(rt, "", "", "", []byte(`{"name": "w", "slots": 2}`))
			}
		}
		rt := routes[int(which)%len(routes)]
		rec := send(rt, id, query, key, body)
		switch code := rec.Code; {
		case code == http.StatusServiceUnavailable && rt.id == "metrics": // in plain words, for Prometheus
		case code == http.StatusMovedPermanently || code == http.StatusTemporaryRedirect: // net/http cleans paths
		case code >= 400:
			var p rest.Problem
			if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil || p.Code == "" || p.Status != code || p.Code == rest.CodeInternal {
				t.Errorf("%s %s %q ?%s: %d %s", rt.method, rt.path, id, query, code, rec.Body)
			}
		}
		if err := fake.machine.Check(); err != nil {
			t.Error(err)
		}
	})
}
