package main

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"os"
)

// leastFrame is how long a frame lasts at least, in seconds: what changes quicker is drawn
// once.
const leastFrame = 0.12

// pane is a recording and the screen that it is played on.
type pane struct {
	screen *screen
	steps  []step // what is still to come
}

// step is what a program wrote at one moment.
type step struct {
	at   float64 // seconds since the start
	data []byte
}

// openPane reads a recording of util-linux's script.
func openPane(written, times string, cols, rows int) (*pane, error) {
	data, err := os.ReadFile(written)
	if err != nil {
		return nil, err
	}
	if first, rest, ok := bytes.Cut(data, []byte("\n")); ok && bytes.HasPrefix(first, []byte("Script started")) {
		data = rest
	}
	f, err := os.Open(times)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := &pane{screen: newScreen(cols, rows)}
	at := 0.0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var after float64
		var n int
		if _, err := fmt.Sscan(lines.Text(), &after, &n); err != nil || n < 0 {
			return nil, fmt.Errorf("%s: %q is not SECONDS BYTES", times, lines.Text())
		}
		at += after
		n = min(n, len(data))
		p.steps = append(p.steps, step{at, data[:n]})
		data = data[n:]
	}
	return p, nil
}

// frame is what all panes show for some time.
type frame struct {
	at    float64
	lines [][]cell
}

// frames plays the panes together.
func frames(panes []*pane) []frame {
	var out []frame
	for {
		at, more := next(panes)
		if !more {
			return out
		}
		for _, p := range panes {
			for len(p.steps) > 0 && p.steps[0].at < at+leastFrame {
				_, _ = p.screen.Write(p.steps[0].data) // a screen takes everything
				p.steps = p.steps[1:]
			}
		}
		f := frame{at: at}
		for i, p := range panes {
			if i > 0 {
				f.lines = append(f.lines, nil)
			}
			for _, l := range p.screen.lines {
				f.lines = append(f.lines, append([]cell(nil), l...))
			}
		}
		out = append(out, f)
	}
}

// next is when something is written next.
func next(panes []*pane) (at float64, more bool) {
	at = math.Inf(1)
	for _, p := range panes {
		if len(p.steps) > 0 {
			at, more = min(at, p.steps[0].at), true
		}
	}
	return at, more
}
