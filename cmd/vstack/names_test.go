package main

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
)

// named is a command as pages, hints and help name it.
var named = regexp.MustCompile(`\bvstack ([a-z]+) ([a-z][a-z-]+)`)

// TestCommandsThatAreNamedExist reads every page, and every hint in the code: who is told to
// type something must be able to.
func TestCommandsThatAreNamedExist(t *testing.T) {
	root := newRoot(&cli.App{Out: io.Discard, Err: io.Discard})
	groups := map[string]map[string]bool{} // commands that have commands of their own
	for _, cmd := range root.Commands() {
		for _, sub := range cmd.Commands() {
			if groups[cmd.Name()] == nil {
				groups[cmd.Name()] = map[string]bool{}
			}
			groups[cmd.Name()][sub.Name()] = true
		}
	}
	found := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && d.Name() != ".." && d.Name() != ".") {
			return fs.SkipDir
		}
		if ext := filepath.Ext(path); ext != ".md" && ext != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			if subs := groups[m[1]]; subs != nil {
				found++
				if !subs[m[2]] {
					t.Errorf("%s names %q, which there is not", path, m[0])
				}
			}
		}
		return nil
	})
	if err != nil || found < 100 {
		t.Errorf("%d names were found, %v: is the walk broken?", found, err)
	}
}

// TestUsageNamesTheConfirmation: what is refused without --yes is not shown as if it were not.
func TestUsageNamesTheConfirmation(t *testing.T) {
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		// A drill asks for it where it is given a cluster, and not for its own lab.
		if cmd.Flags().Lookup("yes") != nil && cmd.Name() != "run" && !strings.Contains(cmd.Use, "--yes") {
			t.Errorf("%s: usage %q", cmd.CommandPath(), cmd.Use)
		}
	}
	walk(newRoot(&cli.App{Out: io.Discard, Err: io.Discard}))
}
