package browser

import (
	"crypto/tls"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vfs"
)

// clock is one that a test sets.
type clock struct{ at atomic.Pointer[time.Time] }

func newClock(at time.Time) *clock {
	c := &clock{}
	c.at.Store(&at)
	return c
}

func (c *clock) now() time.Time { return *c.at.Load() }

func (c *clock) pass(d time.Duration) {
	at := c.now().Add(d)
	c.at.Store(&at)
}

func hashes(t *testing.T, c *Certs) []string {
	t.Helper()
	h, err := c.Hashes()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestCertificatesRotate(t *testing.T) {
	const day = 24 * time.Hour
	at := newClock(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))
	fsys := vfs.NewCrash()
	c, err := OpenCerts(fsys, "/host", at.now)
	if err != nil {
		t.Fatal(err)
	}
	first := hashes(t, c)
	if len(first) != 1 {
		t.Fatalf("%d hashes at the beginning", len(first))
	}
	shown := func() *tls.Certificate {
		t.Helper()
		cert, err := c.TLS().GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		leaf := cert.Leaf
		if life := leaf.NotAfter.Sub(leaf.NotBefore); life > 14*day {
			t.Errorf("life of %v: browsers refuse it", life)
		}
		if at.now().Before(leaf.NotBefore) || !at.now().Before(leaf.NotAfter) {
			t.Errorf("at %v one is shown that holds from %v to %v", at.now(), leaf.NotBefore, leaf.NotAfter)
		}
		return cert
	}
	before := shown()
	at.pass(6*day + time.Minute)
	both := hashes(t, c)
	if len(both) != 2 || both[0] != first[0] {
		t.Fatalf("after six days the hashes are %v, were %v", both, first)
	}
	if shown() != before && shown().Leaf.SerialNumber.Cmp(before.Leaf.SerialNumber) != 0 {
		t.Error("the next one is shown before pages can know of it")
	}
	// A restart shows the same.
	if c, err = OpenCerts(fsys, "/host", at.now); err != nil {
		t.Fatal(err)
	}
	if again := hashes(t, c); !slices.Equal(again, both) {
		t.Errorf("after a restart the hashes are %v, were %v", again, both)
	}
	at.pass(day)
	if now := hashes(t, c); !slices.Equal(now, both[1:]) {
		t.Errorf("after seven days the hashes are %v, want %v", now, both[1:])
	}
	// Two years, a look every few hours: whoever asked a day ago knows what is shown.
	known := hashes(t, c)
	for range 2 * 365 * 4 {
		at.pass(6 * time.Hour)
		now := hashes(t, c)
		if !slices.Contains(known, now[0]) {
			t.Fatalf("at %v one is shown that nobody knew 6 hours ago", at.now())
		}
		shown()
		known = now
	}
	// A host that slept for a month does not show what has ended.
	at.pass(30 * day)
	if now := hashes(t, c); slices.Contains(known, now[0]) {
		t.Error("after a month the old one is shown")
	}
	shown()
}

func TestADamagedFileIsNoLoss(t *testing.T) {
	for name, content := range map[string]string{"empty": "", "rubbish": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "half": "-----BEGIN CERT"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := vfs.WriteFile(vfs.OS{}, dir+"/"+certFile, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			c, err := OpenCerts(vfs.OS{}, dir, nil)
			if err != nil || len(hashes(t, c)) != 1 {
				t.Errorf("error %v", err)
			}
			again, err := OpenCerts(vfs.OS{}, dir, nil)
			if err != nil || !slices.Equal(hashes(t, c), hashes(t, again)) {
				t.Errorf("the new one was not kept: %v", err)
			}
		})
	}
}
