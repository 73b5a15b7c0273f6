package arch

import (
	"go/ast"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// link finds the targets of Markdown links.
var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// markdown lists the repository's pages, relative to its root.
func markdown(t *testing.T, dir string) []string {
	t.Helper()
	out := []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"}
	err := filepath.WalkDir(filepath.Join(dir, "docs"), func(p string, e fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(p, ".md") {
			rel, rerr := filepath.Rel(dir, p)
			out = append(out, rel)
			return rerr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestLinksOfTheDocumentsResolve(t *testing.T) {
	dir := root(t)
	found := 0
	for _, page := range markdown(t, dir) {
		body, err := os.ReadFile(filepath.Join(dir, page))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(body), -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target == "" || strings.Contains(target, "://") {
				continue
			}
			found++
			if _, err := os.Stat(filepath.Join(dir, filepath.Dir(page), target)); err != nil {
				t.Errorf("%s links %s, which is not there", page, target)
			}
		}
	}
	if found < 20 {
		t.Errorf("found %d links only", found)
	}
}

func TestEveryDocsPageIsLinked(t *testing.T) {
	dir := root(t)
	index, err := os.ReadFile(filepath.Join(dir, "docs", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "docs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() {
			name += "/"
		}
		if name != "README.md" && !strings.Contains(string(index), "("+name) {
			t.Errorf("docs/README.md does not link %s", name)
		}
	}
}

// questions are what visitors ask, and the page that answers.
var questions = map[string]string{
	"does it run on my three small machines?":      "docs/deployment.md",
	"does it play in my browser, in VLC?":          "docs/playback.md",
	"can I trust it with my films?":                "docs/trust.md",
	"a machine died: what do I type?":              "docs/runbook.md",
	"where do I add a policy, what are the rules?": "CONTRIBUTING.md",
}

// TestQuestionsAreTwoClicksAway follows the links from the README.
func TestQuestionsAreTwoClicksAway(t *testing.T) {
	dir := root(t)
	targets := func(page string) (out []string) {
		body, err := os.ReadFile(filepath.Join(dir, page))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(body), -1) {
			if target, _, _ := strings.Cut(m[1], "#"); strings.HasSuffix(target, ".md") && !strings.Contains(target, "://") {
				out = append(out, filepath.ToSlash(filepath.Join(filepath.Dir(page), target)))
			}
		}
		return out
	}
	clicks := map[string]int{}
	for _, first := range targets("README.md") {
		clicks[first] = 1
		for _, second := range targets(first) {
			if clicks[second] == 0 {
				clicks[second] = 2
			}
		}
	}
	for q, page := range questions {
		if clicks[page] == 0 {
			t.Errorf("%s: %s is more than two clicks from the README", q, page)
		}
	}
}

// maxCode is how wide a line of the README's code may be: what a reader's window shows.
const maxCode = 95

func TestCodeOfTheReadmeFitsTheWindow(t *testing.T) {
	body, err := os.ReadFile(filepath.Join(root(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	code, lines := false, 0
	for n, line := range strings.Split(string(body), "\n") {
		switch {
		case strings.HasPrefix(line, "```"):
			code = !code
		case code:
			lines++
			if w := utf8.RuneCountInString(line); w > maxCode {
				t.Errorf("README.md:%d: %d letters of code, at most %d", n+1, w, maxCode)
			}
		}
	}
	if lines < 10 || code {
		t.Errorf("%d lines of code found; the last block is open: %v", lines, code)
	}
}

// testName finds names of tests in a page.
var testName = regexp.MustCompile("`(Test[A-Z][A-Za-z0-9]*|Fuzz[A-Z][A-Za-z0-9]*)`")

// TestInvariantsNameRealTests holds the pages that say which test would catch what to
// the tests that exist.
func TestInvariantsNameRealTests(t *testing.T) {
	dir := root(t)
	tests := map[string]bool{}
	for _, f := range readSource(t) {
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && f.test && fn.Recv == nil {
				tests[fn.Name.Name] = true
			}
		}
	}
	found := 0
	for _, page := range markdown(t, dir) {
		body, err := os.ReadFile(filepath.Join(dir, page))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range testName.FindAllStringSubmatch(string(body), -1) {
			found++
			if !tests[m[1]] {
				t.Errorf("%s names %s, which is not there", page, m[1])
			}
		}
	}
	if found < 80 {
		t.Errorf("found %d names only", found)
	}
}
