package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/vstack/vstack/internal/soak"
)

// wanted are figures with the least that each must come to.
type wanted map[string]int64

// String is what flag prints as the default: none.
func (w wanted) String() string { return "" }

// Set takes one NAME=N.
func (w wanted) Set(s string) error {
	name, least, ok := strings.Cut(s, "=")
	n, err := strconv.ParseInt(least, 10, 64)
	if !ok || err != nil {
		return fmt.Errorf("%q is not NAME=N", s)
	}
	w[name] = n
	return nil
}

func main() {
	want := wanted{}
	flag.Var(want, "at-least", "a figure and the least that it must come to; may be repeated")
	flag.Parse()
	if err := run(os.Stdout, flag.Arg(0), want); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, report string, want wanted) error {
	f, err := os.Open(report)
	if err != nil {
		return fmt.Errorf("no test left a figure: %w", err)
	}
	defer f.Close() //nolint:errcheck // read only
	lines, err := soak.Read(f)
	if err != nil {
		return err
	}
	return summarize(out, lines, want)
}

// summarize prints each figure in the order of its name, grouped by what comes before
// its colon, and the parts below their test.
func summarize(out io.Writer, lines []soak.Line, want wanted) error {
	sums := map[string]int64{}
	for _, l := range lines {
		for name, n := range l.Figures {
			sums[name] += n
		}
	}
	for _, l := range lines {
		for i, p := range l.Parts {
			if i == 0 {
				fmt.Fprintf(out, "%s\n", l.Test)
			}
			fmt.Fprintf(out, "  %s\n", p)
		}
	}
	var names []string
	for name := range sums {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		note := ""
		if least, ok := want[name]; ok {
			note = fmt.Sprintf("  (wanted: %s)", grouped(least))
		}
		fmt.Fprintf(out, "%-52s %15s%s\n", name, grouped(sums[name]), note)
	}
	var less []string
	for name, least := range want {
		if n, ok := sums[name]; !ok {
			less = append(less, fmt.Sprintf("%s: no test told", name))
		} else if n < least {
			less = append(less, fmt.Sprintf("%s: %d, wanted %d", name, n, least))
		}
	}
	if caught, all := sums["mutants caught"], sums["mutants"]; caught != all {
		less = append(less, fmt.Sprintf("mutants caught: %d of %d", caught, all))
	}
	if n := sums["violations"]; n != 0 {
		less = append(less, fmt.Sprintf("violations: %d", n))
	}
	if len(less) > 0 {
		slices.Sort(less)
		return fmt.Errorf("not what is wanted: %s", strings.Join(less, "; "))
	}
	return nil
}

// grouped writes 12345678 as 12,345,678.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
