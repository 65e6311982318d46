package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/musterhq/muster/testing/harness"
)

// TestHostileText puts markup and scripts wherever a stranger can put text. All of it is shown, as text.
func TestHostileText(t *testing.T) {
	b := open(t)
	c := harness.Start(t, harness.Options{Workers: 1})
	const (
		request = `<img src=x onerror="alert('request')"><script>alert('request')</script>`
		session = `"><svg onload=alert('session')>`
		worker  = `<iframe src="javascript:alert('worker')"></iframe>`
		label   = `<b onclick=alert(1)>`
		output  = `<script>alert('output')</script>`
		failure = `</pre><img src=x onerror=alert('error')>`
		result  = `<style>*{display:none}</style>`
	)
	c.Call("POST", "/v1/sessions", harness.Spec(t, object{"name": session}))
	if a := c.Call("POST", "/v1/workers", harness.Spec(t, object{"name": worker, "labels": object{label: label}, "queues": []string{"other"}})); a.Status != http.StatusCreated {
		t.Fatalf("join: %v", a)
	}
	sub := c.Submit(harness.Spec(t, object{"name": request, "jobs": []object{
		{"name": "fine", "shell": `printf '%s\n\033[31mred\033[0m\007\n' "$TEXT"; printf '%s' "$RESULT" > "$MUSTER_RESULT"`, "env": object{"TEXT": output, "RESULT": result}, "payload": object{output: []string{request}}},
		{"name": "bad", "shell": `printf '%s' "$TEXT" > "$MUSTER_ERROR"; exit 1`, "env": object{"TEXT": failure}},
	}}))
	c.WaitRequest(sub.ID, "failed")
	b.visit(c.Leader(), "")
	for _, p := range []place{
		{"overview", "#/", []string{request}},
		{"requests", "#/requests", []string{request}},
		{"request", "#/requests/" + sub.ID, []string{request, "fine", "bad"}},
		{"job", "#/jobs/" + c.JobNamed(sub.ID, "fine").ID, []string{output, "red␇", result}},
		{"failed job", "#/jobs/" + c.JobNamed(sub.ID, "bad").ID, []string{failure}},
		{"workers", "#/workers", []string{worker, label}},
		{"sessions", "#/sessions", []string{session}},
		{"a place that is not", "#/" + `<img src=x onerror=alert(1)>`, []string{"Nothing is here"}},
		{"a request that is not", "#/requests/" + `<img src=x onerror=alert(1)>`, []string{"Nothing to show."}},
	} {
		b.goTo(p.at)
		b.shows(p.shows...)
		strange := value[int](b, "document.querySelectorAll('main img, main script, main iframe, main style, main b, main [onclick], main [onload], main [onerror]').length")
		if strange > 0 {
			t.Errorf("%s: %d elements were made of text", p.name, strange)
		}
		b.shot("hostile-" + p.name)
	}
}

// TestPagesOfOtherSites has the page of another site try what it must not: change something, read something, frame the
// dashboard.
func TestPagesOfOtherSites(t *testing.T) {
	b := open(t)
	c := harness.Start(t, harness.Options{Workers: -1})
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>another site</title><p>hello</p>")
	}))
	defer site.Close()
	b.do("visit another site", chromedp.Navigate(site.URL))
	base := "http://" + c.Leader().Addresses().HTTP
	try := func(script string) string {
		t.Helper()
		return value[string](b, script+".catch((e) => 'refused: ' + e.name)")
	}
	for _, call := range []string{
		fmt.Sprintf(`fetch('%s/v1/requests', {method: 'POST', mode: 'no-cors', body: '{"jobs":[{"name":"a","shell":"true"}]}'}).then(() => 'sent')`, base),
		fmt.Sprintf(`fetch('%s/v1/requests', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{"jobs":[{"name":"a","shell":"true"}]}'}).then(() => 'sent')`, base),
	} {
		t.Logf("%s", try(call))
	}
	if list := c.Requests(); len(list) > 0 {
		t.Errorf("another site submitted %+v", list)
	}
	if came := try(fmt.Sprintf(`fetch('%s/v1/status').then((r) => r.text())`, base)); came != "refused: TypeError" {
		t.Errorf("another site read: %q", came)
	}
	b.act(fmt.Sprintf(`{ const f = document.createElement('iframe'); f.src = '%s/'; document.body.append(f); }`, base))
	harness.Until(t, harness.BoundDefault, "the browser to refuse the frame", func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, said := range append(b.faults, b.unloaded...) {
			if strings.Contains(said, "frame-ancestors") || strings.Contains(said, "X-Frame-Options") {
				return nil
			}
		}
		return fmt.Errorf("it said %q, %q", b.faults, b.unloaded)
	})
	b.mu.Lock()
	b.faults = nil // the browser says on that page's console what it refused to it
	b.mu.Unlock()
}
