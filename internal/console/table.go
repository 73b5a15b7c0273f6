package console

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Table is a listing for people. On a terminal it is made to fit: first Flex is shortened,
// then columns of Yield are left out, and that is said.
type Table struct {
	Head  []string
	Rows  [][]any
	Right []int    // columns aligned to the right, from 0
	Flex  string   // heading of the column that is shortened, a title or a text
	Yield []string // headings of columns that may be left out, the first to go first
	Empty string   // said on standard error in place of a table without rows
	Foot  string   // said on standard error below the table
}

const (
	// gap is the space between two columns, in cells.
	gap = 2
	// flexLeast is what Flex keeps while there are columns to leave out, and more in a wide
	// terminal.
	flexLeast = 12
	// flexMost is how wide it gets where nothing must fit, but for Printer.Wide.
	flexMost = 60
	// textLeast is the narrowest that a text in the last column is wrapped to.
	textLeast = 20
)

func (p *Printer) table(t Table) error {
	if len(t.Rows) == 0 && t.Empty != "" {
		p.Say("%s", t.Empty)
		return nil
	}
	t.Rows = oneLine(t.Rows)
	left := t.fit(p.Width, p.Wide)
	w := table.NewWriter()
	style := table.StyleLight
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", strings.Repeat(" ", gap)
	style.Format.Header = text.FormatUpper
	w.SetStyle(style)
	w.SuppressTrailingSpaces()
	head := make(table.Row, len(t.Head))
	for i, h := range t.Head {
		head[i] = h
	}
	if len(head) > 0 {
		w.AppendHeader(head)
	}
	for _, r := range t.Rows {
		w.AppendRow(r)
	}
	w.SetColumnConfigs(t.columns(p.Width))
	if _, err := fmt.Fprintln(p.Out, w.Render()); err != nil {
		return err
	}
	if t.Foot != "" {
		p.Say("%s", wrap(t.Foot, p.Width))
	}
	if len(left) > 0 {
		p.Say("%s", wrap("left out, shown with --wide: "+strings.Join(left, ", "), p.Width))
	}
	return nil
}

// columns aligns the columns, and wraps the last one where the table is still too wide.
func (t *Table) columns(width int) []table.ColumnConfig {
	var out []table.ColumnConfig
	for _, c := range t.Right {
		out = append(out, table.ColumnConfig{Number: c + 1, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	widths := t.widths()
	last := len(widths) - 1
	over := total(widths) - width
	if width == 0 || over <= 0 || last < 1 || slices.Contains(t.Right, last) {
		return out
	}
	return append(out, table.ColumnConfig{Number: last + 1, WidthMax: max(textLeast, widths[last]-over), WidthMaxEnforcer: text.WrapSoft})
}

// fit shortens and leaves out what does not fit into width cells, and returns the headings
// that were left out. Width 0 is no bound.
func (t *Table) fit(width int, wide bool) (left []string) {
	flex := slices.Index(t.Head, t.Flex)
	if wide {
		return nil
	}
	if width == 0 {
		t.shorten(flex, flexMost)
		return nil
	}
	widths, least := t.widths(), max(flexLeast, width/5-4)
	over := func() int {
		spare := 0
		if flex >= 0 {
			spare = max(0, widths[flex]-least)
		}
		return total(widths) - spare - width
	}
	for _, name := range t.Yield {
		if over() <= 0 {
			break
		}
		i := slices.Index(t.Head, name)
		if i < 0 {
			continue
		}
		t.drop(i)
		widths = slices.Delete(widths, i, i+1)
		flex = slices.Index(t.Head, t.Flex)
		left = append(left, name)
	}
	if flex >= 0 {
		t.shorten(flex, max(flexLeast, widths[flex]-max(0, total(widths)-width)))
	}
	return left
}

// drop takes column i out.
func (t *Table) drop(i int) {
	t.Head = slices.Delete(slices.Clone(t.Head), i, i+1)
	for j, r := range t.Rows {
		if i < len(r) {
			t.Rows[j] = slices.Delete(r, i, i+1)
		}
	}
	var right []int
	for _, c := range t.Right {
		switch {
		case c < i:
			right = append(right, c)
		case c > i:
			right = append(right, c-1)
		}
	}
	t.Right = right
}

// shorten cuts the texts of column i, if there is one, to n cells.
func (t *Table) shorten(i, n int) {
	if i < 0 {
		return
	}
	for _, r := range t.Rows {
		if s := fmt.Sprint(r[i]); text.StringWidth(s) > n {
			r[i] = text.Snip(s, n, "…")
		}
	}
}

// widths are the cells of each column.
func (t *Table) widths() []int {
	var out []int
	note := func(i int, s string) {
		if i == len(out) {
			out = append(out, 0)
		}
		out[i] = max(out[i], text.StringWidthWithoutEscSequences(s))
	}
	for i, h := range t.Head {
		note(i, h)
	}
	for _, r := range t.Rows {
		for i, v := range r {
			note(i, fmt.Sprint(v))
		}
	}
	return out
}

// total is how wide a line of such columns is.
func total(widths []int) int {
	n := max(0, len(widths)-1) * gap
	for _, w := range widths {
		n += w
	}
	return n
}

// Coloured is a cell's text that the program itself has coloured.
type Coloured string

// oneLine copies rows so that no text breaks the table: a title is a stranger's, and may
// have line ends and a terminal's control sequences in it.
func oneLine(rows [][]any) [][]any {
	out := make([][]any, len(rows))
	for i, r := range rows {
		out[i] = slices.Clone(r)
		for j, v := range r {
			if s, ok := v.(string); ok {
				out[i][j] = Clean(s)
			}
		}
	}
	return out
}

// Clean is a stranger's text without line ends and control sequences.
func Clean(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, s)
}

// wrap breaks a text between words; width 0 leaves it alone.
func wrap(s string, width int) string {
	if width == 0 {
		return s
	}
	var out []string
	for _, l := range strings.Split(s, "\n") {
		if text.StringWidthWithoutEscSequences(l) <= width {
			out = append(out, l)
			continue
		}
		for _, part := range strings.Split(text.WrapSoft(l, width), "\n") {
			out = append(out, strings.TrimRight(part, " "))
		}
	}
	return strings.Join(out, "\n")
}
