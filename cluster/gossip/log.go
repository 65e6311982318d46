package gossip

import (
	"bytes"

	"github.com/hashicorp/go-hclog"
)

// logWriter takes memberlist's lines. They are one level lower than memberlist means them: gossip only hints, and what it
// warns of (a probe that failed, a node ignored) mends itself or is said elsewhere.
type logWriter struct{ log hclog.Logger }

func (w logWriter) Write(line []byte) (int, error) {
	text := line
	if i := bytes.IndexByte(line, '['); i >= 0 { // after the date
		text = line[i:]
	}
	level := hclog.Trace
	switch {
	case bytes.HasPrefix(text, []byte("[ERR")):
		level = hclog.Warn
	case bytes.HasPrefix(text, []byte("[WARN")), bytes.HasPrefix(text, []byte("[INFO")):
		level = hclog.Debug
	}
	if _, rest, ok := bytes.Cut(text, []byte("memberlist: ")); ok {
		text = rest
	}
	w.log.Log(level, string(bytes.TrimSpace(text)))
	return len(line), nil
}
