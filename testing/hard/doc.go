// Package hard holds the hard cases: faults that are rare, slow to make, or need root, each in a test of its own on
// real processes. What an ordinary user sees is in testing/e2e; random mixtures of faults are in testing/chaos.
//
//	go test ./testing/hard                           # all of them, about four minutes on two cores
//	go test ./testing/hard -run TestZombieWorker -v  # one
//
// They run one after the other, each on a cluster of its own, and are left out under -short. What a machine does not
// allow (mounting a small file system, for one) is skipped with a word on why. docs/reliability.md lists what each one
// showed. They need Linux.
package hard
