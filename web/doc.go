// Package web holds V-Stack's pages: TypeScript in src, bundled into dist by esbuild, and
// embedded here.
//
//	src/*.tsx ── make web: npm ci, go tool esbuild ──► dist ── go:embed ──► gateway, console
//
// Nothing of others and no bundle is committed: package-lock.json names the libraries, and
// a plain `go build` gives a binary whose pages say what to run.
package web
