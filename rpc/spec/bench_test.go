package spec

import (
	"bytes"
	"fmt"
	"testing"
)

func manyJobs(n int, yaml bool) []byte {
	var b bytes.Buffer
	if yaml {
		b.WriteString("name: many\njobs:\n")
	} else {
		b.WriteString(`{"name":"many","jobs":[`)
	}
	for i := range n {
		switch {
		case yaml:
			fmt.Fprintf(&b, "  - name: job-%d\n    command: [\"true\", \"%d\"]\n    retry: {limit: 3, backoff: 1s}\n", i, i)
			if i > 0 {
				fmt.Fprintf(&b, "    needs: [job-%d]\n", i/2)
			}
		case i == 0:
			fmt.Fprintf(&b, `{"name":"job-%d","command":["true","%d"],"retry":{"limit":3,"backoff":"1s"}}`, i, i)
		default:
			fmt.Fprintf(&b, `,{"name":"job-%d","command":["true","%d"],"needs":["job-%d"],"retry":{"limit":3,"backoff":"1s"}}`, i, i, i/2)
		}
	}
	if !yaml {
		b.WriteString("]}")
	}
	return b.Bytes()
}

func BenchmarkParse(b *testing.B) {
	for _, yaml := range []bool{false, true} {
		for _, n := range []int{1000, 100_000} {
			b.Run(fmt.Sprintf("yaml=%t/jobs=%d", yaml, n), func(b *testing.B) {
				body := manyJobs(n, yaml)
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					if r, err := Parse(body); err != nil || len(r.Jobs) != n {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/job")
			})
		}
	}
}
