// Package e2e holds the end-to-end tests: what muster promises its users, tried on real processes of the built binary
// through its command line and its HTTP interface only.
//
//	go test ./testing/e2e                                 # all of them, a few minutes on two cores
//	go test ./testing/e2e -run TestLeaderKilled -v        # one
//	MUSTER_TEST_LOGS=logs go test ./testing/e2e           # keep what every node wrote
//	MUSTER_BINARY=/usr/bin/muster go test ./testing/e2e   # try an installed one
//
// They are left out under -short. Each test that breaks something has a cluster of its own; those that only use one
// share it as subtests.
package e2e
