package duplex

import (
	"context"
	"errors"
	"time"

	"github.com/musterhq/muster/rpc/pack"
	"github.com/musterhq/muster/rpc/wire"
)

// Config says how patient a connection is. Every zero field stands for its default.
type Config struct {
	FrameMax     int           // bytes of a frame that the peer reads; default wire.FrameBytesMax
	QueueMax     int           // bytes that wait for the peer to read; default wire.QueueBytesMax
	CallsMax     int           // calls in flight in each direction; default wire.CallsInFlightMax
	PingAfter    time.Duration // of silence; default DefaultPingAfter
	IdleMax      time.Duration // of silence before the connection is cut; default DefaultIdleMax
	WriteTimeout time.Duration // for the peer to take some bytes; default wire.WriteTimeout, at most IdleMax
	Budget       *Budget       // for large calls of the peer; nil: none are taken
}

// Defaults of a Config.
const (
	DefaultPingAfter = 5 * time.Second
	DefaultIdleMax   = 15 * time.Second
)

func (cfg Config) withDefaults() Config {
	or := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	orTime := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	or(&cfg.FrameMax, wire.FrameBytesMax)
	or(&cfg.QueueMax, wire.QueueBytesMax)
	or(&cfg.CallsMax, wire.CallsInFlightMax)
	orTime(&cfg.PingAfter, DefaultPingAfter)
	orTime(&cfg.IdleMax, DefaultIdleMax)
	orTime(&cfg.WriteTimeout, wire.WriteTimeout)
	cfg.WriteTimeout = min(cfg.WriteTimeout, cfg.IdleMax)
	return cfg
}

// Incoming is a call of the peer.
type Incoming struct {
	ID     uint64
	Method wire.Method
	Body   *pack.Reader // valid until Handler.Call returns, unless Owned
	Owned  bool         // Body stays valid: a large message, best decoded in the Work
}

// Work does a call and makes its answer. It runs on a goroutine of its own; ctx ends with the caller's deadline, its
// cancellation, or the connection.
type Work func(ctx context.Context) (wire.Message, error)

// Handler is what a side does with the calls and pushes of the other. Its methods are called on the goroutine that
// reads: they decode and must not block.
type Handler interface {
	// Call begins a call. It is answered with what the Work returns, or at once with the error. If both are nil, the
	// handler has taken it upon itself to Answer.
	Call(c *Conn, in Incoming) (Work, error)
	// Push takes a one-way message. An error cuts the connection.
	Push(c *Conn, method wire.Method, body *pack.Reader) error
}

// Errors of a connection.
var (
	// ErrClosed is returned when a call or push was not sent because the connection had already ended.
	ErrClosed = errors.New("connection closed")
	// ErrBroken is returned when the connection ended with a call in flight: it may or may not have been carried out.
	ErrBroken = errors.New("connection lost with the call in flight")
	// ErrSilent ends a connection whose peer has said nothing for IdleMax.
	ErrSilent = errors.New("peer is silent")
	// ErrNotReading ends a connection whose peer does not read what is sent to it.
	ErrNotReading = errors.New("peer does not read")
	// ErrTooLarge is returned when a message is too large to send.
	ErrTooLarge = errors.New("message too large")
	// errTooManyCalls is returned when CallsMax calls are in flight.
	errTooManyCalls = wire.Errorf(wire.CodeOverloaded, "too many calls in flight on this connection")
	// errTooMuchAtOnce is returned when the Budget is used up.
	errTooMuchAtOnce = wire.Errorf(wire.CodeOverloaded, "too many large messages at once")
)
