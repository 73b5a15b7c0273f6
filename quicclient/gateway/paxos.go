package gateway

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/chunkpaxos/sim"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient/gateway/shell"
	"github.com/vstack/vstack/web"
)

// maxScript bounds the body of a script, bytes.
const maxScript = 8 << 10

func getScenarios(c echo.Context) error {
	return c.JSON(http.StatusOK, wire.List[sim.Scenario]{Items: sim.Scenarios()})
}

func getScenario(c echo.Context) error {
	s, err := sim.Find(c.Param("name"))
	if err != nil {
		return err
	}
	t, err := sim.Play(s)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, t)
}

// postRun plays a stranger's script, which is bounded: about a millisecond of one processor.
func postRun(c echo.Context) error {
	var s sim.Script
	if err := told(c, maxScript, &s); err != nil {
		return err
	}
	t, err := sim.Run(s)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, t)
}

// consensusAlone serves the consensus page and what it asks for, and nothing else.
func (g *Gateway) consensusAlone() http.Handler {
	files, _ := web.Pages()
	mux := http.NewServeMux()
	for _, p := range []string{"GET /assets/", "/v1/paxos/", "GET /livez", "GET /readyz", "GET /version"} {
		mux.Handle(p, g.echo)
	}
	mux.Handle("GET /{$}", http.RedirectHandler("/consensus", http.StatusFound))
	mux.HandleFunc("GET /consensus", func(w http.ResponseWriter, r *http.Request) {
		body, err := fs.ReadFile(files, "index.html")
		if err != nil {
			wire.WriteError(w, fmt.Errorf("%s: %w", r.URL.Path, vstack.ErrNotFound))
			return
		}
		shell.Headers(w.Header(), shell.Policy)
		w.Header().Set("Content-Type", shell.Type("index.html"))
		_, _ = w.Write(bytes.Replace(body, []byte("<html "), []byte(`<html data-only="consensus" `), 1)) // the reader may be gone
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		wire.WriteError(w, fmt.Errorf("%s %s: %w: this port has the consensus page alone", r.Method, clip(r.URL.Path), vstack.ErrNotFound))
	})
	return mux
}
