package main

import (
	"fmt"
	"time"

	"github.com/musterhq/muster/testing/harness"
)

const (
	// frailQueue is the queue of the workers that are lost.
	frailQueue = "frail"
	// stopsShare is how many workers are killed for each one that is stopped: noticing that takes the lease's length.
	stopsShare = 4
	// lookEvery is how often a job is looked at.
	lookEvery = 5 * time.Millisecond
)

// loseWorkers kills, then stops, the worker that runs a job, and times from then to the job running on the other.
func loseWorkers(tb harness.TB, c *harness.Cluster, o options) (killed, stopped *distribution) {
	for range 2 {
		c.AddWorker("--slots", "1", "--queues", frailQueue)
	}
	var kills, stops []time.Duration
	for range o.workers {
		kills = append(kills, loseOne(tb, c, (*harness.Node).Kill, func(n *harness.Node) { n.Restart(tb) }))
	}
	for range (o.workers + stopsShare - 1) / stopsShare {
		stops = append(stops, loseOne(tb, c, (*harness.Node).Pause, (*harness.Node).Resume))
	}
	k, s := distributionOf(kills), distributionOf(stops)
	return &k, &s
}

func loseOne(tb harness.TB, c *harness.Cluster, lose, heal func(*harness.Node)) time.Duration {
	gate := harness.NewGate(tb)
	r := c.Submit(harness.Spec(tb, map[string]any{"session": "frail", "jobs": []map[string]any{
		{"name": "a", "queue": frailQueue, "shell": gate.Wait()},
	}}))
	first := c.WaitJobState(r.ID, "a", "running")
	victim := c.WorkerNode(first.Worker)
	at := time.Now()
	lose(victim)
	var took time.Duration
	for deadline := at.Add(harness.BoundDefault); ; {
		j := c.Job(first.ID)
		if j.State == "running" && j.Attempt > first.Attempt && j.Worker != first.Worker {
			took = time.Since(at)
			break
		}
		if time.Now().After(deadline) || tb.Context().Err() != nil {
			tb.Fatalf("the job of %s does not run elsewhere: %s", victim.Name(), fmt.Sprint(j))
		}
		<-time.After(lookEvery)
	}
	tb.Logf("%s lost: its job runs elsewhere after %v", victim.Name(), took)
	heal(victim)
	gate.Open()
	c.WaitRequest(r.ID, "done")
	harness.Until(tb, harness.BoundDefault, victim.Name()+" to be back", func() error {
		if w := c.WorkerNamed(victim.Name()); w.State != "alive" {
			return fmt.Errorf("it is %s", w.State)
		}
		return nil
	})
	return took
}
