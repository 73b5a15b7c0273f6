package console

import (
	"bytes"
	"strings"
	"testing"

	"github.com/jedib0t/go-pretty/v6/text"
)

// films is a listing as wide as `video ls` can get.
func films(titles ...string) Table {
	t := Table{Head: []string{"video", "title", "state", "length", "views", "created"}, Right: []int{3, 4}, Flex: "title", Yield: []string{"views", "created"}}
	for _, title := range titles {
		t.Rows = append(t.Rows, []any{"019ac1d2-7a31-7bde-9c55-0123456789ab", title, "published", "1:02:03", 7, "12d ago"})
	}
	return t
}

func printed(t *testing.T, width int, wide bool, table Table) (out, said string) {
	t.Helper()
	var o, e bytes.Buffer
	p := Printer{Out: &o, Err: &e, Format: FormatTable, Width: width, Wide: wide}
	if err := p.Print(nil, func() Table { return table }); err != nil {
		t.Fatal(err)
	}
	return o.String(), e.String()
}

func widest(s string) int {
	n := 0
	for line := range strings.Lines(s) {
		n = max(n, text.StringWidth(strings.TrimRight(line, "\n")))
	}
	return n
}

func TestATableFitsTheTerminal(t *testing.T) {
	long := strings.Repeat("A very long title of a film ", 8) + "END"
	t.Run("at 80 cells the title is shortened, columns that yield go, and that is said", func(t *testing.T) {
		out, said := printed(t, 80, false, films(long, "Kurz"))
		if widest(out) > 80 || !strings.Contains(out, "…") || !strings.Contains(out, "0123456789ab") {
			t.Errorf("%d cells:\n%s", widest(out), out)
		}
		if strings.Contains(out, "VIEWS") || !strings.Contains(out, "CREATED") || said != "left out, shown with --wide: views\n" {
			t.Errorf("said %q:\n%s", said, out)
		}
		if out, said = printed(t, 76, false, films(long)); widest(out) > 76 || said != "left out, shown with --wide: views, created\n" {
			t.Errorf("said %q:\n%s", said, out)
		}
	})
	t.Run("at 120 cells every column is there", func(t *testing.T) {
		out, said := printed(t, 120, false, films(long))
		if widest(out) > 120 || widest(out) < 110 || !strings.Contains(out, "VIEWS") || said != "" {
			t.Errorf("%d cells, said %q:\n%s", widest(out), said, out)
		}
	})
	t.Run("what fits is not shortened", func(t *testing.T) {
		if out, said := printed(t, 100, false, films("Short")); strings.Contains(out, "…") || said != "" || !strings.Contains(out, "CREATED") {
			t.Errorf("said %q:\n%s", said, out)
		}
	})
	t.Run("wide letters count as two", func(t *testing.T) {
		if out, _ := printed(t, 80, false, films(strings.Repeat("映画", 40))); widest(out) > 80 {
			t.Errorf("%d cells:\n%s", widest(out), out)
		}
	})
	t.Run("--wide shows all, in full", func(t *testing.T) {
		if out, said := printed(t, 80, true, films(long)); !strings.Contains(out, "END") || !strings.Contains(out, "VIEWS") || said != "" {
			t.Errorf("said %q:\n%s", said, out)
		}
	})
	t.Run("a pipe gets every column", func(t *testing.T) {
		if out, _ := printed(t, 0, false, films("Short")); !strings.Contains(out, "VIEWS") || !strings.Contains(out, "CREATED") {
			t.Errorf("got\n%s", out)
		}
	})
	t.Run("a text in the last column is wrapped, and so is what is said below", func(t *testing.T) {
		table := Table{Rows: [][]any{{"may fail", strings.Repeat("any host or any store ", 10)}}, Foot: strings.Repeat("words · ", 30)}
		if out, said := printed(t, 60, false, table); widest(out) > 60 || widest(said) > 60 || strings.Count(out, "host") != 10 || strings.Contains(said, " \n") {
			t.Errorf("%d and %d cells:\n%s%s", widest(out), widest(said), out, said)
		}
	})
}

func TestATitleCannotSteerTheTerminal(t *testing.T) {
	out, _ := printed(t, 100, false, films("a\x1b[2Jb\r\nc"))
	if strings.ContainsAny(out, "\x1b\r") || strings.Count(out, "\n") != 2 {
		t.Errorf("got %q", out)
	}
	out, _ = printed(t, 0, false, Table{Head: []string{"state"}, Rows: [][]any{{Coloured(Painter{On: true}.Good("ok"))}}})
	if !strings.Contains(out, "\x1b[32mok\x1b[0m") {
		t.Errorf("the program's own colour is gone: %q", out)
	}
}
