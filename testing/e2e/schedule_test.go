package e2e

import (
	"fmt"
	"slices"
	"testing"

	"github.com/musterhq/muster/testing/harness"
)

// TestScheduling tries which job runs where and when, each rule as its own request on one cluster.
func TestScheduling(t *testing.T) {
	play(t, start(t, harness.Options{}), []scene{
		{"max running", maxRunning},
		{"priority, then age", priorityOrder},
		{"queues and labels", queuesAndLabels},
		{"slots", slotsFit},
		{"on_failure: cancel", failureCancels},
		{"on_failure: stop", failureStops},
		{"retry of a failed request", retryRequest},
		{"fan out and in", fanOutIn},
		{"a long chain", longChain},
	})
}

// overlap is how many of the jobs ran at once, at most, by the times the cluster gives. Jobs of which one ended in the
// entry that started the other did not overlap.
func overlap(jobs []harness.Job, weight func(harness.Job) int) int {
	most := 0
	for _, a := range jobs {
		sum := 0
		for _, b := range jobs {
			if !b.Times.Picked.After(a.Times.Picked) && b.Times.Ended.After(a.Times.Picked) {
				sum += weight(b)
			}
		}
		most = max(most, sum)
	}
	return most
}

func each(harness.Job) int { return 1 }

func maxRunning(t *testing.T, c *harness.Cluster) {
	gate := harness.NewGate(t)
	var jobs []object
	for i := range 7 {
		jobs = append(jobs, object{"name": fmt.Sprint("job", i), "shell": gate.Wait()})
	}
	r := c.Submit(harness.Spec(t, object{"max_running": 2, "jobs": jobs}))
	harness.Until(t, harness.BoundDefault, "two jobs to run", func() error {
		if n := c.Request(r.ID).Counts["running"]; n != 2 {
			return fmt.Errorf("%d run", n)
		}
		return nil
	})
	gate.Open()
	c.WaitRequest(r.ID, "done")
	if n := overlap(c.Jobs(r.ID), each); n != 2 {
		t.Errorf("%d jobs were picked or running at once, want 2", n)
	}
}

func priorityOrder(t *testing.T, c *harness.Cluster) {
	c.AddWorker("--queues", "narrow", "--slots", "1")
	gate := harness.NewGate(t)
	first := c.Submit(request(t, object{"name": "blocker", "queue": "narrow", "shell": gate.Wait()}))
	c.WaitJobState(first.ID, "blocker", "running")
	job := func(name string, priority int) object {
		return object{"name": name, "queue": "narrow", "priority": priority, "shell": "true"}
	}
	one := c.Submit(request(t, job("low", -100), job("plain-1", 0), job("plain-2", 0), job("high", 100)))
	two := c.Submit(request(t, job("plain-3", 0), job("higher", 50)))
	gate.Open()
	c.WaitRequest(one.ID, "done")
	c.WaitRequest(two.ID, "done")

	all := append(c.Jobs(one.ID), c.Jobs(two.ID)...)
	picked := map[string]uint64{}
	for _, j := range all {
		picked[j.Name] = stepOf(t, c.History(j.ID), "picked").Index
	}
	slices.SortFunc(all, func(a, b harness.Job) int { return int(picked[a.Name]) - int(picked[b.Name]) })
	var order []string
	for _, j := range all {
		order = append(order, j.Name)
	}
	if want := []string{"high", "higher", "plain-1", "plain-2", "plain-3", "low"}; !slices.Equal(order, want) {
		t.Errorf("picked in the order %v, want %v", order, want)
	}
}

func queuesAndLabels(t *testing.T, c *harness.Cluster) {
	r := c.Submit(request(t,
		object{"name": "gpu", "labels": object{"gpu": "true"}, "shell": "true"},
		object{"name": "both", "labels": object{"gpu": "true", "zone": "west"}, "shell": "true"},
		object{"name": "queue", "queue": "slow", "shell": "true"},
		object{"name": "anywhere", "shell": "true"},
	))
	c.WaitJobState(r.ID, "anywhere", "done")
	for _, name := range []string{"gpu", "both", "queue"} {
		if j := c.JobNamed(r.ID, name); j.State != "ready" {
			t.Errorf("%s is %s though no worker fits", name, j.State)
		}
	}
	gpu := c.AddWorker("--labels", "gpu=true,zone=east")
	c.WaitJobState(r.ID, "gpu", "done")
	west := c.AddWorker("--labels", "gpu=true,zone=west", "--queues", "default,slow")
	c.WaitRequest(r.ID, "done")
	jobs := c.JobNames(r.ID)
	if got := jobs["gpu"].WorkerName; got != gpu.Name() {
		t.Errorf("gpu ran on %s, want %s", got, gpu.Name())
	}
	for _, name := range []string{"both", "queue"} {
		if got := jobs[name].WorkerName; got != west.Name() {
			t.Errorf("%s ran on %s, want %s", name, got, west.Name())
		}
	}
}

func slotsFit(t *testing.T, c *harness.Cluster) {
	c.AddWorker("--queues", "wide", "--slots", "4")
	var jobs []object
	weight := map[string]int{}
	for i := range 6 {
		name, slots := fmt.Sprint("job", i), 1+i%3
		weight[name] = slots
		jobs = append(jobs, object{"name": name, "queue": "wide", "slots": slots, "shell": "sleep 0.05"})
	}
	r := c.Submit(request(t, jobs...))
	large := c.Submit(request(t, object{"name": "large", "queue": "wide", "slots": 5, "shell": "true"}))
	c.WaitRequest(r.ID, "done")
	if n := overlap(c.Jobs(r.ID), func(j harness.Job) int { return weight[j.Name] }); n > 4 {
		t.Errorf("%d slots of 4 were used at once", n)
	}
	if j := c.JobNamed(large.ID, "large"); j.State != "ready" {
		t.Errorf("a job of 5 slots is %s on a worker of 4", j.State)
	}
	c.Call("POST", "/v1/requests/"+large.ID+"/cancel", "")
	c.WaitRequest(large.ID, "cancelled")
}

