package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	// renewalTries is how often a member is asked in the last third of a certificate's life.
	renewalTries = 100
	// renewalTimeout bounds one question.
	renewalTimeout = 10 * time.Second
	minRenewalWait = time.Second
)

// renewCertificate has a member with the issuing key renew this host's certificate after two
// thirds of its life, until ctx ends. A cluster without such a key says so, and somebody
// else renews.
func (h *host) renewCertificate(ctx context.Context) error {
	for told := false; ; {
		due := h.id.RenewAt()
		timer := time.NewTimer(max(time.Until(due), h.id.NotAfter().Sub(due)/renewalTries, minRenewalWait))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		if time.Now().Before(h.id.RenewAt()) {
			continue // somebody else has renewed it
		}
		switch err := h.askForRenewal(ctx); {
		case err == nil:
			told = false
			h.log.Info("this host's certificate is renewed", "until", h.id.NotAfter())
		case ctx.Err() == nil && !told:
			told = true
			h.log.Warn("this host's certificate is not renewed; it is asked for again and again", "until", h.id.NotAfter(), "err", err)
		}
	}
}

// askForRenewal asks one member after the other.
func (h *host) askForRenewal(ctx context.Context) error {
	r, err := identity.NewRenewal()
	if err != nil {
		return err
	}
	body, err := json.Marshal(wire.RenewRequest{Request: r.Request})
	if err != nil {
		return err
	}
	web := &http.Client{Timeout: renewalTimeout, Transport: &http.Transport{TLSClientConfig: h.id.ClientTLS(), DisableKeepAlives: true}}
	var errs []error
	for _, addr := range h.cfg.APIs() {
		var out wire.RenewReply
		if err = renewAt(ctx, web, addr, body, &out); err == nil {
			err = h.id.Take(r, out.Certificate)
		}
		if err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("member %s: %w", addr, err))
	}
	return errors.Join(errs...)
}

func renewAt(ctx context.Context, web *http.Client, addr string, body []byte, out *wire.RenewReply) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+addr+"/v1/certificates/renew", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := web.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", vstack.ErrUnavailable, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return wire.ReadError(resp)
	}
	return json.NewDecoder(http.MaxBytesReader(nil, resp.Body, 64<<10)).Decode(out)
}
