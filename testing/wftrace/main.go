// Command wftrace turns a recorded workflow in WfCommons' WfFormat into a muster request on standard output:
//
//	go run ./testing/wftrace [--time-scale 0.001] trace.json > request.json
//	muster submit --wait request.json
//
// Each task becomes a job that sleeps for its recorded run time times the scale.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/musterhq/muster/testing/wftrace/wfformat"
)

// defaultScale makes a minute of a trace 60 ms.
const defaultScale = 0.001

func main() {
	var o wfformat.Options
	flag.Float64Var(&o.TimeScale, "time-scale", defaultScale, "multiply recorded run times by this")
	flag.StringVar(&o.Session, "session", "", "session of the request")
	flag.StringVar(&o.Handler, "handler", "", "make jobs of this Go handler, which sleeps for payload.seconds, rather than shell jobs")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: wftrace [flags] TRACE.json > REQUEST.json")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := convert(flag.Arg(0), o, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "wftrace: %v\n", err)
		os.Exit(1)
	}
}

func convert(path string, o wfformat.Options, out io.Writer) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	trace, err := wfformat.Read(f)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	request, err := wfformat.Convert(trace, o)
	if err != nil {
		return err
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(request)
}
