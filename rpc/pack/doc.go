// Package pack reads and writes msgpack arrays with bounds.
//
// It is the one place that touches vmihailenco/msgpack: the log (fsm), the wire (rpc/wire) and gossip's node meta all go
// through it. A record is a msgpack array of its fields in order. Reading is tolerant and bounded:
//
//   - a record with fewer fields than the reader asks for yields zero values, surplus fields are skipped, so a field
//     can be added at the end of a record without breaking older or newer peers;
//   - every declared length is checked against the bytes that are left before anything is allocated, nesting is
//     limited to DepthMax, and nothing is decoded by reflection (msgpack/v5's Unmarshal can be made to allocate
//     gigabytes by five bytes, vmihailenco/msgpack#401);
//   - the first error sticks: later reads return zero values, and Err reports it once at the end.
//
// A Reader's strings and byte slices are copies or views as each method says. Neither type is safe for concurrent use.
package pack
