package tap

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// maxWait bounds a listener's wait: a store that stops waits for it.
const maxWait = 2 * time.Second

// ServeHTTP answers a listener whom the router let in.
func (t *Tap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ask, err := askOf(r)
	if err != nil {
		wire.WriteError(w, err)
		return
	}
	page := t.Listen(r.Context(), ask)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(page) // whoever asked may be gone
}

func askOf(r *http.Request) (Ask, error) {
	q, ask := r.URL.Query(), Ask{Fresh: true, Wait: maxWait, OneIn: 1}
	for name, take := range map[string]func(n uint64){
		"after":  func(n uint64) { ask.After, ask.Fresh = n, false },
		"one_in": func(n uint64) { ask.OneIn = uint32(min(n, MaxOneIn)) },
		"wait":   func(n uint64) { ask.Wait = min(time.Duration(min(n, 60))*time.Second, maxWait) },
	} {
		if v := q.Get(name); v != "" {
			n, err := strconv.ParseUint(v, 10, 64)
			if err != nil || name == "one_in" && n == 0 {
				return ask, fmt.Errorf("%s %.20q: %w: want a whole number", name, v, vstack.ErrInvalid)
			}
			take(n)
		}
	}
	return ask, nil
}
