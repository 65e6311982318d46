package rest

import (
	"bytes"
	"testing"
)

// FuzzEventStream reads arbitrary bytes as the stream of events of a coordinator: it ends, and where a watch stands
// never goes back, so that a broken stream is taken up without a loss.
func FuzzEventStream(f *testing.F) {
	for _, text := range []string{
		"id: 7\ndata: {\"type\":\"job\",\"index\":7,\"job\":\"j\"}\n\nid: 7\ndata: {\"type\":\"job\",\"index\":7}\n\n",
		": still here\n\nid: 9\n\n", "data: {\"type\":\"reset\",\"index\":12}\n\n", "id: x\ndata: {\n\n", "data: null\n\n",
		"id: 18446744073709551615\n\n", "data: {\"index\":3}\n\ndata: {\"index\":1}\n\n", "\r\n\r\n", "data", "data: {\"index\":0}\n\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		w := watch{from: 2}
		given := 0
		_ = w.read(bytes.NewReader(data), func(Event) bool {
			given++
			return given < 100
		})
		if given > 100 {
			t.Errorf("%d events were given to who wanted 100", given)
		}
		_ = w.call()
	})
}
