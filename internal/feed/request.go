package feed

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Request is what a host asks for.
type Request struct {
	Since uint64 // what changed after this index
	// Have is the index through which the host has every reference of Groups; of a video
	// that was published before, only its class comes.
	Have uint64
	// Seen is the newest catalog that any answer came from: an older one does not answer.
	Seen uint64
	// Map is the version of the placement map that the host has.
	Map    uint64
	Groups Groups
	// References leaves everything out but references: groups are read by themselves, while
	// the host follows the feed with other requests.
	References bool
	// Wait is how long to wait for a change; negative for as long as the member likes to.
	Wait time.Duration
}

// referencesOnly is the value of the parameter only.
const referencesOnly = "references"

// Query is the request as parameters; ParseRequest reads them.
func (r *Request) Query() url.Values {
	q := url.Values{}
	number := func(name string, v uint64) {
		if v != 0 {
			q.Set(name, strconv.FormatUint(v, 10))
		}
	}
	q.Set("since", strconv.FormatUint(r.Since, 10))
	number("have", r.Have)
	number("min_index", r.Seen)
	number("map", r.Map)
	if !r.Groups.Empty() {
		q.Set("groups", r.Groups.String())
	}
	if r.References {
		q.Set("only", referencesOnly)
	}
	if r.Wait >= 0 {
		q.Set("wait", strconv.FormatFloat(r.Wait.Seconds(), 'f', -1, 64))
	}
	return q
}

// ParseRequest reads what Query wrote, but for the wait, which is the server's to bound.
func ParseRequest(q url.Values) (Request, error) {
	r := Request{Wait: -1}
	for name, v := range map[string]*uint64{"since": &r.Since, "have": &r.Have, "min_index": &r.Seen, "map": &r.Map} {
		s := q.Get(name)
		if s == "" {
			continue
		}
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return Request{}, fmt.Errorf("parameter %s=%.40q: %w: want a number", name, s, vstack.ErrInvalid)
		}
		*v = n
	}
	switch only := q.Get("only"); only {
	case "", referencesOnly:
		r.References = only != ""
	default:
		return Request{}, fmt.Errorf("parameter only=%.40q: %w: want %s", only, vstack.ErrInvalid, referencesOnly)
	}
	var err error
	r.Groups, err = ParseGroups(q.Get("groups"))
	return r, err
}

// Groups is a set of placement groups: bit g%8 of byte g/8. The zero value is empty.
type Groups [vstack.PlacementGroups / 8]byte

// Has reports whether a group is in the set.
func (g *Groups) Has(pg vstack.PG) bool {
	return int(pg) < len(g)*8 && g[pg/8]&(1<<(pg%8)) != 0
}

// Add puts a group in, which must be below vstack.PlacementGroups.
func (g *Groups) Add(pg vstack.PG) { g[pg/8] |= 1 << (pg % 8) }

// Remove takes a group out.
func (g *Groups) Remove(pg vstack.PG) { g[pg/8] &^= 1 << (pg % 8) }

// Empty reports whether no group is in the set.
func (g *Groups) Empty() bool { return *g == Groups{} }

// All lists the groups in order.
func (g *Groups) All(yield func(vstack.PG) bool) {
	for pg := range vstack.PG(vstack.PlacementGroups) {
		if g.Has(pg) && !yield(pg) {
			return
		}
	}
}

// String is base64url without padding, the form of the parameter groups.
func (g *Groups) String() string { return base64.RawURLEncoding.EncodeToString(g[:]) }

// ParseGroups reads String's form; empty text is the empty set.
func ParseGroups(s string) (g Groups, err error) {
	if s == "" {
		return g, nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(g) {
		return g, fmt.Errorf("parameter groups=%.60q: %w: want base64url of %d bytes", s, vstack.ErrInvalid, len(g))
	}
	copy(g[:], b)
	return g, nil
}

// MarshalText is String.
func (g Groups) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// UnmarshalText is ParseGroups.
func (g *Groups) UnmarshalText(b []byte) (err error) {
	*g, err = ParseGroups(string(b))
	return err
}
