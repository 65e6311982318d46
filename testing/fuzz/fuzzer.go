package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fuzzer is one func FuzzX of the module.
type fuzzer struct {
	Path string // of its package
	Dir  string
	Name string
	base string // the module's path
}

// String is the fuzzer's folder and name.
func (f fuzzer) String() string { return strings.TrimPrefix(f.Path, f.base+"/") + "/" + f.Name }

// find lists the fuzzers that match, without compiling anything.
func find(ctx context.Context, match *regexp.Regexp) (found []fuzzer, err error) {
	list := exec.CommandContext(ctx, "go", "list", "-json=ImportPath,Dir,Module,TestGoFiles,XTestGoFiles", "./...")
	var complaint bytes.Buffer
	list.Stderr = &complaint
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, &complaint)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath, Dir           string
			Module                    struct{ Path string }
			TestGoFiles, XTestGoFiles []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return found, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		for _, file := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
			names, err := fuzzersIn(filepath.Join(p.Dir, file))
			if err != nil {
				return nil, err
			}
			for _, name := range names {
				if f := (fuzzer{Path: p.ImportPath, Dir: p.Dir, Name: name, base: p.Module.Path}); match.MatchString(f.String()) {
					found = append(found, f)
				}
			}
		}
	}
}

func fuzzersIn(path string) (names []string, err error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, d := range file.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Fuzz") {
			names = append(names, fn.Name.Name)
		}
	}
	return names, nil
}

// result is what came of one run of a fuzzer.
type result struct {
	executions, fresh, total int
	took                     time.Duration
	output                   string
	err                      error // not nil: it failed, and output says on what
}

// progress is the line by which go test tells how a fuzzer is getting on.
var progress = regexp.MustCompile(`execs: (\d+) .*new interesting: (\d+) \(total: (\d+)\)`)

// minimizeTime is how long Go may make one interesting input smaller. Its default, a minute, leaves a slow fuzzer no time for
// anything else.
const minimizeTime = "2s"

// run runs the fuzzer for d on one core.
func (f fuzzer) run(ctx context.Context, d time.Duration) result {
	begun := time.Now()
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+f.Name+"$", "-fuzztime", d.String(), "-fuzzminimizetime", minimizeTime, "-parallel", "1", f.Path)
	cmd.Cancel = func() error { return cmd.Process.Signal(interrupt) } // so that go test ends its own processes
	out, err := cmd.CombinedOutput()
	r := result{took: time.Since(begun), output: string(out), err: err}
	if all := progress.FindAllStringSubmatch(r.output, -1); all != nil {
		last := all[len(all)-1]
		r.executions, r.fresh, r.total = number(last[1]), number(last[2]), number(last[3])
	}
	if err != nil && ranOut(r.output) {
		r.err = nil
	}
	return r
}

// ranOut says whether go test failed for no other reason than that the time was over while an input was tried, which it
// does now and then (golang/go#75804).
func ranOut(output string) bool {
	return strings.Contains(output, "context deadline exceeded") && !strings.Contains(output, "Failing input written")
}

func number(digits string) int {
	n, _ := strconv.Atoi(digits) // the pattern allows digits only
	return n
}
