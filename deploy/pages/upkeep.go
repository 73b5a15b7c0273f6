package pages

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Upkeep is what keeps a cluster: orders for stores, and the sharing out of roles;
// *metaclient.Client is one.
type Upkeep interface {
	Order(ctx context.Context, req wire.OrderRequest) (wire.OrderReply, error)
	Orders(ctx context.Context) ([]wire.StandingOrder, error)
	OKToStop(ctx context.Context, host vstack.HostID) (wire.OKToStop, error)
	Balance(ctx context.Context) (wire.BalanceReport, error)
	SetBalance(ctx context.Context, to vstack.Balance) (wire.BalanceReport, error)
	SetRedundancy(ctx context.Context, req wire.RedundancyRequest) (wire.Redundancy, error)
	Events(ctx context.Context, since uint64, limit int) (wire.EventPage, error)
}

// eventsPage is how many events are told at once.
const eventsPage = 1000

func (s *Server) addUpkeep(mux *http.ServeMux, u Upkeep) {
	mux.HandleFunc("GET /v1/stores/orders", tells(func(r *http.Request) (any, error) {
		items, err := u.Orders(r.Context())
		return wire.List[wire.StandingOrder]{Items: items}, err
	}))
	mux.HandleFunc("GET /v1/balance", tells(func(r *http.Request) (any, error) { return u.Balance(r.Context()) }))
	mux.HandleFunc("GET /v1/nodes/{host}/ok-to-stop", tells(func(r *http.Request) (any, error) {
		return u.OKToStop(r.Context(), vstack.HostID(r.PathValue("host")))
	}))
	mux.HandleFunc("POST /v1/stores/orders", func(w http.ResponseWriter, r *http.Request) {
		var req wire.OrderRequest
		if err := read(w, r, &req); err != nil {
			refuse(w, err)
			return
		}
		tells(func(r *http.Request) (any, error) { return u.Order(r.Context(), req) })(w, r)
	})
	mux.HandleFunc("PUT /v1/balance", func(w http.ResponseWriter, r *http.Request) {
		var req wire.BalanceRequest
		if err := read(w, r, &req); err != nil {
			refuse(w, err)
			return
		}
		tells(func(r *http.Request) (any, error) { return u.SetBalance(r.Context(), req.State) })(w, r)
	})
}

// addDecisions adds what people decide for the cluster, and what it says of who did.
func (s *Server) addDecisions(mux *http.ServeMux, u Upkeep) {
	mux.HandleFunc("PUT /v1/redundancy", func(w http.ResponseWriter, r *http.Request) {
		var req wire.RedundancyRequest
		if err := read(w, r, &req); err != nil {
			refuse(w, err)
			return
		}
		tells(func(r *http.Request) (any, error) { return u.SetRedundancy(r.Context(), req) })(w, r)
	})
	// The pages' stream has the name that the catalog gives to its events.
	mux.HandleFunc("GET /v1/catalog/events", tells(func(r *http.Request) (any, error) {
		var since uint64
		if text := r.URL.Query().Get("since"); text != "" {
			var err error
			if since, err = strconv.ParseUint(text, 10, 64); err != nil {
				return nil, fmt.Errorf("since %.40q: %w: want the next of an earlier answer", text, vstack.ErrInvalid)
			}
		}
		return u.Events(r.Context(), since, eventsPage)
	}))
}

// tells answers with what f returns.
func tells(f func(r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := f(r)
		if err != nil {
			refuse(w, err)
			return
		}
		answer(w, v)
	}
}
