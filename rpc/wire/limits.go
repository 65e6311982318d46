package wire

import "time"

// Preface is the first byte of a connection that speaks this protocol: it tells it from Raft, TLS and HTTP.
const Preface byte = 0x02

// The protocol versions that this build speaks.
const (
	VersionMin uint32 = 1
	VersionMax uint32 = 1
)

// Limits of a connection.
const (
	FrameBytesMax      = 8 << 20   // of one frame, header included; larger messages travel in parts
	PartBytes          = 1 << 20   // of each part of a larger message: others get their turn between two
	MessageBytesMax    = 256 << 20 // of a message in parts
	HelloBytesMax      = 16 << 10  // of a frame before the peer is known
	CallsInFlightMax   = 1024      // that one side has open on a connection; more are refused as overloaded
	QueueBytesMax      = 32 << 20  // of frames waiting for a peer to read; above it the connection is cut
	HandshakeTimeout   = 5 * time.Second
	WriteTimeout       = 10 * time.Second // for a peer to take some bytes before the connection is cut
	frameBytesMin      = 4                // one byte for each field of a header
	lengthBytes        = 4
	TextBytesMax       = 64 << 10 // of a name, address, error or progress text; the state machine's limit is lower
	ArgBytesMax        = 1 << 20  // of one argument, environment value or directory
	BlobBytesMax       = FrameBytesMax
	GrantedBytesTarget = 1 << 20 // a push of grants is closed when it has grown to this
	InlineParentsBytes = 1 << 20 // parents' names and results that travel with an assignment; more are fetched by Inputs
	PageBytesTarget    = 1 << 20 // a page of jobs or inputs is closed when it has grown to this
)

// Limits of lists. A list is also bounded by the bytes that are left for it.
const (
	ReportsMax      = 16 << 10
	AttemptsMax     = 256 << 10
	AssignmentsMax  = 16 << 10
	ParentsMax      = 64 << 10
	PageMax         = 10_000
	SubmitJobsMax   = 2 << 20
	SubmitEdgesMax  = 16 << 20
	SubmitSpecsMax  = 1 << 20
	ArgsMax         = 64 << 10
	PairsMax        = 16 << 10
	QueuesMax       = 4096
	NeverMax        = 256
	CoordinatorsMax = 256
	LogBytesMax     = 4 << 20 // of one ReadLog
)
