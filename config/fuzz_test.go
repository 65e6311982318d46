package config

import (
	"runtime"
	"strings"
	"testing"
)

// FuzzFile: whatever a settings file holds, it is taken or refused with its name, without more memory than its size
// explains; what was taken can be given again by the settings' own texts.
func FuzzFile(f *testing.F) {
	for _, text := range []string{
		"", "# nothing\n", "name: a\nraft: {log_store: wal, heartbeat: 1s}\n", "join: [a:1, b:2]\ninsecure: true\n",
		"labels: {gpu: \"true\", a: b}\nqueues: [x]\nslots: 3\n", "name: &a x\ncluster: *a\n", "raft: &r {election: 1s}\nlease: *r\n",
		"a: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: &c [*b,*b,*b]\njoin: *c\n", "name: [", "name: a\nname: b\n", "? [x]\n: y\n", "--- a\n--- b\n",
		"raft:\n  raft:\n    raft: 1\n", strings.Repeat("[", 2000), "name: !!binary aGk=\n", "name: \"\\x00\xff\"\n",
	} {
		f.Add([]byte(text))
	}
	// The YAML reader holds a node of some hundred bytes for each token.
	const perByte, base = 4096, 4 << 20
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > 64<<10 {
			return
		}
		for _, cfg := range []any{new(Coordinator), new(Worker)} {
			settings := Settings(cfg)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := fillFromFile(settings, "settings.yaml", body)
			runtime.ReadMemStats(&after)
			if spent := after.TotalAlloc - before.TotalAlloc; spent > uint64(base+perByte*len(body)) {
				t.Errorf("%d bytes took %d bytes of memory", len(body), spent)
			}
			if err != nil {
				if !strings.HasPrefix(err.Error(), "settings.yaml") {
					t.Errorf("%v: it does not say where", err)
				}
				continue
			}
			for _, set := range settings {
				if err := set.Set(set.String()); err != nil {
					t.Errorf("%s cannot be given as %q: %v", set.Key, set.String(), err)
				}
			}
		}
	})
}
