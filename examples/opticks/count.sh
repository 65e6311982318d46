#!/bin/sh
# Counts the words of one part of the book. The payload says which part, the result of split where it stands.
# It results in one flat object: {"part":1,"title":"…","total":17000,"c:red":12,…,"w:light":301,…}, where c: counts the
# colours and w: all words of four letters or more that occur twice at least.
set -eu
export LC_ALL=C
book=examples/opticks/opticks.txt
slices=10
pace=${PACE:-0.1} # seconds of rest after each slice, so that there is some progress to see

field() { # field LINE KEY: a value of a flat JSON object
	printf '%s\n' "$1" | sed -n 's/.*"'"$2"'": *"\{0,1\}\([^"}]*[^",}]\)"\{0,1\}[,}].*/\1/p'
}
part=$(sed -n 's/.*"count": *\([0-9]*\).*/\1/p' "$MUSTER_INPUT")
place=$(tr '{' '\n' < "$MUSTER_INPUT" | grep "\"part\": *$part,")
title=$(field "$place" title) from=$(printf '%s' "$place" | sed 's/.*"from": *\([0-9]*\).*/\1/') to=$(printf '%s' "$place" | sed 's/.*"to": *\([0-9]*\).*/\1/')

words=$(mktemp)
trap 'rm -f "$words"' EXIT
i=0
while [ $i -lt $slices ]; do
	a=$((from + (to - from + 1) * i / slices))
	i=$((i + 1))
	b=$((from + (to - from + 1) * i / slices - 1))
	sed -n "$a,${b}p" "$book" | tr 'A-Z' 'a-z' | tr -cs "a-z'\\200-\\377" '\n' | sed "s/^'*//; s/'*\$//; /^\$/d" >> "$words"
	echo "$i/$slices $title, lines $a to $b" >> "$MUSTER_PROGRESS"
	sleep "$pace"
done

echo "$title has $(wc -l < "$words") words"
sort "$words" | uniq -c | awk -v part="$part" -v title="$title" '
	BEGIN { n = split("red orange yellow green blue indigo violet", names); for (i = 1; i <= n; i++) colour[names[i]] = 1 }
	{ total += $1 }
	$2 in colour { out = out sprintf(",\"c:%s\":%d", $2, $1) }
	length($2) >= 4 && $1 >= 2 { out = out sprintf(",\"w:%s\":%d", $2, $1) }
	END { printf "{\"part\":%d,\"title\":\"%s\",\"total\":%d%s}\n", part, title, total, out }' > "$MUSTER_RESULT"
