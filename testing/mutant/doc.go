// Package mutant plants bugs on purpose: a check that does not find them is worth nothing. The source stays as it is; go
// build is told to take a copy with the bug in it.
package mutant
