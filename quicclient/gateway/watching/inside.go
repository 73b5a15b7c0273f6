package watching

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
)

const (
	// TokenLife is how long a token is good that a page asks for without a word.
	TokenLife = 5 * time.Minute
	// MaxLife bounds one that is asked for to be given on.
	MaxLife = 12 * time.Hour
)

type insideKey struct{}

// Inside marks what somebody asks who sees everything: an administrator at a console.
func Inside(ctx context.Context) context.Context { return context.WithValue(ctx, insideKey{}, true) }

func inside(ctx context.Context) bool { return ctx.Value(insideKey{}) != nil }

// Signer signs playback tokens under a key of its own, which it names.
type Signer interface {
	Sign(ctx context.Context, t watch.Token) (string, error)
}

// Signed is a playback token, and its end.
type Signed struct {
	Token   string    `json:"token,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
}

// Sign signs a token for who is inside and has none: stores and other players ask for one. It is
// zero where a film wants none, or there is nobody to sign.
func (d *Doorman) Sign(ctx context.Context, id vstack.VideoID, life time.Duration) (Signed, error) {
	private, err := d.May(ctx, id, "", "")
	if err != nil || !private || d.signer == nil {
		return Signed{}, err
	}
	now := d.now().UTC().Truncate(time.Second)
	t := watch.Token{Video: id, Issued: now, Expires: now.Add(min(life, MaxLife))}
	token, err := d.signer.Sign(ctx, t)
	if err != nil {
		return Signed{}, fmt.Errorf("sign a playback token: %w", err)
	}
	return Signed{token, t.Expires}, nil
}

// ParseLife reads how long a token is to be good, in seconds.
func ParseLife(s string) (time.Duration, error) {
	if s == "" {
		return TokenLife, nil
	}
	n, err := strconv.Atoi(s)
	if life := time.Duration(n) * time.Second; err == nil && n > 0 && n <= int(MaxLife/time.Second) {
		return life, nil
	}
	return 0, fmt.Errorf("life %.20q: %w: want 1 to %.0f seconds", s, vstack.ErrInvalid, MaxLife.Seconds())
}

// Listed leaves out what is not public, but where only those inside read lists.
func (d *Doorman) Listed(items []vstack.Video) []vstack.Video {
	if d.all {
		return items
	}
	return slices.DeleteFunc(slices.Clone(items), func(v vstack.Video) bool { return !v.Access.Listed() })
}
