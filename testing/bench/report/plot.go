package report

import (
	"fmt"
	"image/color"
	"maps"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/musterhq/muster/testing/bench/peer"
	"github.com/musterhq/muster/testing/bench/result"
)

var (
	blue  = color.RGBA{R: 0x1f, G: 0x77, B: 0xb4, A: 0xff}
	grey  = color.RGBA{R: 0x99, G: 0x99, B: 0x99, A: 0xff}
	green = color.RGBA{R: 0x2c, G: 0xa0, B: 0x2c, A: 0xff}
	red   = color.RGBA{R: 0xd6, G: 0x27, B: 0x28, A: 0xff}
)

// logFloor is where the bars of the comparison begin: on a logarithmic axis there is no zero.
const logFloor = 10

// plotComparison draws the jobs a second of all subjects: a bar to the median, a line from the least to the most.
func plotComparison(f *result.File, path string) error {
	list := byRate(f, func(result.Subject) bool { return true })
	slices.Reverse(list) // the axis goes upwards
	p := plot.New()
	p.Title.Text = "no-op jobs a second, end to end (median, least and most)"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.X.Label.Text = "jobs a second"
	p.X.Min, p.X.Max = logFloor, 10*logFloor
	var names []string
	for i, s := range list {
		v := spread(f, s.Name, peer.Jobs, perSecond)
		p.X.Max = max(p.X.Max, 1.3*v.Max)
		names = append(names, s.Title)
		if err := addBar(p, float64(i), v.Median, kindColour(s.Kind)); err != nil {
			return err
		}
		line, err := plotter.NewLine(plotter.XYs{{X: max(v.Min, logFloor), Y: float64(i)}, {X: max(v.Max, logFloor), Y: float64(i)}})
		if err != nil {
			return err
		}
		line.Width = vg.Points(1.5)
		p.Add(line)
	}
	p.NominalY(names...)
	p.Y.Padding = vg.Points(8)
	return save(p, 9*vg.Inch, vg.Length(len(list))*0.32*vg.Inch+1.2*vg.Inch, path)
}

func kindColour(k result.Kind) color.Color {
	switch k {
	case result.Ours:
		return blue
	case result.Ceiling:
		return green
	default:
		return grey
	}
}

// addBar adds a horizontal bar. (plotter.BarChart begins at zero, which a logarithmic axis has not.)
func addBar(p *plot.Plot, y, to float64, c color.Color) error {
	const half = 0.35
	to = max(to, logFloor*1.02)
	bar, err := plotter.NewPolygon(plotter.XYs{{X: logFloor, Y: y - half}, {X: to, Y: y - half}, {X: to, Y: y + half}, {X: logFloor, Y: y + half}})
	if err != nil {
		return err
	}
	bar.Color, bar.LineStyle.Width = c, 0
	p.Add(bar)
	return nil
}

// plotCurve draws what a job costs as the work grows.
func plotCurve(f *result.File, subject, path string) error {
	p := plot.New()
	p.Title.Text = "cost of a no-op job as the work grows"
	p.X.Label.Text, p.Y.Label.Text = "jobs", "µs a job"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.Y.Min, p.Y.Max = 1, 100 // at least these decades, which have labels
	p.Legend.Top = true
	p.Add(plotter.NewGrid())
	for _, l := range []struct {
		title, workload string
		figure          func(result.Sample) float64
		colour          color.Color
		dashed          bool
	}{
		{"CPU of all processes, requests of 1,000", peer.Curve, cpu, blue, false},
		{"wall, requests of 1,000", peer.Curve, wall, red, false},
		{"CPU of all processes, one request", peer.CurveOne, cpu, blue, true},
		{"wall, one request", peer.CurveOne, wall, red, true},
	} {
		var points plotter.XYs
		sizes := bySize(f.Select(subject, l.workload))
		for _, n := range slices.Sorted(maps.Keys(sizes)) {
			if y := of(sizes[n], l.figure).Median; y > 0 {
				points = append(points, plotter.XY{X: float64(n), Y: y})
			}
		}
		if len(points) == 0 {
			continue
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return err
		}
		line.Color, dots.Color, dots.Shape, line.Width = l.colour, l.colour, draw.CircleGlyph{}, vg.Points(1.5)
		if l.dashed {
			line.Dashes = []vg.Length{vg.Points(5), vg.Points(3)}
		}
		p.Add(line, dots)
		p.Legend.Add(l.title, line)
	}
	return save(p, 8*vg.Inch, 5*vg.Inch, path)
}

func save(p *plot.Plot, w, h vg.Length, path string) error {
	if err := p.Save(w, h, path); err != nil {
		return fmt.Errorf("draw %s: %w", path, err)
	}
	return nil
}
