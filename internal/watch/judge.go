package watch

import (
	"bytes"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/vstack/vstack/internal/vstack"
)

// remembered bounds the tokens of which a Judge knows the signature.
const remembered = 4096

// Judge judges tokens, and verifies each signature once. The zero Judge is ready; it is safe
// for concurrent use.
type Judge struct {
	once sync.Once
	seen *otter.Cache[string, verdict]
}

// verdict is a token whose signature was good under a key.
type verdict struct {
	token  Token
	public []byte
}

// Request is one use of a token.
type Request struct {
	Token string
	Keys  vstack.TokenKeys
	Now   time.Time
	From  string // address of who uses it: HOST:PORT or HOST
}

// Read answers what a token says, if it is good now for who uses it. Whether it is good for a
// video says Token.For.
func (j *Judge) Read(r Request) (Token, error) {
	t, key, err := j.verified(r.Token, r.Keys)
	if err != nil {
		return Token{}, err
	}
	switch {
	case !t.Expires.After(r.Now):
		return Token{}, bad("it expired at %s", t.Expires.UTC().Format(time.RFC3339))
	case t.Issued.After(r.Now.Add(Leeway)) || t.NotBefore.After(r.Now.Add(Leeway)):
		return Token{}, bad("it is not good yet")
	case t.Issued.Before(key.TokensFrom):
		return Token{}, bad("what key %s signed before %s is revoked", key.ID, key.TokensFrom.UTC().Format(time.RFC3339))
	case t.Net.IsValid() && !t.Net.Contains(addressOf(r.From)):
		return Token{}, bad("it is for %s", t.Net)
	}
	return t, nil
}

// For reports whether a token that is good is one for the video.
func (t Token) For(id vstack.VideoID, a vstack.Access) error {
	switch {
	case t.Video != id:
		return bad("it is for another video")
	case t.Issued.Before(a.TokensFrom):
		return bad("what was issued before %s is revoked for this video", a.TokensFrom.UTC().Format(time.RFC3339))
	}
	return nil
}

// verified is a token whose signature is good, and its key as it is now.
func (j *Judge) verified(s string, keys vstack.TokenKeys) (Token, vstack.TokenKey, error) {
	j.once.Do(func() { j.seen = otter.Must(&otter.Options[string, verdict]{MaximumSize: remembered}) })
	if v, ok := j.seen.GetIfPresent(s); ok {
		if key, known := keys.ByID(v.token.Key); known && bytes.Equal(key.Public, v.public) {
			return v.token, key, nil
		}
	}
	t, key, err := parse(s, keys)
	if err == nil {
		j.seen.Set(s, verdict{t, key.Public})
	}
	return t, key, err
}

func addressOf(from string) netip.Addr {
	host, _, err := net.SplitHostPort(from)
	if err != nil {
		host = from
	}
	if p, err := netip.ParsePrefix(host); err == nil { // who is one of a prefix is in what has all of it
		return p.Addr()
	}
	a, _ := netip.ParseAddr(host) // none is in no prefix
	return a.Unmap().WithZone("")
}
