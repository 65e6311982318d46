package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/musterhq/muster/cluster/backup"
	"github.com/musterhq/muster/fsm"
	"github.com/musterhq/muster/rpc/rest"
)

// snapshotOf is a saved snapshot of a cluster in which nothing happened but a session.
func snapshotOf(t *testing.T) []byte {
	t.Helper()
	m := fsm.New()
	if _, err := m.Apply(2, 1, fsm.NewEntry(began.UnixNano(), fsm.Encode(&fsm.OpenSession{Name: "s"}))); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	h := backup.Header{Cluster: "prod", ClusterID: "00112233", Node: "c1", Version: "v1", Term: 4, Time: began}
	if err := backup.Write(&b, h, m.View()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (f *fakeAPI) snapshot(data []byte) {
	f.mux.HandleFunc("GET /v1/operator/snapshot", func(w http.ResponseWriter, _ *http.Request) { w.Write(data) })
}

// only checks that the directory holds one file with this in it, or none if want is nil.
func only(t *testing.T, dir, name string, want []byte) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want == nil {
		if len(list) != 0 {
			t.Fatalf("files were left: %v", list)
		}
		return
	}
	got, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil || !bytes.Equal(got, want) || len(list) != 1 {
		t.Fatalf("%d files; %s holds %d bytes, want %d (%v)", len(list), name, len(got), len(want), err)
	}
}

func TestSnapshotSaveAndInspect(t *testing.T) {
	f, data, dir := newFakeAPI(t), snapshotOf(t), t.TempDir()
	f.snapshot(data)
	path := filepath.Join(dir, "a.snapshot")
	f.muster("operator", "snapshot", "save", path).check(t, 0, "", "muster operator snapshot inspect "+path)
	only(t, dir, "a.snapshot", data)
	got := mustering(t.Context(), "", nil, "operator", "snapshot", "inspect", path)
	got.check(t, 0, "prod (00112233)", "")
	got.check(t, 0, "index 2, term 4", "")
	mustering(t.Context(), "", nil, "operator", "snapshot", "inspect", path, "-o", "json").check(t, 0, `"sessions": 1`, "")
	mustering(t.Context(), "", nil, "operator", "snapshot", "inspect", path, "-o", "yaml").check(t, 0, "cluster_id: \"00112233\"", "")

	out := f.muster("operator", "snapshot", "save", "-")
	if out.code != 0 || out.out != string(data) || out.err != "" {
		t.Fatalf("to standard output: exit %d, %d bytes, said %q", out.code, len(out.out), out.err)
	}
}

func TestSnapshotSaveDoesNotOverwriteUnlessForced(t *testing.T) {
	f, data, dir := newFakeAPI(t), snapshotOf(t), t.TempDir()
	f.snapshot(data)
	path := filepath.Join(dir, "a.snapshot")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.muster("operator", "snapshot", "save", path).check(t, exitUsage, "", "exists")
	only(t, dir, "a.snapshot", []byte("precious"))
	if f.called("GET /v1/operator/snapshot") {
		t.Fatal("it was read to no end")
	}
	f.muster("operator", "snapshot", "save", path, "--force").check(t, 0, "", "saved")
	only(t, dir, "a.snapshot", data)
}

// TestSnapshotPutInPlaceSeesWhoCameFirst has the name taken while the snapshot was read.
func TestSnapshotPutInPlaceSeesWhoCameFirst(t *testing.T) {
	dir := t.TempDir()
	temp, path := filepath.Join(dir, "t"), filepath.Join(dir, "a")
	for file, text := range map[string]string{temp: "new", path: "precious"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := putInPlace(temp, path, false); exitCode(err) != exitUsage {
		t.Fatalf("put in place: %v", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "precious" {
		t.Fatalf("it holds %q", got)
	}
}

func TestSnapshotSaveLeavesNothingTorn(t *testing.T) {
	data := snapshotOf(t)
	for name, body := range map[string][]byte{"cut short": data[:len(data)-1], "empty": {}, "of something else": []byte("<html>")} {
		f, dir := newFakeAPI(t), t.TempDir()
		f.snapshot(body)
		t.Run(name, func(t *testing.T) {
			f.muster("operator", "snapshot", "save", filepath.Join(dir, "a")).check(t, exitFailed, "", "not a whole snapshot file")
			only(t, dir, "", nil)
		})
	}
}

func TestSnapshotInspectNamesWhatIsWrong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	mustering(t.Context(), "", nil, "operator", "snapshot", "inspect", path).check(t, exitUsage, "", path)
	data := snapshotOf(t)
	data[len(data)/2] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	mustering(t.Context(), "", nil, "operator", "snapshot", "inspect", path).check(t, exitFailed, "", path+": not a whole snapshot file")
}

func TestSnapshotRestore(t *testing.T) {
	f, data, dir := newFakeAPI(t), snapshotOf(t), t.TempDir()
	var sent []byte
	f.mux.HandleFunc("PUT /v1/operator/snapshot", func(w http.ResponseWriter, r *http.Request) {
		sent, _ = io.ReadAll(r.Body)
		if r.URL.Query().Get("force") != "true" {
			w.Header().Set("Content-Type", rest.ProblemType)
			w.WriteHeader(http.StatusConflict)
			json.NewEncoder(w).Encode(rest.Problem{Status: http.StatusConflict, Code: rest.CodeConflict, Detail: "the snapshot is of another cluster"})
			return
		}
		json.NewEncoder(w).Encode(rest.SnapshotRestored{Cluster: "prod", Saved: began, Requests: 3, Sessions: 2, Returned: 1})
	})
	path := filepath.Join(dir, "a.snapshot")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f.muster("operator", "snapshot", "restore", path).check(t, exitConflict, "", "the snapshot is of another cluster")
	if !bytes.Equal(sent, data) {
		t.Errorf("%d bytes came, want %d", len(sent), len(data))
	}
	f.muster("operator", "snapshot", "restore", path, "--force").check(t, 0, "restored 2 sessions and 3 requests", "in cluster prod (00112233)")
	f.muster("operator", "snapshot", "restore", path, "--force", "-o", "json").check(t, 0, `"returned": 1`, "")
	sent = nil
	if err := os.WriteFile(path, data[:len(data)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	f.muster("operator", "snapshot", "restore", path, "--force").check(t, exitFailed, "", "not a whole snapshot file")
	f.muster("operator", "snapshot", "restore", path+"?", "--force").check(t, exitUsage, "", "no such file")
	if sent != nil {
		t.Error("what is not whole was sent")
	}
}
