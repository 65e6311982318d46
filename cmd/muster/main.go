// Command muster runs a cluster for job DAGs, and talks to one.
//
// Each subcommand has a file of its own. This package composes what the others make: it decides nothing about jobs.
package main

import (
	"os"
)

func main() {
	os.Exit(execute(app{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		env: os.Getenv, environ: os.Environ,
	}, os.Args[1:]))
}
