package web

import (
	"embed"
	"io/fs"
)

// files holds the bundle that `make web` built, and what stands in for it.
//
//go:embed all:dist static
var files embed.FS

// Pages returns the pages to serve: the bundle, or, in a binary that was built without
// it, one page that says how to get it. built tells which.
func Pages() (pages fs.FS, built bool) {
	name := "static"
	if _, err := fs.Stat(files, "dist/index.html"); err == nil {
		name, built = "dist", true
	}
	sub, err := fs.Sub(files, name)
	if err != nil {
		panic("web: embedded folder " + name + ": " + err.Error()) // its name is a constant
	}
	return sub, built
}
