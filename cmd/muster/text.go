package main

import (
	"encoding/json"
	"strings"
)

// plainText takes the quotes off a JSON string and leaves any other JSON as it is.
func plainText(raw []byte) string {
	var s string
	if len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &s) == nil {
		return strings.TrimRight(s, "\n")
	}
	return string(raw)
}
