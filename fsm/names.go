package fsm

import (
	"unicode"
	"unicode/utf8"
)

// nameBytesMax is the longest name of a session, request, job, worker, queue or label, and value of a label.
const nameBytesMax = 256

// checkName says why a text cannot be the name of something. Names cross logs, terminals, JSON and URLs, so they are
// UTF-8 without control characters.
func checkName(what, name string) *Refusal {
	if name == "" {
		return refuse(CodeInvalid, "%s has 1 to %d bytes, not 0", what, nameBytesMax)
	}
	return checkText(what, name)
}

// checkText is checkName for what may be empty.
func checkText(what, text string) *Refusal {
	switch {
	case len(text) > nameBytesMax:
		return refuse(CodeInvalid, "%s has at most %d bytes, not %d", what, nameBytesMax, len(text))
	case !printable(text):
		return refuse(CodeInvalid, "%s is UTF-8 without control characters, unlike %.40q", what, text)
	}
	return nil
}

// printable says whether a text is valid UTF-8 without control characters. Which characters those are is settled for
// ever by Unicode, so that every version of muster judges alike.
func printable(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ' || c == 0x7f:
			return false
		case c >= utf8.RuneSelf:
			return printableRunes(s[i:])
		}
	}
	return true
}

func printableRunes(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}

// checkLabels says why a list cannot be the labels of a job or a worker.
func checkLabels(list []Pair) *Refusal {
	if len(list) > labelsMax {
		return refuse(CodeLimit, "%d labels: at most %d", len(list), labelsMax)
	}
	if !sortedPairs(list) {
		return refuse(CodeInvalid, "labels are sorted by key, each key once")
	}
	for i := range list {
		if refusal := checkName("a label's name", list[i].Key); refusal != nil {
			return refusal
		}
		if refusal := checkText("a label's value", list[i].Value); refusal != nil {
			return refusal
		}
	}
	return nil
}
