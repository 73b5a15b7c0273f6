package gateway

import (
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/web"
)

// csp lets a page do no more than ours do: nothing comes from elsewhere, nothing runs
// that is not a file of ours. hls.js plays from blobs.
const csp = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; connect-src 'self'"

// policy is csp with the stores, from which the player reads.
func (g *Gateway) policy() string {
	var b strings.Builder
	b.WriteString(csp)
	for _, d := range g.doors.List() {
		b.WriteString(" https://" + d.Addr)
	}
	return b.String()
}

// pageRoutes are the addresses at which the pages' shell stands; it shows what each is for.
func pageRoutes() []string {
	return []string{"/", "/videos", "/upload", "/watch/:video", "/stores", "/groups", "/raft", "/live", "/live/:session", "/consensus", "/compare", "/compare/:video"}
}

func (g *Gateway) addPages(e *echo.Echo) {
	files, _ := web.Pages()
	shell := func(c echo.Context) error { return servePage(c, files, "index.html", g.policy()) }
	for _, p := range pageRoutes() {
		e.GET(p, shell)
	}
	e.GET("/assets/:file", func(c echo.Context) error {
		return servePage(c, files, path.Join("assets", path.Base(c.Param("file"))), csp)
	})
}

func servePage(c echo.Context, files fs.FS, name, policy string) error {
	body, err := fs.ReadFile(files, name)
	if err != nil {
		return fmt.Errorf("%s: %w", clip(c.Request().URL.Path), vstack.ErrNotFound)
	}
	pageHeaders(c.Response().Header(), policy)
	return c.Blob(http.StatusOK, pageType(name), body)
}

func pageHeaders(h http.Header, policy string) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache") // a new binary brings new pages
}

// pageType is said here and not looked up: the machine's table of types may lack one.
func pageType(name string) string {
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
