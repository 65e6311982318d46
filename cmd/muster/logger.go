package main

import (
	"io"

	"github.com/hashicorp/go-hclog"
)

func newLogger(w io.Writer, name, level string, asJSON, colour bool) hclog.Logger {
	o := &hclog.LoggerOptions{Name: name, Level: hclog.LevelFromString(level), Output: w, JSONFormat: asJSON}
	if colour {
		o.Color = hclog.ForceColor
	}
	return hclog.New(o)
}
