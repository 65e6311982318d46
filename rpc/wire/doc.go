// Package wire is the vocabulary of muster's RPC port: frames, messages, codes and limits.
//
// A connection opens with the byte Preface. Then both sides send frames (Frame): the dialler a Hello, the coordinator
// a Welcome or an error, and from there on calls, pushes and pings in either direction.
//
//	length (4, big endian) | kind | id | method | deadline in ms | body
//
// All after the length is msgpack as package pack writes it. A body is one message: a record (array) of its fields in
// order. A newer peer may add fields at a record's end; an older one passes over them, and reads missing ones as zero,
// so peers one version apart understand each other.
//
// The messages are neither the log's commands (package fsm, readable for years) nor the JSON of the HTTP side: each
// vocabulary is converted in one place, for this one rpc/server/convert.go. Ids cross as their numbers.
//
// The package does no I/O of its own beyond reading and writing a frame, starts no goroutine and imports nothing of
// ours but pack. Connections that carry frames both ways are package duplex.
//
// What bytes a stranger can send is bounded here: FrameBytesMax before anything is allocated, and every list by a
// limit of limits.go as well as by the bytes that are left for it.
package wire
