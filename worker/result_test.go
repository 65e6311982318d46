package worker

import (
	"runtime"
	"strings"
	"testing"
)

// A result of ten gigabytes (all of them a hole) is refused by its size: it is not read.
func TestAResultOfTenGigabytesIsNotRead(t *testing.T) {
	x, _ := newExecutor(t, 1<<20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := x.run(t.Context(), testJob(), script(`truncate -s 10G "$MUSTER_RESULT" || exit 9`))
	runtime.ReadMemStats(&after)
	if got.exit == 9 {
		t.Skip("this file system takes no file of that size")
	}
	if !strings.Contains(got.failure, "larger than") {
		t.Errorf("got %+v", got)
	}
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 8<<20 {
		t.Errorf("it took %d bytes of memory", spent)
	}
}
