package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func text(s *screen) string {
	var lines []string
	for _, l := range s.lines {
		var b strings.Builder
		for _, c := range l {
			b.WriteRune(c.letter)
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

func TestAScreenShowsWhatATerminalShows(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"lines":                          {"a\r\nb\r\n", "a\nb"},
		"a bar that is drawn over":       {"10 %\r90 %", "90 %"},
		"a shorter text, the rest clear": {"a long one\rshort\x1b[K", "short"},
		"the line above":                 {"one\r\ntwo\r\n\x1b[2Anew\x1b[K", "new\ntwo"},
		"all below is cleared":           {"one\r\ntwo\r\nthree\r\n\x1b[2A\x1b[J", "one"},
		"scrolling":                      {"1\r\n2\r\n3\r\n4\r\n5", "2\n3\n4\n5"},
		"a line that is too long":        {"0123456789AB", "0123456789\nAB"},
		"what it does not know":          {"\x1b[?25la\x1b7b", "ab"},
		"letters of several bytes":       {"██▌", "██▌"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScreen(10, 4)
			for _, b := range []byte(tc.in) { // however it is cut
				_, _ = s.Write([]byte{b})
			}
			if got := text(s); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestAPictureIsWellFormedAndHasEveryFrame(t *testing.T) {
	dir := t.TempDir()
	write := func(name, body string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	a := write("a", "Script started on today\n\x1b[32mok\x1b[0m <&>\rnext") + "," + write("a.time", "0.5 15\n1.0 5\n")
	b := write("b", "below") + "," + write("b.time", "0.55 5\n")
	out := filepath.Join(dir, "film.svg")
	if err := run(40, "3,2", "a <title>", out, []string{a, b}); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(strings.NewReader(string(svg))); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{`class="c2">ok`, "&lt;&amp;&gt;", "below", "next", `aria-label="a &lt;title&gt;"`} {
		if !strings.Contains(string(svg), want) {
			t.Errorf("the picture lacks %q", want)
		}
	}
	if n := strings.Count(string(svg), "translateX"); n != 2 {
		t.Errorf("%d frames, want 2: what comes 50 ms later is the same frame", n)
	}
	if err := run(40, "3", "", out, []string{a, b}); err == nil {
		t.Error("two recordings and one height were taken")
	}
}
