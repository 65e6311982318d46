#!/bin/sh
# Merges the counts of the parts. It results in the colours of each part, and the words that the whole book uses most:
#   {"parts":[{"part":1,"title":"…","total":17000,"red":12,…},…],"top":[{"word":"light","count":900},…]}
set -eu
export LC_ALL=C

tr '{' '\n' < "$MUSTER_INPUT" | grep '"part":' | sed 's/}.*//' | awk -F',"' '
	BEGIN {
		n = split("that this with from which their they were them into then than when have will other these made being " \
			"upon more same those such most there very could would should shall also some where through after each " \
			"about been between first second third like only less great much part three much well", list, " ")
		for (i = 1; i <= n; i++) common[list[i]] = 1
		split("red orange yellow green blue indigo violet", colours, " ")
	}
	{
		split("", v)
		for (i = 1; i <= NF; i++) {
			cut = index($i, "\":")
			key = substr($i, 1, cut - 1); sub(/^"/, "", key)
			v[key] = substr($i, cut + 2)
			if (key ~ /^w:/ && !(substr(key, 3) in common)) words[substr(key, 3)] += v[key]
		}
		line = sprintf("{\"part\":%d,\"title\":%s,\"total\":%d", v["part"], v["title"], v["total"])
		for (i = 1; i <= 7; i++) line = line sprintf(",\"%s\":%d", colours[i], v["c:" colours[i]])
		parts[v["part"] + 0] = line "}"
		if (v["part"] + 0 > last) last = v["part"] + 0
	}
	END {
		printf "{\"parts\":["
		for (i = 1; i <= last; i++) printf "%s%s", i == 1 ? "" : ",", parts[i]
		printf "],\"top\":["
		for (rank = 1; rank <= 20; rank++) {
			best = ""
			for (w in words) if (best == "" || words[w] > words[best] || words[w] == words[best] && w < best) best = w
			printf "%s{\"word\":\"%s\",\"count\":%d}", rank == 1 ? "" : ",", best, words[best]
			delete words[best]
		}
		print "]}"
	}' > "$MUSTER_RESULT"
