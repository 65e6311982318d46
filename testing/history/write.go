package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/anishathalye/porcupine"
)

// draw writes a page that shows the part and how far an order was found. It says where.
func (p *part) draw(opt Options) string {
	_, info := porcupine.CheckOperationsVerbose(p.model, p.operations(), opt.Limit)
	path := filepath.Join(opt.Dir, strings.ReplaceAll(p.name, " ", "-")+".html")
	err := os.MkdirAll(opt.Dir, 0o755)
	if err == nil {
		err = porcupine.VisualizePath(p.model, info, path)
	}
	if err != nil {
		return fmt.Sprintf("not drawn: %v", err)
	}
	return "drawn in " + path
}

// write keeps a whole history, one operation a line. It says where.
func write(dir string, ops []*Op) string {
	path := filepath.Join(dir, "history.jsonl")
	f, err := os.Create(path)
	if err != nil {
		return fmt.Sprintf("the history was not kept: %v", err)
	}
	out := bufio.NewWriter(f)
	lines := json.NewEncoder(out)
	for _, o := range ops {
		err = errors.Join(err, lines.Encode(o))
	}
	if err = errors.Join(err, out.Flush(), f.Close()); err != nil {
		return fmt.Sprintf("the history was not kept whole: %v", err)
	}
	return "the whole history is in " + path
}
