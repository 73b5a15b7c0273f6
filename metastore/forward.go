package metastore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	forwardTimeout = 15 * time.Second
	maxPeerBody    = 1 << 20
	// forwardCheck is how often a forward that waits looks whether its leader still leads.
	forwardCheck = 25 * time.Millisecond
)

// peerClient talks to the APIs of other members.
func peerClient(id *identity.Identity) *http.Client {
	d := &net.Dialer{Timeout: time.Second}
	return &http.Client{Transport: &http.Transport{
		DialContext: d.DialContext, TLSClientConfig: id.ClientTLS(), TLSHandshakeTimeout: 2 * time.Second,
		ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 8, IdleConnTimeout: 90 * time.Second,
		HTTP2: &http.HTTP2Config{SendPingTimeout: time.Second, PingTimeout: time.Second},
	}}
}

// leaderAPI is where the leader serves, as far as this member knows.
func (s *Server) leaderAPI() (string, error) {
	id := s.node.Leader()
	p, ok := s.node.Member(id)
	if !ok || id == s.cfg.ID {
		// Ourselves: elected, and not established yet.
		return "", fmt.Errorf("member %s: %w is known", s.cfg.ID, vstack.ErrNoLeader)
	}
	return p.API, nil
}

// forward passes the request to the leader, once.
func (s *Server) forward(c echo.Context) error {
	req := c.Request()
	if by := req.Header.Get(wire.HeaderForwarded); by != "" {
		return fmt.Errorf("forwarded by %.63q to %s, which does not lead: %w", by, s.cfg.ID, vstack.ErrNoLeader)
	}
	api, err := s.leaderAPI()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(req.Context(), forwardTimeout)
	defer cancel()
	u := *req.URL
	u.Scheme, u.Host = "https", api
	out, err := http.NewRequestWithContext(ctx, req.Method, u.String(), req.Body)
	if err != nil {
		return fmt.Errorf("forward to %s: %w: %v", api, vstack.ErrInvalid, err)
	}
	if out.ContentLength = req.ContentLength; out.ContentLength == 0 {
		out.Body = http.NoBody
	}
	for _, h := range []string{"Content-Type", "If-None-Match", wire.HeaderRequestID} {
		if v := req.Header.Get(h); v != "" {
			out.Header.Set(h, v)
		}
	}
	out.Header.Set(wire.HeaderForwarded, s.cfg.ID)
	resp, err := s.doWhileLed(out, cancel)
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return fmt.Errorf("request body: %w: more than %d bytes", vstack.ErrTooLarge, large.Limit)
		}
		if req.Method == http.MethodGet {
			return fmt.Errorf("forward to leader at %s: %w: %v", api, vstack.ErrUnavailable, err)
		}
		// It may have arrived before the connection broke.
		return fmt.Errorf("forward to leader at %s: %w: %v", api, vstack.ErrOutcomeUnknown, err)
	}
	defer resp.Body.Close()
	return relay(c, resp)
}

// doWhileLed sends the request, and gives it up once this member follows that leader no
// longer: one that was stopped would otherwise hold the request until its connection is
// found dead, while its successor has been serving for seconds.
func (s *Server) doWhileLed(out *http.Request, cancel context.CancelFunc) (*http.Response, error) {
	leader := s.node.Leader()
	answered := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		tick := time.NewTicker(forwardCheck)
		defer tick.Stop()
		for {
			select {
			case <-answered:
				return
			case <-tick.C:
				if s.node.Leader() != leader {
					cancel()
					return
				}
			}
		}
	})
	resp, err := s.peers.Do(out)
	close(answered)
	watch.Wait()
	return resp, err
}

// relay copies the leader's answer.
func relay(c echo.Context, resp *http.Response) error {
	h := c.Response().Header()
	for _, name := range []string{"Content-Type", "ETag", "Cache-Control", "Retry-After", wire.HeaderNode, wire.HeaderTerm, wire.HeaderIndex, wire.HeaderMembers} {
		if v := resp.Header.Get(name); v != "" {
			h.Set(name, v)
		}
	}
	c.Response().WriteHeader(resp.StatusCode)
	_, err := io.Copy(c.Response(), resp.Body)
	return err // the status is out: writeError leaves it alone
}

// ask gets JSON from another member.
func (s *Server) ask(ctx context.Context, id, path string, v any) error {
	m, ok := s.node.Member(id)
	if !ok {
		return fmt.Errorf("ask member %q: %w", id, vstack.ErrNotFound)
	}
	return s.askAt(ctx, m.API, path, v)
}

// askAt gets JSON from whatever member serves at addr.
func (s *Server) askAt(ctx context.Context, addr, path string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+addr+path, nil)
	if err != nil {
		return fmt.Errorf("ask member at %s: %w: %v", addr, vstack.ErrInvalid, err)
	}
	resp, err := s.peers.Do(req)
	if err != nil {
		return fmt.Errorf("ask member at %s: %w: %v", addr, vstack.ErrUnavailable, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return wire.ReadError(resp)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxPeerBody)).Decode(v); err != nil {
		return fmt.Errorf("ask member at %s: %w: %v", addr, vstack.ErrUnavailable, err)
	}
	return nil
}
