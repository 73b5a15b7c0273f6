package soak

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
)

// ReportEnv names the file that figures are appended to. Without it none are.
const ReportEnv = "VSTACK_SOAK_REPORT"

// Line is what one test did.
type Line struct {
	Test string `json:"test"`
	// Figures are counts, added up over all tests by their names.
	Figures map[string]int64 `json:"figures,omitempty"`
	// Parts are lines of text about parts of the test, such as the bounds explored.
	Parts []string `json:"parts,omitempty"`
}

// Add appends what a test did to the report. It is the last thing that a test does: the
// line of a test that failed is left out, and missed by the summary.
func Add(t testing.TB, figures map[string]int64, parts ...string) {
	t.Helper()
	file := os.Getenv(ReportEnv)
	if file == "" || t.Failed() {
		return
	}
	line, err := json.Marshal(Line{Test: t.Name(), Figures: figures, Parts: parts})
	if err != nil {
		t.Fatal(err)
	}
	// One write of one line: packages are tested by processes of their own.
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatalf("report to %s: %v", ReportEnv, err)
	}
	_, err = f.Write(append(line, '\n'))
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatalf("report to %s: %v", ReportEnv, err)
	}
}

// Read returns the lines of a report.
func Read(r io.Reader) ([]Line, error) {
	var lines []Line
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var l Line
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("line %d of the report: %w", len(lines)+1, err)
		}
		lines = append(lines, l)
	}
	return lines, in.Err()
}
