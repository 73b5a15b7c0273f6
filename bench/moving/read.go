package moving

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"

	"github.com/vstack/vstack/internal/vstack"
)

// maxFaults bounds the faults that are told in words.
const maxFaults = 10

// errWrong is bytes that are not the film's.
var errWrong = errors.New("other bytes came")

// one reads a chunk of a film in some way, and counts it.
func (r *run) one(ctx context.Context, way string, ask func(context.Context, *film, int) error) {
	f := r.films[rand.IntN(len(r.films))]
	i := rand.IntN(len(f.chunks))
	class, _ := f.class.Load().(vstack.StorageClass)
	err := ask(ctx, f, i)
	if ctx.Err() != nil {
		return // the time was over
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.res.Reads[class]++
	r.res.Ways[way]++
	if r.gone.Load() {
		r.res.Beside++
	}
	switch {
	case err == nil:
		return
	case errors.Is(err, errWrong):
		r.res.Wrong++
	default:
		r.res.Failed++
	}
	if len(r.res.Faults) < maxFaults {
		r.res.Faults = append(r.res.Faults, fmt.Sprintf("%s of chunk %d of %s, %s: %v", way, i, f.id, class, err))
	}
}

// smart reads through the client that chooses among stores.
func (r *run) smart(ctx context.Context, f *film, i int) error {
	got, err := r.chunks.Fetch(ctx, vstack.Slot{Video: f.id, Track: 1, Seq: f.chunks[i].Seq}, f.chunks[i])
	if err != nil {
		return err
	}
	defer got.Release()
	if !bytes.Equal(got.Data, f.data[i]) {
		return errWrong
	}
	return nil
}

// plain asks one target after the other for the whole chunk, as any HTTP client may.
func (r *run) plain(ctx context.Context, f *film, i int) error {
	return r.targets(ctx, f, i, "", f.data[i])
}

// part asks for some bytes of it.
func (r *run) part(ctx context.Context, f *film, i int) error {
	from := rand.IntN(chunkSize)
	to := from + rand.IntN(chunkSize-from)
	return r.targets(ctx, f, i, fmt.Sprintf("bytes=%d-%d", from, to), f.data[i][from:to+1])
}

// targets reads from the first target of the chunk's group that answers, in any order. A read
// has failed when none does.
func (r *run) targets(ctx context.Context, f *film, i int, span string, want []byte) error {
	m, err := r.meta.Placement(ctx)
	if err != nil {
		return err
	}
	g, _ := m.Group(vstack.Slot{Video: f.id, Track: 1, Seq: f.chunks[i].Seq})
	var errs []error
	for _, n := range rand.Perm(len(g.Targets)) {
		st, _ := m.Store(g.Targets[n])
		if err := r.get(ctx, "https://"+st.Addr+"/v1/chunks/"+f.chunks[i].ID.String(), span, want); err == nil || errors.Is(err, errWrong) {
			return err
		} else {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (r *run) get(ctx context.Context, url, span string, want []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if span != "" {
		req.Header.Set("Range", span)
		status = http.StatusPartialContent
	}
	resp, err := r.web.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, chunkSize+1))
	switch {
	case resp.StatusCode != status:
		return fmt.Errorf("GET %s: status %s: %.200s", url, resp.Status, body)
	case err != nil:
		return fmt.Errorf("GET %s: %w", url, err)
	case !bytes.Equal(body, want):
		return errWrong
	}
	return nil
}
