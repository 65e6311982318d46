package spec

// What a spec may hold at most. The limits on jobs, needs and payloads of a cluster are part of its state and checked
// there; these keep the reading itself bounded.
const (
	// YAMLBytesMax is the largest body read as YAML: its tree takes about fifty times as much memory.
	YAMLBytesMax = 16 << 20
	// NameBytesMax is the longest name of a job, queue or session.
	NameBytesMax = 128
	// TitleBytesMax is the longest name of a request.
	TitleBytesMax = 1 << 10
	// PriorityMax is the highest priority; the lowest is -PriorityMax.
	PriorityMax = 100
	// SlotsMax is the most slots that one job takes.
	SlotsMax = 100_000
	// CountMax is the largest max_running, retry.limit and lost_limit.
	CountMax = 1_000_000_000
	// FactorMax is the largest retry.factor; the smallest is 1.
	FactorMax = 1000

	depthMax       = 100     // of lists and objects inside each other
	aliasTokensMax = 100_000 // values that YAML aliases stand for, all together
	cycleShownMax  = 20      // names of a cycle that a problem lists
	suggestJobsMax = 10_000  // above it no "did you mean" is looked for among the jobs
)

const depthMessage = "lists and objects are nested deeper than 100 levels"
