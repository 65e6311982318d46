package spec

import "strconv"

// clip shortens what a message quotes.
func clip(s string) string {
	for i := range s {
		if i >= 40 {
			return s[:i] + "…"
		}
	}
	return s
}

func fieldOf(job int, field string) string { return "jobs[" + strconv.Itoa(job) + "]." + field }

// nearest is the word that was probably meant, or "" when none is close: at most a third of its letters differ.
func nearest(word string, words []string) string {
	best, distance := "", 0
	for _, w := range words {
		limit := min(len(w), len(word)) / 3
		if limit == 0 || abs(len(w)-len(word)) > limit || len(w) > NameBytesMax || len(word) > NameBytesMax {
			continue
		}
		if n := edits(word, w); n <= limit && (best == "" || n < distance) {
			best, distance = w, n
		}
	}
	return best
}

func abs(n int) int { return max(n, -n) }

// edits is how many letters must be put in, left out, replaced or swapped with the next to make b of a.
func edits(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
