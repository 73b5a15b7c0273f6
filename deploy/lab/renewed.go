package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
)

// bundleTime is a file beside a host's certificate: when that of the last bundle that it joined
// was issued. A host renews its certificate by itself, which tells nothing of what the
// authority's side has decided since.
const bundleTime = "bundle.time"

// certLife is how long certificates of the lab's hosts are good: as long as those that are
// there, which `lab init --cert-life` chose.
func (l *Lab) certLife() time.Duration {
	for _, h := range l.Hosts {
		seen, err := identity.Look(filepath.Join(h.Dir, tlsDir))
		if err != nil {
			continue // another one tells
		}
		life := seen.NotAfter.Sub(seen.NotBefore) - identity.Backdate
		if life >= minCertLife && life <= identity.HostValidFor {
			return life
		}
	}
	return identity.HostValidFor
}

// note remembers the bundle.
func (b *unpacked) note(dir string) error {
	return place(filepath.Join(dir, bundleTime), []byte(b.seen.NotBefore.UTC().Format(time.RFC3339)+"\n"), 0o600)
}

// since is when the last bundle of the host was issued, as far as that is known: zero where
// the host has renewed itself, and joined its bundle under a program that noted nothing.
func (b *unpacked) since(dir string, was identity.Seen) time.Time {
	if was.SameIssuer(b.seen) {
		return was.NotBefore
	}
	body, err := os.ReadFile(filepath.Join(dir, bundleTime))
	if err != nil {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, strings.TrimSpace(string(body)))
	if err != nil {
		return time.Time{}
	}
	return at
}

// notOlder refuses a bundle that is older than the host's last one, or came too late, and says
// whether the host has renewed itself since. lost says that it has nothing.
func (b *unpacked) notOlder(dir string, was identity.Seen, lost bool) (renewed bool, err error) {
	if !lost {
		if since := b.since(dir, was); b.seen.NotBefore.Before(since) {
			return false, fmt.Errorf("%w: its certificate is of %s, that of the bundle which is there is newer, of %s: vstack lab renew packs a new bundle", vstack.ErrInvalid,
				b.seen.NotBefore.Format(time.DateTime), since.Format(time.DateTime))
		}
		renewed = b.renewedSince(was)
	}
	if b.expired != nil && !renewed {
		return false, b.late()
	}
	return renewed, nil
}

// renewedSince reports whether the host has renewed its certificate by itself after the bundle
// was packed, to one that says the same and is good: that one stays.
func (b *unpacked) renewedSince(was identity.Seen) bool {
	return !was.SameIssuer(b.seen) && was.SameRights(b.seen) && was.NotBefore.After(b.seen.NotBefore) && time.Now().Before(was.NotAfter)
}

// authorities has the host at dir trust those of the bundle, and keep its certificate.
func (b *unpacked) authorities(files map[string][]byte, dir string, was identity.Seen, j *Joined) error {
	if err := placeIssuing(files, dir); err != nil {
		return err
	}
	j.Kept = append(j.Kept, "the certificate: the host has renewed it since the bundle was packed, it is good until "+was.NotAfter.Format(stamp))
	return place(filepath.Join(dir, "ca.crt"), b.seen.Authorities(was), 0o600)
}

// late says that a bundle was not brought to its host in time.
func (b *unpacked) late() error {
	return fmt.Errorf("the bundle is not good any more: vstack lab renew packs a new one: %w", b.expired)
}
