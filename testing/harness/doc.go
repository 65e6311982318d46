// Package harness starts real muster processes on loopback, breaks them, and reads what they say.
//
// It is the base of every test and tool that wants a cluster as a user has it: the built binary, one process for each
// coordinator and worker, real sockets, real fsync. Nothing of muster is imported; what is checked is what an outsider
// can see: flags, exit codes, HTTP documents, log files.
//
//	c := harness.Start(t, harness.Options{})         // three coordinators c1..c3, two workers w1, w2, a leader elected
//	r := c.Submit(`jobs: [{name: a, shell: "true"}]`) // a request, submitted with an idempotency key
//	c.Leader().Kill()                                 // SIGKILL
//	c.WaitRequest(r.ID, "done")                       // asks whoever answers
//
// # Who owns what
//
//	Cluster --owns--> Process (one for each node) --owns--> the operating system's process, its log file, one goroutine in Wait
//	        --owns--> a range of loopback addresses, one host for each node, so that ports never collide or get reused
//	        --owns--> one thread that starts every process, so that the kernel kills them all when the test process dies
//
// Everything ends in the Cleanup of the TB that Start was given, by process id, however the test ends. That same
// Cleanup fails the test when a process ended that nobody told to, when a log has a panic or a data race in it, or
// when a child of a worker outlived it; and on a failure it prints the state and the end of each log.
//
// # Breaking the network
//
// With Options.Network each node lives in a network namespace of its own, joined by a bridge in another one, in which the
// harness opens its sockets:
//
//	c.Network().Drop(a, b)                       // what goes from a to b is lost
//	c.Network().Cut([]*harness.Node{a}, others)  // both ways between two groups
//	c.Network().Silence(w)                       // the connections that w has now go dead, new ones work
//	c.Network().Heal()
//
// The namespaces have no names and end with the test process. NetworkAllowed says whether the machine lets it.
//
// # Breaking disks
//
// With Options.Disks each coordinator's data directory is a testing/lazydisk: Node.Disk makes it slow, full, faulty or
// stuck, Node.PowerLoss kills the coordinator and loses what was not fsynced, Node.Wipe empties the directory.
//
// # Waiting
//
// Nothing here sleeps in the hope that something has happened by then. Until polls a condition until it holds and
// fails with the last reason why it did not. Bounds are generous (BoundDefault): they end a hang, they time nothing.
//
// # Outside tests
//
// TB is the small part of testing.TB that the harness needs. Main makes one for a command, so that soak runs and
// benchmarks use the same code.
//
// # Environment
//
//	MUSTER_BINARY     the binary to run; empty: built once for each process
//	MUSTER_RACE=1     build it with the race detector
//	MUSTER_TEST_LOGS  a directory that keeps the logs of each node; empty: the test's own, gone when it ends
package harness