func failureCancels(t *testing.T, c *harness.Cluster) {
	r := c.Submit(request(t,
		object{"name": "bad", "shell": "exit 1"},
		object{"name": "child", "needs": []string{"bad"}, "shell": "true"},
		object{"name": "grandchild", "needs": []string{"child", "other"}, "shell": "true"},
		object{"name": "other", "shell": "sleep 0.1"},
		object{"name": "last", "needs": []string{"other"}, "shell": "true"},
	))
	c.WaitRequest(r.ID, "failed")
	for name, want := range map[string]string{"bad": "failed error", "child": "cancelled needs", "grandchild": "cancelled needs", "other": "done ", "last": "done "} {
		if j := c.JobNamed(r.ID, name); j.State+" "+j.Reason != want {
			t.Errorf("%s is %s %s, want %s", name, j.State, j.Reason, want)
		}
	}
}

func failureStops(t *testing.T, c *harness.Cluster) {
	gate, pids := harness.NewGate(t), harness.NewLines(t)
	r := c.Submit(harness.Spec(t, object{"on_failure": "stop", "jobs": []object{
		{"name": "bad", "shell": gate.Wait() + "; exit 1"},
		{"name": "busy", "shell": pids.Add("$$") + "; while :; do sleep 0.02; done"},
		{"name": "later", "needs": []string{"busy"}, "shell": "true"},
		{"name": "nowhere", "queue": "none-such", "shell": "true"},
	}}))
	c.WaitJobState(r.ID, "busy", "running")
	harness.Until(t, harness.BoundDefault, "the busy job's process", func() error {
		if len(pids.Read()) == 0 {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	gate.Open()
	c.WaitRequest(r.ID, "failed")
	for name, want := range map[string]string{"bad": "failed error", "busy": "cancelled stopped", "later": "cancelled stopped", "nowhere": "cancelled stopped"} {
		j := c.JobNamed(r.ID, name)
		if j.State+" "+j.Reason != want {
			t.Errorf("%s is %s %s, want %s", name, j.State, j.Reason, want)
		}
		checkHistory(t, j, c.History(j.ID))
	}
	noneAlive(t, pids)
}

func retryRequest(t *testing.T, c *harness.Cluster) {
	gate, runs := harness.NewGate(t), harness.NewLines(t)
	r := c.Submit(request(t,
		object{"name": "good", "shell": runs.Add("good")},
		object{"name": "flaky", "needs": []string{"good"}, "shell": runs.Add("flaky") + "; " + gate.Test()},
		object{"name": "after", "needs": []string{"flaky"}, "shell": runs.Add("after")},
	))
	c.WaitRequest(r.ID, "failed")
	gate.Open()
	if a := c.Call("POST", "/v1/requests/"+r.ID+"/retry", ""); a.Status/100 != 2 {
		t.Fatalf("retry: %v", a)
	}
	c.WaitRequest(r.ID, "done")
	if got, want := runs.Read(), []string{"good", "flaky", "flaky", "after"}; !slices.Equal(got, want) {
		t.Errorf("runs %v, want %v", got, want)
	}
	if j := c.JobNamed(r.ID, "flaky"); j.Attempt != 2 {
		t.Errorf("flaky ended as attempt %d", j.Attempt)
	}
	if a := c.Call("POST", "/v1/requests/"+r.ID+"/retry", ""); a.Status != 409 {
		t.Errorf("retry of a request that is done: %v, want 409", a)
	}
}

func fanOutIn(t *testing.T, c *harness.Cluster) {
	const width = 50
	jobs := []object{{"name": "begin", "shell": "echo 1 > $MUSTER_RESULT"}}
	var shards []string
	for i := range width {
		name := fmt.Sprint("shard", i)
		shards = append(shards, name)
		jobs = append(jobs, object{"name": name, "needs": []string{"begin"}, "shell": fmt.Sprintf("echo %d > $MUSTER_RESULT", i)})
	}
	jobs = append(jobs, object{"name": "sum", "needs": shards, "shell": "cp $MUSTER_INPUT $MUSTER_RESULT"})
	r := c.Submit(request(t, jobs...))
	c.WaitRequest(r.ID, "done")
	named := c.JobNames(r.ID)
	for i, name := range shards {
		j := named[name]
		if j.Times.Picked.Before(named["begin"].Times.Ended) || named["sum"].Times.Picked.Before(j.Times.Ended) {
			t.Errorf("%s ran from %v to %v, out of order", name, j.Times.Picked, j.Times.Ended)
		}
		mentions(t, "the input of sum", string(named["sum"].Result), fmt.Sprintf(`"%s":%d`, name, i))
	}
}

func longChain(t *testing.T, c *harness.Cluster) {
	const length = 100
	var jobs []object
	for i := range length {
		j := object{"name": fmt.Sprint("link", i), "shell": "true"}
		if i > 0 {
			j["needs"] = []string{fmt.Sprint("link", i-1)}
		}
		jobs = append(jobs, j)
	}
	r := c.Submit(request(t, jobs...))
	c.WaitRequest(r.ID, "done")
	list := c.Jobs(r.ID)
	for i := 1; i < len(list); i++ {
		if list[i].Times.Picked.Before(list[i-1].Times.Ended) {
			t.Errorf("%s was picked before %s ended", list[i].Name, list[i-1].Name)
		}
	}
}
