// Package fsm is the pure core of muster: the state that every coordinator holds a copy of, and the commands that
// change it.
//
// It has no clock, I/O, goroutine, randomness or logger. All it knows comes from the entries of the Raft log, in
// order, so that equal logs give equal states, byte for byte; Hash makes that checkable at each index.
//
//	entry {now, commands} ──► Machine.Apply ──► answers, one a command
//	                               │       └──► Events, as data, with the entry's index
//	   SessionsDB   sessions > requests > jobs: specs, states, results (copy-on-write)
//	   JobDispatcher  which jobs wait on which; what a finished or failed job releases or cancels
//	   JobBoard     the jobs that are ready, by class, in order
//	   Workers      who is registered, what each holds, who wants more
//
// The dispatcher and the board do not know each other; Machine joins them. One entry may carry many commands, and
// its last step matches ready jobs with workers that asked for some: DONE of A, the release of B and B's grant to a
// worker are one entry.
//
// # The seed's words
//
//	SessionsDB.addRequestToSession, addJobsToRequest   Machine.submitRequest, SessionsDB.addRequest
//	JobDispatcher.submitJob / submitDepJob             JobDispatcher.submit
//	JobBoard.addJob                                    JobBoard.Add, through Machine.makeReady
//	pickJob                                            PickJobs, Machine.match
//	jobDone / jobFailed                                Machine.jobDone / jobFailed
//	cancelJobsDepOn                                    Machine.doom, for a request that stops Machine.cancelAll
//
// # Ownership
//
// One goroutine at a time may use a Machine. A View is immutable and may be read by anyone, for ever. Taking one
// costs microseconds whatever the size of the state: it starts a new generation, and whatever the Machine changes
// later it copies first (a page of jobs, a request's head), once a generation.
//
// # Invariants
//
// They are listed and checked in invariant.go.
package fsm
