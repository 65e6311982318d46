package spec

// kind is what a token is.
type kind uint8

const (
	objectStart kind = iota
	objectEnd
	arrayStart
	arrayEnd
	key
	text    // a string
	number  // as it was written
	boolean // as it was written
	null
	end // of the body
)

var kindNames = [...]string{"an object", "the end of an object", "a list", "the end of a list", "a key", "text", "a number", "true or false", "nothing", "the end"}

func (k kind) String() string { return kindNames[k] }

// place is where a token starts. Only the source that made it can read it.
type place uint64

// token is one step through a body. Invariant: starts and ends are paired, and in an object keys and values alternate.
type token struct {
	kind kind
	text string
	at   place
}

// source gives a body's tokens in order, then end for ever.
type source interface {
	next() (token, error)
	// locate gives line and column, from 1.
	locate(place) (line, column int)
}

// syntaxError is returned when a body is not YAML or JSON at all.
type syntaxError struct {
	at      place
	line    int // when known without at
	message string
}

func (e *syntaxError) Error() string { return "malformed: " + e.message }
