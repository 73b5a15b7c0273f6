package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
)

//go:embed report.html.tmpl
var page string

// Sizes of the drawings, in the units of their viewBox.
const (
	laneWidth  = 860.0
	laneHeight = 16.0
	laneLeft   = 46.0
	plotWidth  = 860.0
	plotHeight = 220.0
	plotLeft   = 46.0
	plotBottom = 24.0
	// maxLanes keeps the drawing of a long run legible: the worst repetitions are shown.
	maxLanes = 60
)

// WriteHTML writes the report as one page that needs nothing else.
func (r *Report) WriteHTML(w io.Writer) error {
	t, err := template.New("report").Funcs(template.FuncMap{
		"seconds": Seconds,
		"join": func(loads []Load) string {
			var out []string
			for _, l := range loads {
				out = append(out, string(l))
			}
			return strings.Join(out, ", ")
		},
		"opt": func(v *float64) string {
			if v == nil {
				return "–"
			}
			return Seconds(*v)
		},
	}).Parse(page)
	if err != nil {
		return err
	}
	return t.Execute(w, struct {
		*Report
		Lanes lanes
		Plot  plot
	}{r, r.lanes(), r.plot()})
}

type (
	// lanes draws the repetitions below each other, on one time axis.
	lanes struct {
		Height, Axis float64
		Shown, All   int
		Ticks        []tick
		Lanes        []lane
	}
	lane struct {
		N     int
		Y     float64
		Boxes []box
		Marks []mark
		Fault float64
	}
	box struct {
		X, W    float64
		Opacity string
	}
	mark struct {
		X    float64
		Kind string
		Text string
	}
	tick struct {
		X    float64
		Text string
	}
	// plot draws the share of repetitions that were below a time.
	plot struct {
		Ticks  []tick
		Curves []curve
	}
	curve struct {
		Name, Path string
		Y          float64 // of its line in the legend
	}
)

// lanes shows the repetitions with the longest write gap, in the order of the run.
func (r *Report) lanes() lanes {
	reps := slices.Clone(r.Repetitions)
	worst := func(x Repetition) float64 { return max(value(x.WriteGap), value(x.LeaderGap)) }
	slices.SortStableFunc(reps, func(a, b Repetition) int {
		switch wa, wb := worst(a), worst(b); {
		case wa > wb:
			return -1
		case wa < wb:
			return 1
		}
		return 0
	})
	reps = reps[:min(len(reps), maxLanes)]
	slices.SortFunc(reps, func(a, b Repetition) int { return a.N - b.N })
	end := 1.0
	for _, x := range reps {
		end = max(end, value(x.Heal))
	}
	at := func(s float64) float64 { return laneLeft + (s+AckLead)/(end+AckLead)*(laneWidth-laneLeft-8) }
	out := lanes{Height: float64(len(reps))*laneHeight + 30, Axis: float64(len(reps))*laneHeight + 4, Shown: len(reps), All: len(r.Repetitions), Ticks: ticks(end, at)}
	for i, x := range reps {
		l := lane{N: x.N, Y: float64(i) * laneHeight, Fault: at(0)}
		most := 1
		for _, n := range x.Acks {
			most = max(most, n)
		}
		for j, n := range x.Acks {
			if n > 0 {
				from := float64(j)*AckSlice - AckLead
				l.Boxes = append(l.Boxes, box{at(from), at(from+AckSlice) - at(from), fmt.Sprintf("%.2f", 0.25+0.75*float64(n)/float64(most))})
			}
		}
		for _, e := range x.Events {
			l.Marks = append(l.Marks, mark{at(e.At), e.Kind, fmt.Sprintf("%s: %s", Seconds(e.At), e.Text)})
		}
		out.Lanes = append(out.Lanes, l)
	}
	return out
}

// plot shows the distributions of the gaps.
func (r *Report) plot() plot {
	series := []struct {
		name string
		of   func(Repetition) *float64
	}{
		{WriteGap, func(x Repetition) *float64 { return x.WriteGap }},
		{LeaderGap, func(x Repetition) *float64 { return x.LeaderGap }},
		{Heal, func(x Repetition) *float64 { return x.Heal }},
	}
	end := 1.0
	for _, s := range series {
		for _, x := range r.Repetitions {
			end = max(end, value(s.of(x)))
		}
	}
	at := func(s float64) float64 { return plotLeft + s/end*(plotWidth-plotLeft-8) }
	out := plot{Ticks: ticks(end, at)}
	for i, s := range series {
		var vs []float64
		for _, x := range r.Repetitions {
			if v := s.of(x); v != nil {
				vs = append(vs, *v)
			}
		}
		if len(vs) > 0 {
			slices.Sort(vs)
			out.Curves = append(out.Curves, curve{s.name, steps(vs, at), 24 + 18*float64(i)})
		}
	}
	return out
}

// steps is the path of an empirical distribution.
func steps(sorted []float64, at func(float64) float64) string {
	y := func(share float64) float64 { return (plotHeight - plotBottom) * (1 - share*0.94) }
	var b strings.Builder
	fmt.Fprintf(&b, "M%.1f %.1f", at(0), y(0))
	for i, v := range sorted {
		fmt.Fprintf(&b, "H%.1fV%.1f", at(v), y(float64(i+1)/float64(len(sorted))))
	}
	fmt.Fprintf(&b, "H%.1f", plotWidth-8)
	return b.String()
}

// ticks are about eight round times from 0 to end.
func ticks(end float64, at func(float64) float64) []tick {
	step := math.Pow(10, math.Floor(math.Log10(end/8)))
	for _, f := range []float64{1, 2, 5, 10} {
		if end/(step*f) <= 8 {
			step *= f
			break
		}
	}
	var out []tick
	for i := 0; float64(i)*step <= end*1.0001; i++ {
		out = append(out, tick{at(float64(i) * step), fmt.Sprintf("%g s", math.Round(float64(i)*step*1000)/1000)})
	}
	return out
}

func value(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}
