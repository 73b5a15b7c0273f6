package pages

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
	"github.com/vstack/vstack/internal/wire"
)

const (
	// signerPrefix begins the ids of consoles' keys.
	signerPrefix = "console-"
	// signerLife is how long a console signs with one key, and signerKept how old one has to be
	// for another console to take it away: what it signed has ended.
	signerLife = 12 * time.Hour
	signerKept = 48 * time.Hour
)

// Keyring has the public halves of the keys of playback tokens; *metaclient.Client is one.
type Keyring interface {
	Keys(ctx context.Context) (wire.JWKS, error)
	AddKey(ctx context.Context, req wire.TokenKeyRequest) error
	DropKey(ctx context.Context, id string) error
}

// signer signs playback tokens for whoever is at this console. Its key is made when first one is
// wanted; its private half is in memory alone, and Close takes the public one away.
type signer struct {
	ring Keyring
	now  func() time.Time

	mu    sync.Mutex // held while the catalog is asked: others wait for the same key
	id    string     // empty: there is none
	key   ed25519.PrivateKey
	made  time.Time
	added []string // ids to take away at the end
}

func newSigner(ring Keyring) *signer { return &signer{ring: ring, now: time.Now} }

// Sign signs a token. What is issued counts from the key's coming on.
func (s *signer) Sign(ctx context.Context, t watch.Token) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.id == "" || s.now().Sub(s.made) > signerLife {
		if err := s.make(ctx); err != nil {
			return "", err
		}
	}
	t.Key = s.id
	return watch.Sign(s.key, t)
}

// make draws a key and has the catalog know it; with s.mu held.
func (s *signer) make(ctx context.Context) error {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	s.sweep(ctx)
	id := signerPrefix + hex.EncodeToString(public[:6])
	if err := s.ring.AddKey(ctx, wire.TokenKeyRequest{ID: id, Public: wire.Base64URL(public), Note: "of vstack console"}); err != nil {
		return err
	}
	s.id, s.key, s.made, s.added = id, key, s.now(), append(s.added, id)
	return nil
}

// sweep takes away what consoles left that were killed. One that fails is tried by the next.
func (s *signer) sweep(ctx context.Context) {
	keys, err := s.ring.Keys(ctx)
	if err != nil {
		return // adding fails with the reason
	}
	for _, k := range keys.Keys {
		if strings.HasPrefix(k.ID, signerPrefix) && k.TokensFrom > 0 && s.now().Sub(time.Unix(k.TokensFrom, 0)) > signerKept {
			_ = s.ring.DropKey(ctx, k.ID)
		}
	}
}

// Close takes the keys away: no token of them is good any more.
func (s *signer) Close(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, id := range s.added {
		if err := s.ring.DropKey(ctx, id); err != nil && !errors.Is(err, vstack.ErrNotFound) {
			errs = append(errs, err)
		}
	}
	s.id, s.added = "", nil
	return errors.Join(errs...)
}
