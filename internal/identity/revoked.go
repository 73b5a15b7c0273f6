package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Backdate is how long before it is issued a certificate begins to be valid, so that it is
// good on hosts whose clocks are a little behind.
const Backdate = 10 * time.Minute

// revoked is what the cluster's list of revocations means to this process: whose
// connections are refused, and which requests are under way of those who may come to be.
type revoked struct {
	now atomic.Pointer[revocations]

	mu    sync.Mutex
	under map[*underway]struct{}
	told  []func()
}

// revocations is one state of the list; it never changes.
type revocations struct {
	index    uint64                       // of the catalog that it is from
	subjects map[string]vstack.Revocation // by subject
	serials  map[string]vstack.Revocation
}

// underway is a request of somebody with a certificate.
type underway struct {
	leaf *x509.Certificate
	end  func()
}

// Revoke takes the catalog's list as of a log index, in place of the one before; an older one
// changes nothing. Requests under way of certificates that it names are ended, and those told
// that asked for it by OnRevoke.
func (i *Identity) Revoke(list []vstack.Revocation, index uint64) {
	for _, f := range i.revoked.take(revocationsOf(list, index)) {
		f()
	}
}

// take is who has to be told of a new list.
func (r *revoked) take(now *revocations) []func() {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.now.Load()
	if old == nil {
		old = &revocations{}
	}
	if now.index < old.index {
		return nil
	}
	r.now.Store(now)
	if now.same(old) {
		return nil
	}
	for u := range r.under {
		if now.judge(u.leaf) != nil {
			u.end() // under the lock, which keeps its handler from returning: its answer is gone then
		}
	}
	return slices.Clone(r.told)
}

// Names reports whether a revocation made at a time would be of this process's own
// certificate.
func (i *Identity) Names(r vstack.Revocation, now time.Time) bool {
	c := i.current.Load().cert
	r.Before = now.Add(-Backdate)
	return c != nil && revocationsOf([]vstack.Revocation{r}, 0).judge(c.Leaf) != nil
}

// OnRevoke has f called after each change of the list.
func (i *Identity) OnRevoke(f func()) {
	i.revoked.mu.Lock()
	defer i.revoked.mu.Unlock()
	i.revoked.told = append(i.revoked.told, f)
}

// Revoked is ErrRevoked if the certificate of the connection's other end was revoked.
func (i *Identity) Revoked(cs *tls.ConnectionState) error {
	now := i.revoked.now.Load()
	if now == nil || cs == nil || len(cs.PeerCertificates) == 0 {
		return nil
	}
	return now.judge(cs.PeerCertificates[0])
}

func revocationsOf(list []vstack.Revocation, index uint64) *revocations {
	r := &revocations{index: index, subjects: map[string]vstack.Revocation{}, serials: map[string]vstack.Revocation{}}
	for _, v := range list {
		if v.Serial != "" {
			r.serials[v.Serial] = v
		} else {
			r.subjects[v.Subject] = v
		}
	}
	return r
}

func (r *revocations) judge(leaf *x509.Certificate) error {
	if len(r.serials) > 0 {
		if v, ok := r.serials[fmt.Sprintf("%x", leaf.SerialNumber)]; ok {
			return fmt.Errorf("the certificate of serial number %s: %w at %s", v.Serial, vstack.ErrRevoked, v.At.Format(time.RFC3339))
		}
	}
	if len(r.subjects) > 0 && len(leaf.Subject.OrganizationalUnit) == 1 {
		subject := leaf.Subject.OrganizationalUnit[0] + " " + leaf.Subject.CommonName
		if v, ok := r.subjects[subject]; ok && leaf.NotBefore.Before(v.Before) {
			return fmt.Errorf("certificates of %s issued before %s: %w", subject, v.At.Format(time.RFC3339), vstack.ErrRevoked)
		}
	}
	return nil
}

func (r *revocations) same(o *revocations) bool {
	equal := func(a, b vstack.Revocation) bool { return a.Before.Equal(b.Before) }
	return maps.EqualFunc(r.subjects, o.subjects, equal) && maps.EqualFunc(r.serials, o.serials, equal)
}

// Guard serves next to all but those whose certificate was revoked, whom refuse answers, and
// ends what they have under way when it is.
func (i *Identity) Guard(next http.Handler, refuse func(http.ResponseWriter, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithCancelCause(r.Context())
		defer cancel(nil)
		leave, err := i.revoked.enter(r.TLS.PeerCertificates[0], func() {
			cancel(vstack.ErrRevoked)
			_ = http.NewResponseController(w).SetReadDeadline(time.Now()) // a body that is still awaited
		})
		if err != nil {
			if r.ProtoMajor < 3 { // QUIC's connections are ended by their endpoint
				w.Header().Set("Connection", "close")
			}
			refuse(w, fmt.Errorf("%s %.200s: %w", r.Method, r.URL.Path, err))
			return
		}
		defer leave()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// enter counts a request in, of a certificate that is good now.
func (r *revoked) enter(leaf *x509.Certificate, end func()) (leave func(), err error) {
	u := &underway{leaf, end}
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.now.Load(); now != nil {
		if err := now.judge(leaf); err != nil {
			return nil, err
		}
	}
	if r.under == nil {
		r.under = map[*underway]struct{}{}
	}
	r.under[u] = struct{}{}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.under, u)
	}, nil
}

// revokedServer refuses servers whose certificate was revoked.
func (i *Identity) revokedServer(cs tls.ConnectionState) error { return i.Revoked(&cs) }
