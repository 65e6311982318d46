// Package arch checks the architecture as a test: which package may import which, what the state machine must not
// touch, and what every package must have. The rules are in rules.go; ARCHITECTURE.md tells the reasons.
package arch
