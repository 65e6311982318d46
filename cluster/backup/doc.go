// Package backup is the file in which an operator keeps the state of a cluster: what `muster operator snapshot save`
// writes. It is not a snapshot of Raft's: it says whose state it is, and has a checksum over all of it.
//
// A file is the magic string, the length of the header (4 bytes, big-endian), the header in JSON, the state as
// fsm.View.WriteTo writes it, the number of all bytes so far (8 bytes, big-endian) and the SHA-256 of all bytes so far.
// Length and sum stand at the end so that a file is written in one pass, without knowing how large it will be.
package backup
