package gateway

import (
	"path"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/quicclient/gateway/shell"
	"github.com/vstack/vstack/web"
)

// policy is shell.Policy with the stores, from which the player reads.
func (g *Gateway) policy() string {
	var b strings.Builder
	b.WriteString(shell.Policy)
	for _, d := range g.doors.List() {
		b.WriteString(" https://" + d.Addr)
	}
	return b.String()
}

// pageRoutes are the addresses at which the pages' shell stands; it shows what each is for.
func pageRoutes() []string {
	return []string{"/", "/videos", "/upload", "/watch/:video", "/stores", "/groups", "/raft", "/events", "/live", "/live/:session", "/consensus", "/compare", "/compare/:video", "/drills"}
}

func (g *Gateway) addPages(e *echo.Echo) {
	files, _ := web.Pages()
	page := func(c echo.Context) error { return shell.Serve(c, files, "index.html", g.policy()) }
	for _, p := range pageRoutes() {
		e.GET(p, page)
	}
	e.GET("/assets/:file", func(c echo.Context) error {
		return shell.Serve(c, files, path.Join("assets", path.Base(c.Param("file"))), shell.Policy)
	})
}
