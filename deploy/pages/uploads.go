package pages

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	// askTimeout bounds a question to one uploader.
	askTimeout = 3 * time.Second
	// maxAnswer bounds its answer.
	maxAnswer = 4 << 20
)

// createUpload begins a resumable upload at the first uploader that is ready; the address
// that it answers names that uploader, so that the rest goes there too.
func (s *Server) createUpload(w http.ResponseWriter, r *http.Request) {
	for n := range s.cfg.Uploaders {
		if s.ready(r, n) {
			s.proxy(n, "").ServeHTTP(w, r)
			return
		}
	}
	refuse(w, fmt.Errorf("upload: %w: none of %d uploaders is ready", vstack.ErrUnavailable, len(s.cfg.Uploaders)))
}

// passUpload hands /up/N/… to uploader N.
func (s *Server) passUpload(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil || n < 0 || n >= len(s.cfg.Uploaders) {
		refuse(w, fmt.Errorf("uploader %q: %w", clip(r.PathValue("n")), vstack.ErrNotFound))
		return
	}
	s.proxy(n, prefix(n)).ServeHTTP(w, r)
}

func prefix(n int) string { return "/up/" + strconv.Itoa(n) }

func (s *Server) ready(r *http.Request, n int) bool {
	return s.ask(r.Context(), n, "/readyz", nil) == nil
}

// ask reads a JSON answer of uploader n; out may be nil.
func (s *Server) ask(ctx context.Context, n int, path string, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.cfg.Uploaders[n]+path, nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", s.cfg.Uploaders[n], err)
	}
	client := http.Client{Transport: s.cfg.Transport, Timeout: askTimeout}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("ask %s: %w", s.cfg.Uploaders[n], err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return wire.ReadError(resp)
	}
	body := io.LimitReader(resp.Body, maxAnswer)
	if out == nil {
		_, err = io.Copy(io.Discard, body)
		return err
	}
	return json.NewDecoder(body).Decode(out)
}

// proxy hands a request to uploader n. Of its path the prefix is cut; an address that the
// answer names stands behind the prefix again.
func (s *Server) proxy(n int, cut string) http.Handler {
	target := &url.URL{Scheme: "https", Host: s.cfg.Uploaders[n]}
	return &httputil.ReverseProxy{
		Transport:     s.cfg.Transport,
		FlushInterval: -1,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.URL.Path = strings.TrimPrefix(p.In.URL.Path, cut)
			p.Out.URL.RawPath = ""
			p.Out.Host = target.Host
			own := []string{"Cookie", "Origin"} // the console's, not the uploader's
			if s.bears(p.In.Header) {
				own = append(own, "Authorization")
			}
			for _, h := range own {
				p.Out.Header.Del(h)
			}
		},
		ModifyResponse: func(resp *http.Response) error {
			if u, err := url.Parse(resp.Header.Get("Location")); err == nil && u.Path != "" {
				resp.Header.Set("Location", prefix(n)+u.Path)
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() == nil {
				refuse(w, fmt.Errorf("uploader %s: %w: %w", s.cfg.Uploaders[n], vstack.ErrUnavailable, err))
			}
		},
	}
}

func (s *Server) getJobs(w http.ResponseWriter, r *http.Request) {
	all, err := s.allJobs(r.Context())
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, all)
}

// allJobs lists the jobs of all uploaders that answer, newest first.
func (s *Server) allJobs(ctx context.Context) (all wire.List[wire.Job], err error) {
	lists := make([]wire.List[wire.Job], len(s.cfg.Uploaders))
	errs := make([]error, len(lists))
	var wg sync.WaitGroup
	for n := range lists {
		wg.Go(func() { errs[n] = s.ask(ctx, n, "/v1/jobs", &lists[n]) })
	}
	wg.Wait()
	failed := 0
	for n := range lists {
		all.Items = append(all.Items, lists[n].Items...)
		if errs[n] != nil {
			failed++
			s.cfg.Logger.Warn("jobs of an uploader", "addr", s.cfg.Uploaders[n], "err", errs[n])
		}
	}
	if failed > 0 && failed == len(lists) {
		return all, fmt.Errorf("jobs: %w: no uploader answers: %w", vstack.ErrUnavailable, errs[0])
	}
	slices.SortStableFunc(all.Items, func(a, b wire.Job) int { return b.Started.Compare(a.Started) })
	return all, nil
}
