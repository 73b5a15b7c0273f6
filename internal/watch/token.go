package watch

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/vstack/vstack/internal/vstack"
)

const (
	// MaxLife bounds a token's life from its issue.
	MaxLife = 7 * 24 * time.Hour
	// MaxToken bounds a token, bytes.
	MaxToken = 1024
	// Leeway is how far a signer's clock may be ahead.
	Leeway = 5 * time.Second
)

// Token is what a playback token says.
type Token struct {
	Key       string
	Video     vstack.VideoID
	Issued    time.Time
	NotBefore time.Time // zero: from its issue on
	Expires   time.Time
	Net       netip.Prefix // zero: any address
}

type claims struct {
	Video string `json:"video"`
	Net   string `json:"net,omitempty"`
	jwt.RegisteredClaims
}

// Sign makes a token. Times are cut to seconds.
func Sign(key ed25519.PrivateKey, t Token) (string, error) {
	if err := errors.Join(vstack.CheckTokenKeyID(t.Key), t.check()); err != nil {
		return "", err
	}
	c := claims{Video: t.Video.String(), RegisteredClaims: jwt.RegisteredClaims{IssuedAt: jwt.NewNumericDate(t.Issued), ExpiresAt: jwt.NewNumericDate(t.Expires)}}
	if !t.NotBefore.IsZero() {
		c.NotBefore = jwt.NewNumericDate(t.NotBefore)
	}
	if t.Net.IsValid() {
		c.Net = t.Net.String()
	}
	j := jwt.NewWithClaims(jwt.SigningMethodEdDSA, c)
	j.Header["kid"] = t.Key
	s, err := j.SignedString(key)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return s, nil
}

// check reports what no token may say.
func (t Token) check() error {
	switch life := t.Expires.Sub(t.Issued); {
	case t.Video.IsZero():
		return bad("it names no video")
	case t.Issued.Unix() <= 0 || t.Issued.Unix() > 1<<40 || t.Expires.Unix() > 1<<40:
		return bad("it says no times of issue and end")
	case life <= 0 || life > MaxLife:
		return bad("it lives for %s, at most %s", life, MaxLife)
	}
	return nil
}

// parser pins the algorithm. Times are judged at each use, and not here.
var parser = jwt.NewParser(jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation())

// parse reads a token whose signature is good under one of the keys, and that key.
func parse(s string, keys vstack.TokenKeys) (t Token, key vstack.TokenKey, err error) {
	if len(s) > MaxToken {
		return t, key, bad("%d bytes, at most %d", len(s), MaxToken)
	}
	var c claims
	_, err = parser.ParseWithClaims(s, &c, func(j *jwt.Token) (any, error) {
		for name := range j.Header {
			if name != "alg" && name != "kid" && name != "typ" {
				return nil, bad("header %.40q", name)
			}
		}
		id, _ := j.Header["kid"].(string)
		var known bool
		if key, known = keys.ByID(id); !known {
			return nil, bad("key %.80q is not known", id)
		}
		if len(key.Public) != ed25519.PublicKeySize {
			return nil, bad("key %s is none", key.ID)
		}
		return ed25519.PublicKey(key.Public), nil
	})
	if err != nil {
		return Token{}, key, bad("%v", err)
	}
	t = Token{Key: key.ID, Issued: timeOf(c.IssuedAt), NotBefore: timeOf(c.NotBefore), Expires: timeOf(c.ExpiresAt)}
	if t.Video, err = vstack.ParseVideoID(c.Video); err != nil {
		return Token{}, key, bad("%v", err)
	}
	if t.Net, err = parseNet(c.Net); err != nil {
		return Token{}, key, err
	}
	return t, key, t.check()
}

func timeOf(d *jwt.NumericDate) time.Time {
	if d == nil {
		return time.Time{}
	}
	return d.Time
}

// ParseNet reads an address or a prefix; empty is any.
func ParseNet(s string) (netip.Prefix, error) { return parseNet(s) }

func parseNet(s string) (netip.Prefix, error) {
	if s == "" {
		return netip.Prefix{}, nil
	}
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, bad("address %.80q", s)
	}
	return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
}

func bad(format string, args ...any) error {
	return fmt.Errorf("playback token: %w: %s", vstack.ErrForbidden, fmt.Sprintf(format, args...))
}
