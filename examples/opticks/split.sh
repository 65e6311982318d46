#!/bin/sh
# Finds the seven parts of the book and results in their first and last lines:
#   [{"part":1,"title":"Book I, Part 1","from":122,"to":2554}, …]
set -eu
book=examples/opticks/opticks.txt

LC_ALL=C awk '
	# Each part begins with a line that names its book.
	/^(THE )?(FIRST|SECOND|THIRD) BOOK/ {
		if (parts) last[parts] = NR - 1
		from[++parts] = NR
		book = /FIRST/ ? "I" : /SECOND/ ? "II" : "III"
		of[book]++
		title[parts] = "Book " book ", Part " of[book]
	}
	END {
		last[parts] = NR
		sub(/, Part 1$/, "", title[parts]) # the third book has one part only
		for (i = 1; i <= parts; i++)
			printf "%s{\"part\":%d,\"title\":\"%s\",\"from\":%d,\"to\":%d}", i == 1 ? "[" : ",", i, title[i], from[i], last[i]
		print "]"
		if (parts != 7) exit 1
	}' "$book" > "$MUSTER_RESULT" || {
	echo "$book does not have the seven parts of the Opticks" > "$MUSTER_ERROR"
	exit 2
}
