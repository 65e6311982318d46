package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// interrupt is the signal upon which go test cleans up.
const interrupt = syscall.SIGINT

// inputBytesMax is the largest input that is kept: a corpus is read by everybody who clones the tree.
const inputBytesMax = 8 << 10

// input is a file of a corpus, and the blocks of code that it reaches.
type input struct {
	path   string
	bytes  int64
	blocks map[string]bool
	old    bool // it is in the corpus, perhaps for a defect that it once showed
}

// keep puts inputs that Go's cache has into the fuzzer's corpus, up to most: those that together with the ones that are
// there reach what all reach. None is taken out. It returns how many are there then, of how many.
func (f fuzzer) keep(most int) (kept, of int, err error) {
	work, err := os.MkdirTemp("", "fuzz-")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(work)
	corpus := filepath.Join(f.Dir, "testdata", "fuzz", f.Name)
	inputs, err := f.gather(corpus, filepath.Join(work, "testdata", "fuzz", f.Name))
	if err != nil {
		return 0, 0, err
	}
	if err := f.cover(work, inputs); err != nil {
		return 0, 0, err
	}
	chosen := choose(inputs, most)
	for _, in := range chosen {
		if err := copyFile(in.path, filepath.Join(corpus, filepath.Base(in.path))); err != nil {
			return 0, 0, err
		}
	}
	return len(chosen), len(inputs), nil
}

// gather copies all inputs of the fuzzer into dir.
func (f fuzzer) gather(corpus, dir string) (inputs []input, err error) {
	cache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	for _, from := range []string{corpus, filepath.Join(strings.TrimSpace(string(cache)), "fuzz", filepath.FromSlash(f.Path), f.Name)} {
		entries, err := os.ReadDir(from)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				return nil, err
			}
			in := input{path: filepath.Join(dir, e.Name()), bytes: info.Size(), old: from == corpus}
			if !info.Mode().IsRegular() || in.bytes > inputBytesMax || slices.ContainsFunc(inputs, func(o input) bool { return o.path == in.path }) {
				continue
			}
			if err := copyFile(filepath.Join(from, e.Name()), in.path); err != nil {
				return nil, err
			}
			inputs = append(inputs, in)
		}
	}
	return inputs, nil
}

// cover runs each input by itself and notes what it reaches of the module's code.
func (f fuzzer) cover(work string, inputs []input) error {
	binary, profile := filepath.Join(work, "test"), filepath.Join(work, "profile")
	build := exec.Command("go", "test", "-c", "-cover", "-coverpkg", f.base+"/...", "-o", binary, f.Path)
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	for i := range inputs {
		name := filepath.Base(inputs[i].path)
		try := exec.Command(binary, "-test.run", "^"+f.Name+"$/^"+name+"$", "-test.coverprofile", profile)
		try.Dir = work // where it finds the inputs
		if out, err := try.CombinedOutput(); err != nil {
			return fmt.Errorf("input %s: %w\n%s", name, err, out)
		}
		var err error
		if inputs[i].blocks, err = reached(profile); err != nil {
			return err
		}
	}
	return nil
}

// reached reads a cover profile: lines of block, statements, count.
func reached(profile string) (map[string]bool, error) {
	file, err := os.Open(profile)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	blocks := make(map[string]bool)
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if at := strings.Fields(lines.Text()); len(at) == 3 && at[2] != "0" {
			blocks[at[0]] = true
		}
	}
	return blocks, lines.Err()
}

// choose takes all old ones, then again and again the input that reaches most of what none before it reached; of equal ones the smallest.
func choose(inputs []input, most int) (chosen []input) {
	slices.SortFunc(inputs, func(a, b input) int {
		return cmp.Or(cmp.Compare(a.bytes, b.bytes), strings.Compare(a.path, b.path))
	})
	have := make(map[string]bool)
	for _, in := range inputs {
		if in.old {
			chosen = append(chosen, in)
			maps.Copy(have, in.blocks)
		}
	}
	for len(chosen) < most {
		best, gain := -1, 0
		for i, in := range inputs {
			fresh := 0
			for b := range in.blocks {
				if !have[b] {
					fresh++
				}
			}
			if fresh > gain {
				best, gain = i, fresh
			}
		}
		if best < 0 {
			break
		}
		maps.Copy(have, inputs[best].blocks)
		chosen = append(chosen, inputs[best])
	}
	return chosen
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o644)
}
