package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// addressesFile is where a node writes, in its data directory, how it is reached: with port 0 nobody knows before.
const addressesFile = "addresses.json"

// addresses are of a running node. They are of no use once the process has gone.
type addresses struct {
	Name   string `json:"name"`
	HTTP   string `json:"http,omitempty"`
	RPC    string `json:"rpc,omitempty"`
	Gossip string `json:"gossip,omitempty"`
	PID    int    `json:"pid"`
}

// writeAddresses replaces the file at once: a reader sees all of it or none.
func writeAddresses(dir string, a addresses) error {
	b, err := json.Marshal(a)
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, addressesFile+".*")
	if err != nil {
		return fmt.Errorf("write the addresses: %w", err)
	}
	_, err = temp.Write(append(b, '\n'))
	if e := temp.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(temp.Name(), filepath.Join(dir, addressesFile))
	}
	if err != nil {
		os.Remove(temp.Name())
		return fmt.Errorf("write the addresses: %w", err)
	}
	return nil
}

// removeAddresses takes the file away if it is this process's.
func removeAddresses(dir string) {
	if _, ours := readAddresses(dir, os.Getpid()); ours {
		os.Remove(filepath.Join(dir, addressesFile))
	}
}

// readAddresses gives the addresses of the node with that process id, or false when it has not written them yet.
func readAddresses(dir string, pid int) (addresses, bool) {
	var a addresses
	b, err := os.ReadFile(filepath.Join(dir, addressesFile))
	return a, err == nil && json.Unmarshal(b, &a) == nil && a.PID == pid
}
