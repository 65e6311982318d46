package api

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/musterhq/muster/rpc/rest"
)

// dashboardFiles are the dashboard as browsers run it: plain modules, no build. Its libraries are in dashboard/vendor.
//
//go:embed dashboard
var dashboardFiles embed.FS

// dashboardPath is where its files are; the page itself is at /.
const dashboardPath = "/dashboard/"

// dashboardPage is the page that loads the dashboard.
var dashboardPage = template.Must(template.ParseFS(dashboardFiles, "dashboard/index.html"))

// asset is one file of the dashboard.
type asset struct {
	data  []byte
	media string
	tag   string // changes with the file
}

// dashboardAssets reads the files once. They are part of the program, so that an error is a fault of its build.
func dashboardAssets() map[string]asset {
	assets := map[string]asset{}
	err := fs.WalkDir(dashboardFiles, "dashboard", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) == ".html" {
			return err
		}
		data, err := dashboardFiles.ReadFile(name)
		sum := sha256.Sum256(data)
		assets["/"+name] = asset{data: data, media: mediaOf(name), tag: `"` + hex.EncodeToString(sum[:8]) + `"`}
		return err
	})
	if err != nil {
		panic(err)
	}
	return assets
}

// mediaOf does not trust the machine's own table for what browsers are strict about.
func mediaOf(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	default:
		return mediaText // licences
	}
}

// getIndex answers with the dashboard. Its policy lets it load and run nothing but its own files, and talk to the
// coordinators of this cluster.
func (s *Server) getIndex(w http.ResponseWriter, _ *http.Request) error {
	var others []string
	for _, address := range s.pageAddresses() {
		others = append(others, "http://"+address)
	}
	var page bytes.Buffer
	if err := dashboardPage.Execute(&page, struct{ Coordinators string }{strings.Join(others, " ")}); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", mediaHTML)
	h.Set("Content-Security-Policy", "default-src 'self'; connect-src 'self' "+strings.Join(others, " ")+
		"; base-uri 'none'; form-action 'none'; object-src 'none'; frame-ancestors 'none'")
	_, err := w.Write(page.Bytes())
	return err
}

// getAsset answers with a file of the dashboard.
func (s *Server) getAsset(w http.ResponseWriter, r *http.Request) error {
	a, ok := s.assets[r.URL.Path]
	if !ok {
		return problem(rest.CodeNotFound, "the dashboard has no file %.80q", r.URL.Path)
	}
	h := w.Header()
	h.Set("Content-Type", a.media)
	h.Set("ETag", a.tag)
	h.Set("Cache-Control", "no-cache") // asked for again each time, sent again when it has changed
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.data))
	return nil
}
