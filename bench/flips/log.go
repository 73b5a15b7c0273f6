package flips

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// Log follows the log of a host for the findings that it reports, from its end of now.
func Log(path string) (func() ([]Finding, error), error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("follow log: %w", err)
	}
	at := info.Size()
	return func() ([]Finding, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("follow log: %w", err)
		}
		defer f.Close()
		if _, err := f.Seek(at, io.SeekStart); err != nil {
			return nil, fmt.Errorf("follow log: %w", err)
		}
		var out []Finding
		lines := bufio.NewReader(f)
		for {
			line, err := lines.ReadString('\n')
			if err == io.EOF {
				return out, nil // a half-written line is read again
			}
			if err != nil {
				return nil, fmt.Errorf("follow log: %w", err)
			}
			at += int64(len(line))
			if finding, ok := parseFinding(line); ok {
				out = append(out, finding)
			}
		}
	}, nil
}

// parseFinding reads a line of slog's text form.
func parseFinding(line string) (f Finding, ok bool) {
	if !strings.Contains(line, `msg="store damage"`) {
		return f, false
	}
	line, _, _ = strings.Cut(line, " err=") // the last attribute, in anybody's words
	for _, word := range strings.Fields(line) {
		key, value, _ := strings.Cut(word, "=")
		var err error
		switch key {
		case "file":
			f.File = value
		case "offset":
			f.Offset, err = strconv.ParseInt(value, 10, 64)
		case "length":
			f.Length, err = strconv.ParseInt(value, 10, 64)
		}
		if err != nil {
			return f, false
		}
	}
	return f, f.File != ""
}
