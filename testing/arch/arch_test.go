package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// pkg is what go list tells of a package.
type pkg struct {
	ImportPath   string
	Name         string
	Dir          string
	Doc          string
	Imports      []string
	Deps         []string
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
	Standard     bool
}

// path is the package's path in the module.
func (p pkg) path() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, Module), "/")
}

// packages lists every package of ours.
func packages(t *testing.T) []pkg {
	t.Helper()
	var errs bytes.Buffer
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Name,Dir,Doc,Imports,Deps,GoFiles,TestGoFiles,XTestGoFiles", Module+"/...")
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &errs)
	}
	var all []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) == 0 {
		t.Fatal("go list found no package")
	}
	return all
}

func TestImportsPointDown(t *testing.T) {
	for _, p := range packages(t) {
		root, _, _ := strings.Cut(p.path(), "/")
		if slices.Contains(Free, root) {
			continue
		}
		for _, imported := range p.Imports {
			ours, is := strings.CutPrefix(imported, Module+"/")
			if is && !slices.Contains(Directly[p.path()], ours) {
				t.Errorf("%s imports %s: it may import %q of ours", p.path(), ours, Directly[p.path()])
			}
		}
	}
}

func TestNobodyReachesWhatItMustNot(t *testing.T) {
	for _, p := range packages(t) {
		for _, rule := range Never {
			if p.path() == rule.From && slices.Contains(p.Deps, rule.What) {
				t.Errorf("%s reaches %s: %s", rule.From, rule.What, rule.Why)
			}
		}
	}
}

func TestFreePackagesImportNoOtherOfTheirKind(t *testing.T) {
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			ours, is := strings.CutPrefix(imported, Module+"/")
			root, _, _ := strings.Cut(ours, "/")
			from, _, _ := strings.Cut(p.path(), "/")
			if is && slices.Contains(Free, root) && root != from {
				t.Errorf("%s imports %s", p.path(), ours)
			}
		}
	}
}

func TestPurePackagesTouchNothingOutside(t *testing.T) {
	for _, p := range packages(t) {
		banned, pure := Pure[p.path()]
		if !pure {
			continue
		}
		for _, imported := range p.Imports {
			if slices.Contains(banned, imported) {
				t.Errorf("%s imports %s", p.path(), imported)
			}
		}
		for _, dep := range p.Deps {
			if strings.Contains(dep, ".") && !strings.HasPrefix(dep, Module) && !vendored(dep) && !slices.ContainsFunc(Core, func(c string) bool { return strings.HasPrefix(dep, c) }) {
				t.Errorf("%s reaches %s: allowed are %q", p.path(), dep, Core)
			}
		}
		for _, name := range p.GoFiles {
			for _, call := range clockCalls(t, filepath.Join(p.Dir, name)) {
				t.Errorf("%s/%s: the only time is that of the log entry", p.path(), call)
			}
		}
	}
}

// vendored says whether the standard library brings the package itself.
func vendored(path string) bool { return strings.HasPrefix(path, "vendor/") }

// clockCalls finds the uses of the clock in a file, as file:line.
func clockCalls(t *testing.T, path string) (found []string) {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(Clockless, sel.Sel.Name) {
			at := files.Position(sel.Pos())
			found = append(found, fmt.Sprintf("%s:%d uses time.%s", filepath.Base(at.Filename), at.Line, sel.Sel.Name))
		}
		return true
	})
	return found
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range packages(t) {
		want := "Package " + p.Name + " "
		if p.Name == "main" {
			want = "" // Command NAME or Muster …: any sentence
		}
		if len(p.GoFiles) > 0 && (p.Doc == "" || !strings.HasPrefix(p.Doc, want)) {
			t.Errorf("%s has no package comment that begins %q: %q", p.path(), want, p.Doc)
		}
		if slices.Contains(BadNames, p.Name) {
			t.Errorf("%s: the name %q says nothing", p.path(), p.Name)
		}
	}
}

func TestNoGoFileAtTheRootOfTesting(t *testing.T) {
	for _, p := range packages(t) {
		if p.path() == "testing" {
			t.Errorf("testing/ itself has %v %v", p.GoFiles, p.TestGoFiles)
		}
	}
}

func TestFilesAreShort(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			lines := bytes.Count(text, []byte{'\n'})
			if lines > LinesMax && !bytes.HasPrefix(text, []byte("// Code generated")) {
				t.Errorf("%s/%s has %d lines, %d are the limit: give each part its own file", p.path(), name, lines, LinesMax)
			}
		}
	}
}

// TestRulesNameWhatIsThere keeps the table from rotting.
func TestRulesNameWhatIsThere(t *testing.T) {
	have := map[string]bool{}
	for _, p := range packages(t) {
		have[p.path()] = true
	}
	for from, to := range Directly {
		for _, path := range append([]string{from}, to...) {
			if !have[path] {
				t.Errorf("the table names %q, which is not there", path)
			}
		}
	}
}
