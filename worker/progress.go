package worker

import (
	"bytes"
	"strconv"
	"strings"
)

// progressTextMax is how much of a progress text is kept, in bytes. It is what the coordinators keep too.
const progressTextMax = 4 << 10

// ParseProgress reads a line of progress: "50", "50%" or "7/10", a fraction allowed ("12.5%"), then optionally white
// space and a text for people. More than all counts as 100. ok is false for anything else.
func ParseProgress(line string) (percent int, text string, ok bool) {
	number, text, _ := strings.Cut(strings.TrimSpace(strings.ReplaceAll(line, "\t", " ")), " ")
	part, whole, isRatio := strings.Cut(number, "/")
	if !isRatio {
		part, whole = strings.TrimSuffix(number, "%"), "100"
	}
	p, ok1 := parseAmount(part)
	w, ok2 := parseAmount(whole)
	if !ok1 || !ok2 || w == 0 {
		return 0, "", false
	}
	return int(min(p/w*100, 100)), cutText(strings.TrimSpace(text), progressTextMax), true
}

// parseAmount reads a plain decimal number, without sign, exponent or the names that ParseFloat also takes.
func parseAmount(s string) (float64, bool) {
	if s == "" || s[0] == '.' || strings.Trim(s, "0123456789.") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

// lastLine is the last line of data that is not blank.
func lastLine(data []byte) string {
	data = bytes.TrimSpace(data)
	return string(data[bytes.LastIndexByte(data, '\n')+1:])
}

// cutText is s as valid UTF-8 of at most limit bytes.
func cutText(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.ToValidUTF8(s, "")
}
