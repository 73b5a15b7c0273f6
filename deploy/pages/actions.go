package pages

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// maxAction bounds the body of a change.
const maxAction = 4 << 10

// Catalog is what the pages may change in the catalog under the bundle's rights;
// *metaclient.Client is one.
type Catalog interface {
	DeleteVideo(ctx context.Context, id vstack.VideoID) error
	SetClass(ctx context.Context, id vstack.VideoID, req wire.ClassRequest) (vstack.Video, error)
	ReplaceStore(ctx context.Context, id, with vstack.StoreID) (wire.ReplaceStoreReply, error)
	TransferLeader(ctx context.Context, to string) error
	Upkeep
}

// Roles is what the pages may ask of stores and uploaders; *cluster.Cluster is one.
type Roles interface {
	ScrubStore(ctx context.Context, id vstack.StoreID) (wire.ScrubStatus, error)
	CancelJob(ctx context.Context, id vstack.UploadID) (wire.Job, error)
}

// getActions says what may be changed here: the public gateway has no such route, and its
// pages no such buttons.
func (s *Server) getActions(w http.ResponseWriter, _ *http.Request) {
	may := []string{"delete", "class", "replace", "transfer", "order", "balance", "redundancy", "events"}
	if s.cfg.Roles != nil {
		may = append(may, "scrub", "cancel")
	}
	if s.cfg.Play != nil {
		may = append(may, "compare")
	}
	if s.cfg.Drills != nil {
		may = append(may, "drill")
	}
	if s.cfg.Voters != nil {
		may = append(may, "messages")
	}
	answer(w, map[string][]string{"actions": may})
}

func (s *Server) deleteFilm(w http.ResponseWriter, r *http.Request) {
	id, err := vstack.ParseVideoID(r.PathValue("video"))
	if err == nil {
		err = s.cfg.Catalog.DeleteVideo(r.Context(), id)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) putClass(w http.ResponseWriter, r *http.Request) {
	id, err := vstack.ParseVideoID(r.PathValue("video"))
	if err != nil {
		refuse(w, err)
		return
	}
	var req wire.ClassRequest
	if err := read(w, r, &req); err != nil {
		refuse(w, err)
		return
	}
	v, err := s.cfg.Catalog.SetClass(r.Context(), id, req)
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, v)
}

func (s *Server) replaceStore(w http.ResponseWriter, r *http.Request) {
	id, err := vstack.ParseStoreID(r.PathValue("store"))
	if err != nil {
		refuse(w, err)
		return
	}
	reply, err := s.cfg.Catalog.ReplaceStore(r.Context(), id, vstack.StoreID{})
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, reply)
}

func (s *Server) scrubStore(w http.ResponseWriter, r *http.Request) {
	id, err := vstack.ParseStoreID(r.PathValue("store"))
	if err != nil {
		refuse(w, err)
		return
	}
	status, err := s.cfg.Roles.ScrubStore(r.Context(), id)
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, status)
}

func (s *Server) transferLeader(w http.ResponseWriter, r *http.Request) {
	var req struct {
		To string `json:"to"`
	}
	err := read(w, r, &req)
	if err == nil {
		err = s.cfg.Catalog.TransferLeader(r.Context(), req.To)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) cancelJob(w http.ResponseWriter, r *http.Request) {
	id, err := vstack.ParseUploadID(r.PathValue("job"))
	if err != nil {
		refuse(w, err)
		return
	}
	job, err := s.cfg.Roles.CancelJob(r.Context(), id)
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, job)
}

// read takes the body of a change.
func read(w http.ResponseWriter, r *http.Request, out any) error {
	if err := wire.ReadJSON(http.MaxBytesReader(w, r.Body, maxAction), out, false); err != nil {
		return fmt.Errorf("%s %s: %w: %v", r.Method, clip(r.URL.Path), vstack.ErrInvalid, err)
	}
	return nil
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // the page may be gone; there is nobody else to tell
}
