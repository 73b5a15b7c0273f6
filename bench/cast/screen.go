package main

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// cell is one letter on a screen and how it is drawn, a class of the SVG.
type cell struct {
	letter rune
	class  string
}

// screen is a terminal's, as far as the programs here use one.
type screen struct {
	cols, rows int
	lines      [][]cell
	x, y       int
	class      string
	rest       []byte // of a sequence that is cut off
}

func newScreen(cols, rows int) *screen {
	return &screen{cols: cols, rows: rows, lines: make([][]cell, rows)}
}

// Write draws what a program wrote.
func (s *screen) Write(b []byte) (int, error) {
	n := len(b)
	b = append(s.rest, b...)
	s.rest = nil
	for len(b) > 0 {
		used := s.step(b)
		if used == 0 {
			s.rest = append([]byte(nil), b...)
			break
		}
		b = b[used:]
	}
	return n, nil
}

// step draws one letter or obeys one sequence, and returns its length; 0 is a beginning.
func (s *screen) step(b []byte) int {
	switch b[0] {
	case '\r':
		s.x = 0
		return 1
	case '\n':
		s.down()
		return 1
	case '\b':
		s.x = max(0, s.x-1)
		return 1
	case 0x1b:
		return s.escape(b)
	}
	if !utf8.FullRune(b) {
		return 0
	}
	r, n := utf8.DecodeRune(b)
	if r >= ' ' {
		s.put(r)
	}
	return n
}

func (s *screen) put(r rune) {
	if s.x >= s.cols {
		s.x = 0
		s.down()
	}
	line := s.lines[s.y]
	for len(line) <= s.x {
		line = append(line, cell{' ', ""})
	}
	line[s.x] = cell{r, s.class}
	s.lines[s.y] = line
	s.x++
}

func (s *screen) down() {
	if s.y++; s.y >= s.rows {
		s.lines = append(s.lines[1:], nil)
		s.y = s.rows - 1
	}
}

// escape obeys CSI sequences and skips the others.
func (s *screen) escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	if b[1] != '[' {
		return 2
	}
	end := 2
	for end < len(b) && (b[end] < 0x40 || b[end] > 0x7e) {
		end++
	}
	if end == len(b) {
		return 0
	}
	s.control(b[end], strings.Split(string(b[2:end]), ";"))
	return end + 1
}

func (s *screen) control(kind byte, args []string) {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		n = 0
	}
	switch kind {
	case 'A':
		s.y = max(0, s.y-max(1, n))
	case 'B':
		s.y = min(s.rows-1, s.y+max(1, n))
	case 'C':
		s.x = min(s.cols-1, s.x+max(1, n))
	case 'D':
		s.x = max(0, s.x-max(1, n))
	case 'G':
		s.x = min(s.cols, max(1, n)) - 1
	case 'J':
		s.clear(n)
		for y := s.y + 1; y < s.rows; y++ {
			s.lines[y] = nil
		}
	case 'K':
		s.clear(n)
	case 'm':
		s.colour(args)
	}
}

// clear empties the line from the cursor on (0), or all of it.
func (s *screen) clear(n int) {
	if n != 0 {
		s.lines[s.y] = nil
		return
	}
	s.lines[s.y] = s.lines[s.y][:min(s.x, len(s.lines[s.y]))]
}

func (s *screen) colour(args []string) {
	for _, a := range args {
		switch a {
		case "", "0":
			s.class = ""
		case "1":
			s.class = "b"
		case "2", "90":
			s.class = "d"
		case "31", "32", "33", "34", "35", "36", "91", "92", "93", "94", "95", "96":
			s.class = "c" + a[1:]
		}
	}
}
