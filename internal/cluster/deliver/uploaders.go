package deliver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/vstack/vstack/internal/httpclient"
	"github.com/vstack/vstack/internal/sleep"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Uploaders are where files may go.
type Uploaders struct {
	Addrs []string // HOST:PORT
	// Web is for short calls, Films for those whose answer comes when the film is on disk.
	Web, Films *httpclient.Client
}

func (u Uploaders) get(ctx context.Context, addr, path string, out any) error {
	return u.Web.JSON(ctx, http.MethodGet, "https://"+addr+path, nil, out)
}

// AskPatience is how long each round of asking waits for one uploader: a dead host costs
// little, and one that is only busy is not given up.
var AskPatience = [...]time.Duration{2 * time.Second, 15 * time.Second}

const (
	// comingPatience is how long uploaders are asked that answer, and are not ready: for the
	// moment that members take to elect a leader none of them is.
	comingPatience = 10 * time.Second
	comingPause    = 250 * time.Millisecond
)

// ready picks one that answers /readyz, starting anywhere so that many people
// do not all pick the first. One that was lost comes last: it may be ready and yet lose
// every file. note is told what it waits for.
func (u Uploaders) ready(ctx context.Context, only, lost string, note func(string)) (string, error) {
	list := u.Addrs
	if only != "" {
		list = []string{only}
	}
	if len(list) == 0 {
		return "", fmt.Errorf("client bundle: uploaders: %w: none listed", vstack.ErrInvalid)
	}
	start, began := rand.IntN(len(list)), time.Now()
	var errs []error
	for round := 0; round < len(AskPatience) || coming(errs) && time.Since(began) < comingPatience; round++ {
		if round == len(AskPatience) {
			note(fmt.Sprintf("no uploader is ready yet, asking for %s", comingPatience))
		}
		if round > 0 && coming(errs) && !sleep.For(ctx, comingPause) {
			break
		}
		patience := AskPatience[min(round, len(AskPatience)-1)]
		errs = nil
		for _, addr := range inTurn(list, start, lost) {
			ask, cancel := context.WithTimeout(ctx, patience)
			err := u.get(ask, addr, "/readyz", nil)
			cancel()
			if err == nil {
				return addr, nil
			}
			errs = append(errs, err)
		}
	}
	return "", fmt.Errorf("find an uploader that is ready: %w", errors.Join(errs...))
}

// coming says that one of them answered that it is not ready.
func coming(errs []error) bool {
	return slices.ContainsFunc(errs, func(err error) bool { return wire.IsStatus(err, http.StatusServiceUnavailable) })
}

// inTurn is the list from start on, with last at its end.
func inTurn(list []string, start int, last string) []string {
	out := slices.Concat(list[start:], list[:start])
	slices.SortStableFunc(out, func(a, b string) int {
		switch {
		case a == last && b != last:
			return 1
		case b == last && a != last:
			return -1
		}
		return 0
	})
	return out
}

// present shows a ticket, if there is one.
func present(req *http.Request, ticket string) {
	if ticket != "" {
		req.Header.Set("Authorization", "Bearer "+ticket)
	}
}
