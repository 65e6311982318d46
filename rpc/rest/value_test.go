package rest

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"
)

func TestValuesAsText(t *testing.T) {
	at := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		value any // a pointer
		json  string
	}{
		{ptr(Duration(10 * time.Minute)), `"10m"`},
		{ptr(Duration(2 * time.Hour)), `"2h"`},
		{ptr(Duration(90 * time.Minute)), `"1h30m"`},
		{ptr(Duration(time.Minute + time.Second)), `"1m1s"`},
		{ptr(Duration(20 * time.Second)), `"20s"`},
		{ptr(Duration(0)), `"0s"`},
		{ptr(StartAfter{Delay: time.Minute}), `"1m"`},
		{ptr(StartAfter{At: at}), `"2027-01-02T03:04:05Z"`},
		{ptr(Raw(`{"a":[1,"x",null]}`)), `{"a":[1,"x",null]}`},
		{ptr(Raw(`null`)), `null`},
		{ptr(Need{Job: "a"}), `"a"`},
		{ptr(Need{Job: "a", When: "failed"}), `{"job":"a","when":"failed"}`},
	} {
		b, err := json.Marshal(c.value)
		if err != nil || string(b) != c.json {
			t.Errorf("%#v as JSON: %s %v, want %s", c.value, b, err, c.json)
		}
		back := reflect.New(reflect.TypeOf(c.value).Elem()).Interface()
		if err := json.Unmarshal([]byte(c.json), back); err != nil || !reflect.DeepEqual(back, c.value) {
			t.Errorf("%s as %T: %+v %v", c.json, back, back, err)
		}
		y, err := yaml.Marshal(c.value)
		if err != nil {
			t.Errorf("%#v as YAML: %v", c.value, err)
		}
		back = reflect.New(reflect.TypeOf(c.value).Elem()).Interface()
		if err := yaml.Unmarshal(y, back); err != nil || string(y) != "null\n" && !reflect.DeepEqual(back, c.value) {
			t.Errorf("%q as %T: %+v %v", y, back, back, err)
		}
	}
}

func ptr[T any](v T) *T { return &v }

func TestBadValues(t *testing.T) {
	for _, c := range []struct {
		into any
		text string
		says string
	}{
		{new(Duration), `"10"`, "unit"}, {new(Duration), `"-1s"`, "negative"}, {new(Duration), `10`, "number"},
		{new(StartAfter), `"tomorrow"`, "RFC 3339"}, {new(StartAfter), `"2027-01-02"`, "RFC 3339"},
		{new(StartAfter), `"9999-01-01T00:00:00Z"`, "within"}, {new(StartAfter), `"0000-01-01T00:00:00+01:00"`, "within"},
		{new(Need), `7`, "name"}, {new(Need), `{"jb": "a"}`, "jb"}, {new(Need), `["a"]`, "name"},
	} {
		if err := json.Unmarshal([]byte(c.text), c.into); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s as %T: %v, want something about %q", c.text, c.into, err, c.says)
		}
	}
}

func TestResults(t *testing.T) {
	for _, c := range []struct {
		result   []byte
		isJSON   bool
		shown    string
		encoding string
		back     string
	}{
		{nil, false, "", "", ""},
		{[]byte(`{"a":1}`), true, `{"a":1}`, "", `{"a":1}`},
		{[]byte("a line\n"), false, `"a line\n"`, "", `"a line\n"`},
		{[]byte{0xff, 0}, false, `"/wA="`, Base64, "\xff\x00"},
	} {
		value, encoding := EncodeResult(c.result, c.isJSON)
		if string(value) != c.shown || encoding != c.encoding {
			t.Errorf("%q: %s %q", c.result, value, encoding)
		}
		if b, err := (Job{Result: value, ResultEncoding: encoding}).ResultBytes(); err != nil || string(b) != c.back {
			t.Errorf("%q: back as %q %v", c.result, b, err)
		}
	}
	if _, err := (Job{Result: Raw(`"x"`), ResultEncoding: "rot13"}).ResultBytes(); err == nil {
		t.Error("an unknown encoding is read")
	}
}

// FuzzSpecDocument: what is read as a spec can be written, and reads the same again.
func FuzzSpecDocument(f *testing.F) {
	f.Add([]byte(`{"jobs": [{"name": "a", "needs": ["b", {"job": "c", "when": "ended"}], "payload": {"x": [1.50]},
		"timeout": "90m", "start_after": "2027-01-01T00:00:00+02:00", "retry": {"limit": 1, "never": [2]}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var first, second RequestSpec
		if json.Unmarshal(body, &first) != nil {
			return
		}
		b, err := json.Marshal(first)
		if err != nil {
			t.Fatalf("%+v cannot be written: %v", first, err)
		}
		if err := json.Unmarshal(b, &second); err != nil {
			t.Fatalf("%s cannot be read: %v", b, err)
		}
		if again, _ := json.Marshal(second); string(again) != string(b) {
			t.Fatalf("%s became %s", b, again)
		}
	})
}
