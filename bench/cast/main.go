package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"strings"
)

func main() {
	cols := flag.Int("cols", 95, "letters of a line")
	rows := flag.String("rows", "14", "lines of each pane, with commas between")
	title := flag.String("title", "", "said to those who cannot see it")
	out := flag.String("o", "", "SVG file to write")
	flag.Parse()
	if err := run(*cols, *rows, *title, *out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "cast:", err)
		os.Exit(1)
	}
}

func run(cols int, rows, title, out string, files []string) error {
	heights := strings.Split(rows, ",")
	if out == "" || len(files) == 0 || len(files) != len(heights) {
		return fmt.Errorf("want -o FILE, and as many of -rows as recordings: OUTPUT,TIMES")
	}
	var panes []*pane
	for i, f := range files {
		written, times, _ := strings.Cut(f, ",")
		var n int
		if _, err := fmt.Sscan(heights[i], &n); err != nil || n < 1 {
			return fmt.Errorf("rows %q: want a number above 0", heights[i])
		}
		p, err := openPane(written, times, cols, n)
		if err != nil {
			return err
		}
		panes = append(panes, p)
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	drawing{cols: cols, title: title, frames: frames(panes)}.write(w)
	if err := w.Flush(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
