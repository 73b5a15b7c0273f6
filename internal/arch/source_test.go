package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// module is the import path of the repository's root.
const module = "github.com/vstack/vstack"

// sourceFile is one Go file of the repository.
type sourceFile struct {
	path    string // relative to the root, "internal/wire/doc.go"
	dir     string // package directory, "internal/wire"
	test    bool
	lines   int
	pkg     string
	imports []string // this module's packages, as directories
	syntax  *ast.File
	fset    *token.FileSet
}

// root is the repository's root, seen from this package.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// readSource parses every Go file of the repository.
func readSource(t *testing.T) []sourceFile {
	t.Helper()
	dir := root(t)
	var out []sourceFile
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		if e.IsDir() {
			switch {
			case rel != "." && strings.HasPrefix(e.Name(), "."), e.Name() == "testdata", e.Name() == "node_modules", rel == "bin", rel == "out", rel == "lab":
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") || strings.HasPrefix(e.Name(), ".") {
			return nil
		}
		f, err := parseFile(dir, filepath.ToSlash(rel))
		if err != nil {
			return err
		}
		out = append(out, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 20 {
		t.Fatalf("found %d Go files only", len(out))
	}
	return out
}

func parseFile(root, rel string) (sourceFile, error) {
	body, err := os.ReadFile(filepath.Join(root, rel))
	if err != nil {
		return sourceFile{}, err
	}
	f := sourceFile{path: rel, dir: path.Dir(rel), test: strings.HasSuffix(rel, "_test.go"), fset: token.NewFileSet()}
	f.syntax, err = parser.ParseFile(f.fset, rel, body, parser.ParseComments)
	if err != nil {
		return sourceFile{}, err
	}
	f.pkg = f.syntax.Name.Name
	f.lines = strings.Count(string(body), "\n")
	for _, imp := range f.syntax.Imports {
		p, err := strconv.Unquote(imp.Path.Value)
		if err != nil {
			return sourceFile{}, err
		}
		if p == module {
			f.imports = append(f.imports, ".")
		} else if rest, ok := strings.CutPrefix(p, module+"/"); ok {
			f.imports = append(f.imports, rest)
		}
	}
	return f, nil
}
