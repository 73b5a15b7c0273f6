package site

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	"net/http"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Catalog has the first host answer what a command asks before it plays a film: the manifest,
// the placement map and the video, in the form and under the paths of the metastore. It is at CatalogAddr until Close.
func (s *Site) Catalog(ctx context.Context, m *vstack.Manifest) error {
	ln, err := s.Hosts[0].Listen(ctx, "tcp", hostIP(0)+":8080")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	answer := func(path string, v any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			body, err := json.Marshal(v)
			if err != nil {
				wire.WriteError(w, err)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(wire.Packed(w.Header(), r, body)) // of who has left
		})
	}
	answer("/v1/placement", s.places)
	answer("/v1/videos/"+m.Video.String(), vstack.Video{ID: m.Video, State: vstack.VideoPublished})
	answer("/v1/videos/"+m.Video.String()+"/manifest", m)
	s.catalog = &http.Server{Handler: mux, ErrorLog: log.New(io.Discard, "", 0)}
	s.done.Go(func() { _ = s.catalog.Serve(tls.NewListener(ln, s.identity.ServerTLS("http/1.1"))) }) // it ends by Close
	s.CatalogAddr = ln.Addr().String()
	return nil
}
