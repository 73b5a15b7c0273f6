package watch

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

var (
	now   = time.Unix(1_800_000_000, 0)
	film  = vstack.VideoID{1, 2, 3}
	other = vstack.VideoID{4}
	seed  = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
)

func keysOf(id string, key ed25519.PrivateKey) vstack.TokenKeys {
	return vstack.TokenKeys{Index: 1, Items: []vstack.TokenKey{{ID: id, Public: key.Public().(ed25519.PublicKey)}}}
}

func good() Token {
	return Token{Key: "k1", Video: film, Issued: now.Add(-time.Minute), Expires: now.Add(time.Hour)}
}

func signed(t testing.TB, key ed25519.PrivateKey, tok Token) string {
	t.Helper()
	s, err := Sign(key, tok)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// raw joins a token by hand, as no signer of ours would.
func raw(header, payload string, sign func(string) []byte) string {
	in := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	return in + "." + base64.RawURLEncoding.EncodeToString(sign(in))
}

func payload() string {
	return fmt.Sprintf(`{"video":%q,"iat":%d,"exp":%d}`, film, now.Add(-time.Minute).Unix(), now.Add(time.Hour).Unix())
}

func TestWhoMayWatch(t *testing.T) {
	right := func(in string) []byte { return ed25519.Sign(seed, []byte(in)) }
	hs := func(secret []byte) func(string) []byte {
		return func(in string) []byte { m := hmac.New(sha256.New, secret); m.Write([]byte(in)); return m.Sum(nil) }
	}
	stranger := ed25519.NewKeyFromSeed(append(make([]byte, ed25519.SeedSize-1), 1))
	with := func(f func(*Token)) Token { tok := good(); f(&tok); return tok }
	public := []byte(seed.Public().(ed25519.PublicKey))
	for name, c := range map[string]struct {
		token  string
		keys   func(*vstack.TokenKeys)
		access vstack.Access
		ok     bool
	}{
		"right":                   {token: signed(t, seed, good()), ok: true},
		"right, made by hand":     {token: raw(`{"alg":"EdDSA","kid":"k1"}`, payload(), right), ok: true},
		"for the address":         {token: signed(t, seed, with(func(k *Token) { k.Net = netip.MustParsePrefix("192.0.2.0/24") })), ok: true},
		"issued after revocation": {token: signed(t, seed, good()), access: vstack.Access{TokensFrom: now.Add(-time.Minute)}, ok: true},

		"none":                   {token: ""},
		"another video":          {token: signed(t, seed, with(func(k *Token) { k.Video = other }))},
		"expired":                {token: signed(t, seed, with(func(k *Token) { k.Issued, k.Expires = now.Add(-time.Hour), now }))},
		"not yet":                {token: signed(t, seed, with(func(k *Token) { k.NotBefore = now.Add(Leeway + time.Second) }))},
		"issued in the future":   {token: signed(t, seed, with(func(k *Token) { k.Issued = now.Add(Leeway + time.Second) }))},
		"another key":            {token: signed(t, stranger, good())},
		"a key nobody knows":     {token: signed(t, seed, with(func(k *Token) { k.Key = "k2" }))},
		"another address":        {token: signed(t, seed, with(func(k *Token) { k.Net = netip.MustParsePrefix("192.0.2.8/32") }))},
		"revoked for the video":  {token: signed(t, seed, good()), access: vstack.Access{TokensFrom: now}},
		"revoked by key":         {token: signed(t, seed, good()), keys: func(k *vstack.TokenKeys) { k.Items[0].TokensFrom = now }},
		"the key is gone":        {token: signed(t, seed, good()), keys: func(k *vstack.TokenKeys) { k.Items = nil }},
		"alg none":               {token: raw(`{"alg":"none","kid":"k1"}`, payload(), func(string) []byte { return nil })},
		"alg None":               {token: raw(`{"alg":"None","kid":"k1"}`, payload(), func(string) []byte { return nil })},
		"HS256 by the key":       {token: raw(`{"alg":"HS256","kid":"k1"}`, payload(), hs(public))},
		"HS256 signed EdDSA":     {token: raw(`{"alg":"HS256","kid":"k1"}`, payload(), right)},
		"EdDSA with an HMAC":     {token: raw(`{"alg":"EdDSA","kid":"k1"}`, payload(), hs(public))},
		"a key of its own":       {token: raw(`{"alg":"EdDSA","kid":"k1","jwk":{"kty":"OKP"}}`, payload(), right)},
		"a critical header":      {token: raw(`{"alg":"EdDSA","kid":"k1","crit":["x"]}`, payload(), right)},
		"kid is a number":        {token: raw(`{"alg":"EdDSA","kid":1}`, payload(), right)},
		"without an end":         {token: raw(`{"alg":"EdDSA","kid":"k1"}`, fmt.Sprintf(`{"video":%q,"iat":%d}`, film, now.Unix()), right)},
		"without its issue":      {token: raw(`{"alg":"EdDSA","kid":"k1"}`, fmt.Sprintf(`{"video":%q,"exp":%d}`, film, now.Unix()+60), right)},
		"for ever":               {token: raw(`{"alg":"EdDSA","kid":"k1"}`, fmt.Sprintf(`{"video":%q,"iat":%d,"exp":1e300}`, film, now.Unix()), right)},
		"too long":               {token: raw(`{"alg":"EdDSA","kid":"k1"}`, payload()+strings.Repeat(" ", MaxToken), right)},
		"a signature with a bit": {token: flipped(signed(t, seed, good()))},
		"padded":                 {token: signed(t, seed, good()) + "="},
	} {
		t.Run(name, func(t *testing.T) {
			keys := keysOf("k1", seed)
			var j Judge
			if c.keys != nil {
				// Its signature is remembered from before.
				if _, err := j.Read(Request{c.token, keys, now, "192.0.2.7:1"}); err != nil {
					t.Fatal(err)
				}
				c.keys(&keys)
			}
			for range 2 { // the second time from memory
				tok, err := j.Read(Request{c.token, keys, now, "192.0.2.7:1"})
				if err == nil {
					err = tok.For(film, c.access)
				}
				if (err == nil) != c.ok || err != nil && !errors.Is(err, vstack.ErrForbidden) {
					t.Errorf("answered %v", err)
				}
			}
		})
	}
}

func flipped(s string) string {
	b := []byte(s)
	if b[len(b)-5]++; b[len(b)-5] > 'y' {
		b[len(b)-5] = 'a'
	}
	return string(b)
}

func TestAKeyThatIsReplacedIsNotRemembered(t *testing.T) {
	var j Judge
	s := signed(t, seed, good())
	if _, err := j.Read(Request{s, keysOf("k1", seed), now, ""}); err != nil {
		t.Fatal(err)
	}
	again := keysOf("k1", ed25519.NewKeyFromSeed(append(make([]byte, ed25519.SeedSize-1), 9)))
	if _, err := j.Read(Request{s, again, now, ""}); err == nil {
		t.Error("a token of the key before is good under the next of its name")
	}
}

func TestMemoryOfTokensIsBounded(t *testing.T) {
	var j Judge
	for n := range remembered + remembered/4 {
		tok := good()
		tok.Expires = tok.Expires.Add(time.Duration(n) * time.Second)
		if _, err := j.Read(Request{signed(t, seed, tok), keysOf("k1", seed), now, ""}); err != nil {
			t.Fatal(err)
		}
	}
	j.seen.CleanUp()
	if n := j.seen.EstimatedSize(); n > remembered || n == 0 {
		t.Errorf("%d tokens are remembered", n)
	}
}

func TestSignRefusesWhatNobodyWouldTake(t *testing.T) {
	for name, spoil := range map[string]func(*Token){
		"no key":   func(k *Token) { k.Key = "" },
		"no video": func(k *Token) { k.Video = vstack.VideoID{} },
		"for long": func(k *Token) { k.Expires = k.Issued.Add(MaxLife + time.Second) },
		"no end":   func(k *Token) { k.Expires = time.Time{} },
	} {
		t.Run(name, func(t *testing.T) {
			tok := good()
			spoil(&tok)
			if s, err := Sign(seed, tok); err == nil {
				t.Errorf("signed as %s", s)
			}
		})
	}
}

func TestCarryTakesTheTokenOutOfTheAddress(t *testing.T) {
	for target, want := range map[string]struct {
		uri, token string
		inPath     bool
	}{
		"/play/v/master.m3u8?t=TOK":                {"/play/v/master.m3u8", "TOK", false},
		"/play/v/master.m3u8?a=1&t=TOK&leaves=2":   {"/play/v/master.m3u8?a=1&leaves=2", "TOK", false},
		"/t/TOK/play/v/1/0.m4s?x=1":                {"/play/v/1/0.m4s?x=1", "TOK", true},
		"/t/TOK/play/v/1/0.m4s?t=LOW":              {"/play/v/1/0.m4s", "TOK", true},
		"/t/TOK/a%2Fb":                             {"/a%2Fb", "TOK", true},
		"/play/v/master.m3u8?last=3":               {"/play/v/master.m3u8?last=3", "", false},
		"/v1/chunks/ab?leaves=fresh":               {"/v1/chunks/ab?leaves=fresh", "", false},
		"/t/TOK":                                   {"/t/TOK", "", false},
		"/v1/chunks/ab?t=TOK&leaves=fresh":         {"/v1/chunks/ab?leaves=fresh", "TOK", false},
		"/t/TOK//etc":                              {"//etc", "TOK", true},
		"/play/v/text/en.vtt?_HLS_skip=YES&t=T%2D": {"/play/v/text/en.vtt?_HLS_skip=YES", "T-", false},
	} {
		t.Run(target, func(t *testing.T) {
			var got *http.Request
			w := httptest.NewRecorder()
			Carry(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r })).ServeHTTP(w, httptest.NewRequest("GET", target, nil))
			if got.URL.RequestURI() != want.uri || Of(got) != want.token || InPath(got) != want.inPath {
				t.Errorf("passed on as %s with %q, in the path %v", got.URL.RequestURI(), Of(got), InPath(got))
			}
			if want.token != "" && (strings.Contains(got.RequestURI+got.URL.String(), "TOK") || w.Header().Get("Referrer-Policy") != "no-referrer") {
				t.Errorf("the address is %s, Referrer-Policy %q", got.RequestURI, w.Header().Get("Referrer-Policy"))
			}
		})
	}
}

