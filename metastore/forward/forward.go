package forward

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/network"
	"github.com/vstack/vstack/internal/tracing"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
	"github.com/vstack/vstack/internal/wire"
)

const (
	forwardTimeout = 15 * time.Second
	maxAnswer      = 1 << 20
	// Check is how often a forward that waits looks whether its leader still leads.
	Check = 25 * time.Millisecond
)

// Config is what a Forwarder needs; all of it.
type Config struct {
	// ID is this member's.
	ID string
	// Identity proves this member to the others.
	Identity *identity.Identity
	// Network opens the connections. Default: the operating system.
	Network network.Network
	// Leader is the id of the member that this one follows, empty when there is none.
	Leader func() string
	// API is where a member serves.
	API func(id string) (string, bool)
}

// Forwarder talks to the other members for one of them.
type Forwarder struct {
	cfg    Config
	client *http.Client
}

// New makes a forwarder; it connects when first used.
func New(cfg Config) *Forwarder {
	return &Forwarder{cfg, &http.Client{Transport: &http.Transport{
		DialContext: network.DialWithin(network.Or(cfg.Network, network.OS{}), time.Second), TLSClientConfig: cfg.Identity.ClientTLS(), TLSHandshakeTimeout: 2 * time.Second,
		ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 8, IdleConnTimeout: 90 * time.Second,
		HTTP2: &http.HTTP2Config{SendPingTimeout: time.Second, PingTimeout: time.Second},
	}}}
}

// Close drops idle connections.
func (f *Forwarder) Close() { f.client.CloseIdleConnections() }

// LeaderAPI is where the leader serves, as far as this member knows; ErrNoLeader when it
// knows of none, or is it itself and not established yet.
func (f *Forwarder) LeaderAPI() (string, error) {
	id := f.cfg.Leader()
	api, ok := f.cfg.API(id)
	if !ok || id == f.cfg.ID {
		return "", fmt.Errorf("member %s: %w is known", f.cfg.ID, vstack.ErrNoLeader)
	}
	return api, nil
}

// Led reports whether this member knows of another that leads.
func (f *Forwarder) Led() bool {
	_, err := f.LeaderAPI()
	return err == nil
}

// ForwardJSON is Forward of a request whose body was read; v takes its place.
func (f *Forwarder) ForwardJSON(w http.ResponseWriter, req *http.Request, by Caller, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode body of %s %s: %w", req.Method, req.URL.Path, err)
	}
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return f.Forward(w, req, by)
}

// Forward passes the caller's request to the leader, once, and its answer back. An error
// that comes once the answer has begun cuts it short.
func (f *Forwarder) Forward(w http.ResponseWriter, req *http.Request, by Caller) error {
	if by := req.Header.Get(wire.HeaderForwarded); by != "" {
		return fmt.Errorf("forwarded by %.63q to %s, which does not lead: %w", by, f.cfg.ID, vstack.ErrNoLeader)
	}
	api, err := f.LeaderAPI()
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
	for _, h := range []string{"Content-Type", "If-None-Match", wire.HeaderRequestID, wire.HeaderLevel, watch.Header} {
		if v := req.Header.Get(h); v != "" {
			out.Header.Set(h, v)
		}
	}
	out.Header.Set(wire.HeaderForwarded, f.cfg.ID)
	tracing.Inject(ctx, out.Header)
	by.say(out.Header)
	resp, err := f.doWhileLed(out, cancel)
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
	if disbelieved(resp) { // nothing happened; another member may do it
		return fmt.Errorf("forward to leader at %s: %w: it takes %s for no member", api, vstack.ErrNoLeader, f.cfg.ID)
	}
	if resp.Header.Get(wire.HeaderCode) == string(vstack.ErrRevoked.Code()) {
		// Of this member, not of who asks it. The certificate that it has now may be good.
		f.client.CloseIdleConnections()
		return fmt.Errorf("forward to leader at %s: %w: it takes the certificate of %s for revoked", api, vstack.ErrNoLeader, f.cfg.ID)
	}
	return relay(w, resp)
}

// doWhileLed sends the request, and gives it up once this member follows that leader no
// longer: one that was stopped would otherwise hold the request until its connection is
// found dead, while its successor has been serving for seconds.
func (f *Forwarder) doWhileLed(out *http.Request, cancel context.CancelFunc) (*http.Response, error) {
	leader := f.cfg.Leader()
	answered := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		tick := time.NewTicker(Check)
		defer tick.Stop()
		for {
			select {
			case <-answered:
				return
			case <-tick.C:
				if f.cfg.Leader() != leader {
					cancel()
					return
				}
			}
		}
	})
	resp, err := f.client.Do(out)
	close(answered)
	watch.Wait()
	return resp, err
}

// relay copies the leader's answer.
func relay(w http.ResponseWriter, resp *http.Response) error {
	h := w.Header()
	for _, name := range []string{"Content-Type", "ETag", "Cache-Control", "Retry-After", wire.HeaderNode, wire.HeaderTerm, wire.HeaderIndex, wire.HeaderMembers, wire.HeaderLevel} {
		if v := resp.Header.Get(name); v != "" {
			h.Set(name, v)
		}
	}
	w.WriteHeader(resp.StatusCode)
	_, err := io.Copy(w, resp.Body)
	return err // the status is out
}

// Post gives the leader a write of this member's own; its answer's body is dropped.
func (f *Forwarder) Post(ctx context.Context, path, requestID string, v any) error {
	api, err := f.LeaderAPI()
	if err != nil {
		return err
	}
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode body of POST %s: %w", path, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+api+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("POST %s: %w: %v", path, vstack.ErrInvalid, err)
	}
	req.Header.Set(wire.HeaderRequestID, requestID)
	req.Header.Set(wire.HeaderForwarded, f.cfg.ID)
	resp, err := f.client.Do(req)
	if err != nil {
		return fmt.Errorf("POST %s to leader at %s: %w: %v", path, api, vstack.ErrOutcomeUnknown, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		return wire.ReadError(resp)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	return err
}

// Ask gets JSON from whatever member serves at addr.
func (f *Forwarder) Ask(ctx context.Context, addr, path string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+addr+path, nil)
	if err != nil {
		return fmt.Errorf("ask member at %s: %w: %v", addr, vstack.ErrInvalid, err)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return fmt.Errorf("ask member at %s: %w: %v", addr, vstack.ErrUnavailable, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return wire.ReadError(resp)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(v); err != nil {
		return fmt.Errorf("ask member at %s: %w: %v", addr, vstack.ErrUnavailable, err)
	}
	return nil
}

// AskLeader asks the leader for its own state.
func (f *Forwarder) AskLeader(ctx context.Context) (p wire.RaftPeer, err error) {
	api, err := f.LeaderAPI()
	if err != nil {
		return p, err
	}
	err = f.Ask(ctx, api, "/v1/raft/self", &p)
	return p, err
}
