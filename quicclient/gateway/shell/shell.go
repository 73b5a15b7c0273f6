package shell

import (
	"fmt"
	"io/fs"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
)

// Policy lets a page do no more than ours do: nothing comes from elsewhere, nothing runs
// that is not a file of ours. hls.js plays from blobs.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; connect-src 'self'"

// Serve answers a file; ErrNotFound where there is none.
func Serve(c echo.Context, files fs.FS, name, policy string) error {
	body, err := fs.ReadFile(files, name)
	if err != nil {
		return fmt.Errorf("%.64q: %w", c.Request().URL.Path, vstack.ErrNotFound)
	}
	Headers(c.Response().Header(), policy)
	return c.Blob(http.StatusOK, Type(name), body)
}

// Headers are those of every file.
func Headers(h http.Header, policy string) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer") // an address may have a playback token
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache") // a new binary brings new pages
}

// Type is said here and not looked up: the machine's table of types may lack one.
func Type(name string) string {
	switch name[strings.LastIndex(name, ".")+1:] {
	case "html":
		return "text/html; charset=utf-8"
	case "js":
		return "text/javascript; charset=utf-8"
	case "css":
		return "text/css; charset=utf-8"
	case "svg":
		return "image/svg+xml"
	}
	return "text/plain; charset=utf-8"
}