// FuzzToken wants nothing but what Ed25519 signed to be taken, and no panic.
func FuzzToken(f *testing.F) {
	f.Add(signed(f, seed, good()))
	f.Add(raw(`{"alg":"none","kid":"k1"}`, payload(), func(string) []byte { return nil }))
	f.Add(raw(`{"alg":"EdDSA","kid":"k1","typ":"JWT"}`, payload(), func(string) []byte { return make([]byte, 64) }))
	f.Add("..")
	keys := keysOf("k1", seed)
	f.Fuzz(func(t *testing.T, s string) {
		for _, in := range []string{s, resigned(s)} {
			tok, _, err := parse(in, keys)
			if err != nil {
				if !errors.Is(err, vstack.ErrForbidden) {
					t.Fatalf("refused with %v", err)
				}
				continue
			}
			parts := strings.Split(in, ".")
			sig, err := base64.RawURLEncoding.DecodeString(parts[2])
			if err != nil || !ed25519.Verify(seed.Public().(ed25519.PublicKey), []byte(parts[0]+"."+parts[1]), sig) {
				t.Fatalf("taken without a signature: %q", in)
			}
			if life := tok.Expires.Sub(tok.Issued); tok.Key != "k1" || tok.Video.IsZero() || life <= 0 || life > MaxLife {
				t.Fatalf("%q reads as %+v", in, tok)
			}
		}
	})
}

// resigned has a signature that is right, so that the fuzzer gets past it.
func resigned(s string) string {
	parts := strings.SplitN(s, ".", 3)
	if len(parts) < 2 {
		return s
	}
	in := parts[0] + "." + parts[1]
	return in + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(seed, []byte(in)))
}
