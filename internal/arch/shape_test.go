package arch

import (
	"go/ast"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// The limits of docs/style.md. They are there so that an idea gets a file of its own
// before a file gets a second idea.
const (
	maxFile     = 400  // lines of a production file
	maxTestFile = 800  // lines of a test file
	maxFunc     = 70   // lines of a function, test functions excepted
	maxPackage  = 2500 // lines of a package's production files
)

// topLevel is everything that may lie at the repository's root under version control. What
// people and builds leave beside it is nobody's business.
var topLevel = []string{
	".ci", ".github", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "SECURITY.md", "go.mod", "go.sum",
	"bench", "chunkpaxos", "cmd", "datanode", "deploy", "docs", "internal", "metastore", "quicclient", "uploader", "web",
}

// meaningless are package names that say nothing of what is inside.
var meaningless = []string{"util", "utils", "common", "types", "helpers", "helper", "misc", "shared", "base", "lib"}

func TestSizes(t *testing.T) {
	pkgs := map[string]int{}
	for _, f := range readSource(t) {
		limit := maxFile
		if f.test {
			limit = maxTestFile
		} else {
			pkgs[f.dir] += f.lines
		}
		if f.lines > limit {
			t.Errorf("%s has %d lines, limit %d: split it by idea", f.path, f.lines, limit)
		}
		if f.test {
			continue
		}
		for _, decl := range f.syntax.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := f.fset.Position(fn.End()).Line - f.fset.Position(fn.Pos()).Line + 1; n > maxFunc {
				t.Errorf("%s: func %s has %d lines, limit %d", f.path, fn.Name.Name, n, maxFunc)
			}
		}
	}
	for dir, lines := range pkgs {
		if lines > maxPackage {
			t.Errorf("package %s has %d lines, limit %d: split it by idea", dir, lines, maxPackage)
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	documented, production := map[string]bool{}, map[string]bool{}
	for _, f := range readSource(t) {
		if !f.test {
			production[f.dir] = true
		}
		if path.Base(f.path) == "doc.go" && f.syntax.Doc != nil && len(f.syntax.Doc.Text()) > 80 {
			documented[f.dir] = true
		}
	}
	for dir := range production {
		if !documented[dir] {
			t.Errorf("%s has no doc.go with a package comment", dir)
		}
	}
}

func TestPackageNamesMean(t *testing.T) {
	for _, f := range readSource(t) {
		if slices.Contains(meaningless, strings.TrimSuffix(f.pkg, "_test")) {
			t.Errorf("%s: package %s: name it for what it provides", f.path, f.pkg)
		}
	}
}

func TestNoInitAndNoDotImports(t *testing.T) {
	for _, f := range readSource(t) {
		for _, decl := range f.syntax.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: func init: construct it where it is used", f.path)
			}
		}
		for _, imp := range f.syntax.Imports {
			if imp.Name != nil && imp.Name.Name == "." {
				t.Errorf("%s: dot import of %s", f.path, imp.Path.Value)
			}
		}
	}
}

func TestTopLevel(t *testing.T) {
	list := exec.Command("git", "ls-files", "-z")
	list.Dir = root(t)
	out, err := list.Output()
	if err != nil {
		t.Skipf("SKIPPED: this is no checkout, or git is missing: %v", err)
	}
	files := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	if len(files) < 100 {
		t.Errorf("git lists %d files only", len(files))
	}
	told := map[string]bool{}
	for _, f := range files {
		name, _, _ := strings.Cut(f, "/")
		if !slices.Contains(topLevel, name) && !told[name] {
			told[name] = true
			t.Errorf("%s: not one of the top-level entries: %s", name, strings.Join(topLevel, " "))
		}
	}
}
