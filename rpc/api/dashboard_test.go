package api

import (
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/musterhq/muster/rpc/rest"
)

var (
	pageRefs   = regexp.MustCompile(`(?:src|href)="(dashboard/[^"]+)"`)
	moduleRefs = regexp.MustCompile(`from ?["']([^"']+)["']`)
)

// A browser must find every file that the page and its modules name, here and nowhere else.
func TestDashboardIsWhole(t *testing.T) {
	r := newRig(t)
	index := r.call(200, "GET", "/", "")
	if p := index.Header.Get("Content-Security-Policy"); !strings.HasPrefix(p, "default-src 'self'; connect-src 'self' http://127.0.0.1:7070 ") {
		t.Errorf("policy %q", p)
	}
	todo := []string{}
	for _, m := range pageRefs.FindAllStringSubmatch(string(index.body), -1) {
		todo = append(todo, "/"+m[1])
	}
	seen := map[string]bool{}
	for ; len(todo) > 0; todo = todo[1:] {
		name := todo[0]
		if seen[name] {
			continue
		}
		seen[name] = true
		got := r.raw("GET", name, "")
		want := map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}[path.Ext(name)]
		if got.StatusCode != 200 || got.Header.Get("Content-Type") != want || got.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %s, %v", name, got.Status, got.Header)
		}
		if again := r.raw("GET", name, "", "If-None-Match", got.Header.Get("ETag")); again.StatusCode != 304 {
			t.Errorf("%s again: %s", name, again.Status)
		}
		if path.Ext(name) != ".js" || strings.Contains(name, "/vendor/") && !strings.Contains(name, "preact-hooks") {
			continue
		}
		for _, m := range moduleRefs.FindAllStringSubmatch(string(got.body), -1) {
			if !strings.HasPrefix(m[1], "./") {
				t.Errorf("%s imports %q, which is not a file of the dashboard", name, m[1])
			}
			todo = append(todo, path.Join(path.Dir(name), m[1]))
		}
	}
	for name := range r.server.assets {
		if ext := path.Ext(name); (ext == ".js" || ext == ".css") && !seen[name] {
			t.Errorf("nothing uses %s", name)
		}
	}
	r.fails(404, rest.CodeNotFound, "GET", "/dashboard/nothing.js", "")
	r.fails(404, rest.CodeNotFound, "GET", "/dashboard/", "")
	r.fails(404, rest.CodeNotFound, "GET", "/dashboard/index.html", "")
	r.fails(405, rest.CodeMethod, "POST", "/dashboard/app.js", "")
}

// Names and logs come from strangers. Nothing of ours may make markup or program text of a value.
func TestDashboardMakesTextOfData(t *testing.T) {
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|document\.write|srcdoc|\beval\(|new Function|javascript:|setTimeout\(['"]`)
	err := fs.WalkDir(dashboardFiles, "dashboard", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(name, "/vendor/") {
			return err
		}
		data, err := dashboardFiles.ReadFile(name)
		for i, line := range strings.Split(string(data), "\n") {
			if code, _, _ := strings.Cut(line, "//"); forbidden.MatchString(code) {
				t.Errorf("%s:%d: %s", name, i+1, line)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	page, err := dashboardFiles.ReadFile("dashboard/index.html")
	if err != nil {
		t.Fatal(err)
	}
	if inline := regexp.MustCompile(`<script(?:>|[^>]*[^>]>[^<])|<style|\sstyle=|\son\w+=|https?://`).Find(page); inline != nil {
		t.Errorf("the page has %q: its policy allows files of the dashboard only", inline)
	}
}
