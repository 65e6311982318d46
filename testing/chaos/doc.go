// Package chaos breaks a real cluster at random while it works, and checks afterwards that nothing was lost and
// nothing happened twice.
//
// One seed decides the schedule (Plan) and the work (work.go): which fault, on whom, for how long, and what the
// requests look like. The processes run in real time, so a seed replays the schedule, not each interleaving.
//
//	Soak ──┬── faults: one after the other: break, hold, heal, let breathe
//	       ├── loaders: each submits a request, waits for its end, submits the next
//	       └── witness: petitioners and HTTP workers whose every call is recorded
//	  then: everything healed ──> every request ends ──> check
//
// Checked at the end (check.go):
//   - every acknowledged request is there, with all its jobs, and has ended as its jobs' own scripts decide;
//   - each job has exactly one step that ended it, its attempts count up, its log indexes never go back;
//   - no job was picked before all its needs were done;
//   - no attempt of a job ran twice, and a job that is done did run, as the attempt that the cluster names;
//   - what petitioners and HTTP workers were told is linearizable (testing/history), and stale reads do not go back;
//   - each coordinator at rest has about as many goroutines, files and bytes of memory as before the faults (leaks.go);
//   - all coordinators have the same state hash at the same log index;
//   - no process ended that was not told to, no log has a panic or a data race in it, no job outlived its worker
//     (the harness sees to these).
package chaos
