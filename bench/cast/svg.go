package main

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
)

// Sizes in the SVG's units: a letter of a monospaced font of 14.
const (
	letter  = 8.43
	lineGap = 19
	margin  = 16
	// lastFrame is how long the end is shown before it begins again, in seconds.
	lastFrame = 4.0
)

// drawing is the picture.
type drawing struct {
	cols   int
	title  string
	frames []frame
}

func (d drawing) write(w io.Writer) {
	rows := 0
	if len(d.frames) > 0 {
		rows = len(d.frames[0].lines)
	}
	width, height := math.Ceil(float64(d.cols)*letter+2*margin), float64(rows*lineGap+2*margin)
	total := lastFrame
	if n := len(d.frames); n > 0 {
		total += d.frames[n-1].at
	}
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">`+"\n", width, height, html.EscapeString(d.title))
	fmt.Fprint(w, `<style>text{font:14px ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;fill:#d9dee5;white-space:pre}`+
		`.b{font-weight:700;fill:#fff}.d{fill:#7d8794}.c1{fill:#ff7b72}.c2{fill:#56d364}.c3{fill:#e3b341}.c4{fill:#79c0ff}.c5{fill:#d2a8ff}.c6{fill:#56d4dd}`)
	fmt.Fprintf(w, "#film{animation:film %.2fs steps(1,end) infinite}@keyframes film{", total)
	for i, f := range d.frames {
		fmt.Fprintf(w, "%.3f%%{transform:translateX(%.0fpx)}", 100*f.at/total, -float64(i)*width)
	}
	fmt.Fprint(w, "}</style>\n<defs>\n")
	symbols := map[string]int{}
	for _, f := range d.frames {
		for _, l := range f.lines {
			text := spans(l)
			if _, ok := symbols[text]; ok || text == "" {
				continue
			}
			symbols[text] = len(symbols)
			fmt.Fprintf(w, `<text id="l%d">%s</text>`+"\n", symbols[text], text)
		}
	}
	fmt.Fprintf(w, `</defs><rect width="%.0f" height="%.0f" rx="8" fill="#161b22"/><g id="film">`+"\n", width, height)
	for i, f := range d.frames {
		fmt.Fprint(w, "<g>")
		for y, l := range f.lines {
			if text := spans(l); text != "" {
				fmt.Fprintf(w, `<use xlink:href="#l%d" x="%.0f" y="%d"/>`, symbols[text], float64(i)*width+margin, margin+14+y*lineGap)
			}
		}
		fmt.Fprint(w, "</g>\n")
	}
	fmt.Fprint(w, "</g></svg>\n")
}

// spans is a line as text of the SVG, a span for each run of one colour.
func spans(line []cell) string {
	for len(line) > 0 && line[len(line)-1].letter == ' ' {
		line = line[:len(line)-1]
	}
	var b strings.Builder
	for i := 0; i < len(line); {
		j := i
		var run strings.Builder
		for j < len(line) && line[j].class == line[i].class {
			run.WriteRune(line[j].letter)
			j++
		}
		text := html.EscapeString(run.String())
		if line[i].class == "" {
			b.WriteString(text)
		} else {
			fmt.Fprintf(&b, `<tspan class="%s">%s</tspan>`, line[i].class, text)
		}
		i = j
	}
	return b.String()
}
