package main

import (
	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/hashicorp/go-hclog"
)

// memoryShare is the part of the memory that there is that the process takes for its own: the rest is for what Go does
// not count, and for the file system's cache.
const memoryShare = 0.9

// limitMemory tells the runtime how much memory there is: what GOMEMLIMIT says, else the control group's or the
// machine's. The collector then works harder instead of letting the process be killed, and a coordinator refuses new
// work in time.
func limitMemory(log hclog.Logger) {
	if _, err := memlimit.Set(memlimit.WithRatio(memoryShare), memlimit.WithProvider(memory)); err != nil {
		log.Debug("how much memory there is cannot be found out; set GOMEMLIMIT", "error", err)
	}
}

// memory is what the control group allows, or what the machine has when that is less.
func memory() (uint64, error) {
	group, err := memlimit.FromCgroup()
	machine, err2 := memlimit.FromSystem()
	switch {
	case err2 != nil:
		return group, err
	case err != nil:
		return machine, nil
	}
	return min(group, machine), nil
}
