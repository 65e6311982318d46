#!/bin/sh
# Draws what merge resulted in as a page to open in a browser, and results in its path.
set -eu
export LC_ALL=C
out=${OUT:-muster-example-out}
mkdir -p "$out" 2>/dev/null && [ -w "$out" ] || out=$(mktemp -d)
page=$(cd "$out" && pwd)/opticks-$MUSTER_REQUEST.html

tr '{' '\n' < "$MUSTER_INPUT" | awk '
	function value(key,   at, rest) { # of the flat object on this line
		at = index($0, "\"" key "\":")
		if (!at) return ""
		rest = substr($0, at + length(key) + 3)
		if (rest ~ /^"/) { rest = substr(rest, 2); sub(/".*/, "", rest) } else sub(/[^0-9].*/, "", rest)
		return rest
	}
	/"title":/ {
		title[++parts] = value("title"); total[parts] = value("total"); book += total[parts]
		for (c = 1; c <= 7; c++) {
			seen[parts, c] = value(name[c])
			share[parts, c] = 10000 * seen[parts, c] / total[parts]
			if (share[parts, c] > top) top = share[parts, c]
		}
	}
	/"word":/ { word[++n] = value("word"); count[n] = value("count") }
	BEGIN {
		split("red orange yellow green blue indigo violet", name, " ")
		split("#d7263d #f28f3b #f2c53d #2e933c #2364aa #3f2b96 #8e4585", paint, " ")
	}
	END {
		print "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>The colours of the Opticks</title>"
		print "<style>body{font:16px/1.5 Georgia,serif;max-width:56rem;margin:2rem auto;padding:0 1rem;color:#222}" \
			"svg{width:100%;height:auto}text{font:12px sans-serif;fill:#444}h1,h2{font-weight:normal}" \
			"td,th{padding:.1rem .7rem;text-align:right}td:first-child,th:first-child{text-align:left}</style>"
		printf "<h1>The colours of the <i>Opticks</i></h1><p>Isaac Newton, fourth edition, 1730: %d words in seven parts, counted by muster.</p>\n", book
		colours(); words(); table()
		print "</html>"
	}
	function colours(   p, c, x, y, h, high) {
		high = 20 * (int(top / 20) + 1)
		print "<h2>How often each part names a colour, in 10,000 words</h2><svg viewBox=\"0 0 860 360\" role=\"img\">"
		for (y = 0; y <= high; y += high / 4) {
			h = 300 - 280 * y / high
			printf "<line x1=\"40\" x2=\"850\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/><text x=\"34\" y=\"%.1f\" text-anchor=\"end\">%d</text>\n", h, h, h + 4, y
		}
		for (p = 1; p <= parts; p++) {
			x = 48 + (p - 1) * 115
			for (c = 1; c <= 7; c++) {
				h = 280 * share[p, c] / high
				printf "<rect x=\"%d\" y=\"%.1f\" width=\"13\" height=\"%.1f\" fill=\"%s\"><title>%s: %s, %d times</title></rect>\n", x + (c - 1) * 14, 300 - h, h, paint[c], title[p], name[c], seen[p, c]
			}
			printf "<text x=\"%d\" y=\"320\" text-anchor=\"middle\">%s</text>\n", x + 49, title[p]
		}
		for (c = 1; c <= 7; c++)
			printf "<rect x=\"%d\" y=\"338\" width=\"12\" height=\"12\" fill=\"%s\"/><text x=\"%d\" y=\"348\">%s</text>\n", 48 + (c - 1) * 90, paint[c], 65 + (c - 1) * 90, name[c]
		print "</svg>"
	}
	function words(   i, y) {
		printf "<h2>The words of four letters or more that it uses most</h2><svg viewBox=\"0 0 860 %d\" role=\"img\">\n", 22 * n + 10
		for (i = 1; i <= n; i++) {
			y = 22 * (i - 1)
			printf "<text x=\"130\" y=\"%d\" text-anchor=\"end\">%s</text><rect x=\"140\" y=\"%d\" width=\"%.1f\" height=\"16\" fill=\"#2364aa\"/><text x=\"%.1f\" y=\"%d\">%d</text>\n", y + 16, word[i], y + 3, 640 * count[i] / count[1], 146 + 640 * count[i] / count[1], y + 16, count[i]
		}
		print "</svg>"
	}
	function table(   p, c) {
		printf "<h2>The counts</h2><table><tr><th>part<th>words"
		for (c = 1; c <= 7; c++) printf "<th>%s", name[c]
		print ""
		for (p = 1; p <= parts; p++) {
			printf "<tr><td>%s<td>%d", title[p], total[p]
			for (c = 1; c <= 7; c++) printf "<td>%d", seen[p, c]
			print ""
		}
		print "</table>"
	}' > "$page"

echo "open $page"
printf '{"page":"%s"}\n' "$page" > "$MUSTER_RESULT"
