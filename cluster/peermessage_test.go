package cluster

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// filled is a T in which every field differs from zero, so that a round trip shows one that was forgotten.
func filled[T any]() T {
	var v T
	fill(reflect.ValueOf(&v).Elem(), new(uint64))
	return v
}

func fill(v reflect.Value, n *uint64) {
	*n++
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.String:
		v.SetString(string(rune('a' + *n%26)))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	default:
		v.SetUint(*n % 200)
	}
}

func TestPeerMessagesRoundTrip(t *testing.T) {
	q := filled[peerRequest]()
	got, err := decodePeerRequest(q.encode())
	must(t, err)
	if d := cmp.Diff(q, got); d != "" {
		t.Errorf("request: %s", d)
	}
	a := filled[peerAnswer]()
	answer, err := decodePeerAnswer(a.encode())
	must(t, err)
	if d := cmp.Diff(a, answer); d != "" {
		t.Errorf("answer: %s", d)
	}
	h := filled[hello]()
	greeting, err := decodeHello(h.encode())
	must(t, err)
	if d := cmp.Diff(h, greeting); d != "" {
		t.Errorf("hello: %s", d)
	}
	if _, err := decodePeerAnswer((&peerAnswer{Refusal: "no"}).encode()); err == nil {
		t.Error("an answer of nobody was taken")
	}
}

func FuzzPeerMessages(f *testing.F) {
	q, a, h := filled[peerRequest](), filled[peerAnswer](), filled[hello]()
	f.Add(q.encode())
	f.Add(a.encode())
	f.Add(h.encode())
	f.Add([]byte{0x97, 0x00, 0xdb, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		if q, err := decodePeerRequest(data); err == nil {
			again, err := decodePeerRequest(q.encode())
			if err != nil || !cmp.Equal(q, again) {
				t.Fatalf("%+v became %+v, %v", q, again, err)
			}
		}
		if a, err := decodePeerAnswer(data); err == nil {
			if again, err := decodePeerAnswer(a.encode()); err != nil || !cmp.Equal(a, again) {
				t.Fatalf("%+v became %+v, %v", a, again, err)
			}
		}
		_, _ = decodeHello(data)
		_ = decodeVerdict(data)
		_, _ = readFrame(bytes.NewReader(data))
	})
}
