package report

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/musterhq/muster/testing/bench/peer"
	"github.com/musterhq/muster/testing/bench/result"
)

// What is between the markers belongs to the report; people write around it.
const (
	begin = "<!-- bench report: begin -->"
	end   = "<!-- bench report: end -->"
)

// curveSubject is whose scaling curve is drawn.
const curveSubject = "muster-boltdb"

// Write puts the report into the Markdown file doc, between the markers, or at its end if it has none, and the plots beside it, as
// NAME-comparison.svg and NAME-scaling.svg.
func Write(f *result.File, doc string) error {
	text, err := os.ReadFile(doc)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("read the document: %w", err)
	}
	base := strings.TrimSuffix(doc, filepath.Ext(doc))
	comparisonSVG, scalingSVG := base+"-comparison.svg", base+"-scaling.svg"
	if err := plotComparison(f, comparisonSVG); err != nil {
		return err
	}
	hasCurve := len(f.Select(curveSubject, peer.Curve)) > 0
	if hasCurve {
		if err := plotCurve(f, curveSubject, scalingSVG); err != nil {
			return err
		}
	} else {
		scalingSVG = ""
	}
	whole, err := insert(string(text), Markdown(f, filepath.Base(comparisonSVG), scalingSVG))
	if err != nil {
		return fmt.Errorf("%s: %w", doc, err)
	}
	return os.WriteFile(doc, []byte(whole), 0o644)
}

// insert puts the section between the markers of a document.
func insert(doc, section string) (string, error) {
	section = begin + "\n" + section + end
	from, to := strings.Index(doc, begin), strings.Index(doc, end)
	switch {
	case from < 0 && to < 0:
		return strings.TrimRight(doc, "\n") + "\n\n" + section + "\n", nil
	case from < 0 || to < from:
		return "", fmt.Errorf("of the two markers one is missing, or they are the wrong way round: %q, %q", begin, end)
	default:
		return doc[:from] + section + doc[to+len(end):], nil
	}
}

// Markdown is the section, with the names of the plots; scaling may be empty.
func Markdown(f *result.File, comparisonSVG, scalingSVG string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n## Side by side\n\n%s, rounds: %d, %.0f s in all, on %s. Medians [least–most]; all processes on the same cores:\n\n    cd testing/bench && %s\n\n",
		f.Began.Format("2 January 2006"), f.Rounds, f.Seconds, f.Machine, f.Command)
	if f.Scale != 1 {
		fmt.Fprintf(&b, "With %g of the usual number of jobs: too few for figures to quote.\n\n", f.Scale)
	}
	fmt.Fprintf(&b, "![jobs a second](%s)\n\n", comparisonSVG)
	comparison(&b, f)
	b.WriteString("\nHow many times as fast, or what share:\n\n")
	ratios(&b, f)
	b.WriteString("\n### Ceilings, and what is no job system\n\n")
	ceilings(&b, f)
	b.WriteString("\n### muster's workloads\n\n")
	ours(&b, f)
	if scalingSVG != "" {
		fmt.Fprintf(&b, "\n### As the work grows\n\n![cost of a job](%s)\n\n", filepath.Base(scalingSVG))
		curve(&b, f, curveSubject)
	}
	b.WriteString("\n### Versions and settings\n\n")
	for _, s := range f.Subjects {
		fmt.Fprintf(&b, "- **%s** %s: %s\n", s.Title, s.Version, s.Settings)
	}
	skipped(&b, f)
	return b.String()
}

func skipped(b *strings.Builder, f *result.File) {
	if len(f.Skipped) == 0 {
		return
	}
	b.WriteString("\nNot measured: ")
	var list []string
	for _, s := range f.Skipped {
		why, _, _ := strings.Cut(s.Why, "\n")
		if s.Round > 0 {
			why = fmt.Sprintf("round %d failed", s.Round)
		}
		if text := s.Name + " (" + why + ")"; !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	fmt.Fprintf(b, "%s.\n", strings.Join(list, ", "))
}
