package keyfile

import (
	"bytes"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/vstack/vstack/datanode/superblock/seal"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

var store = vstack.StoreID{1, 15: 2}

func script(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "wrap")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// wrappings are one of each kind. The command turns the bytes round by a file of its own, as a
// service by a key that never leaves it would.
func wrappings(t *testing.T) map[string]Wrapping {
	return map[string]Wrapping{
		"an identity":  {Identity: filepath.Join(t.TempDir(), "age.key"), MakeIdentity: true},
		"a passphrase": {Passphrase: []string{"echo", "correct horse battery staple"}, work: 10},
		"a command":    {Command: []string{script(t, `[ "$1" = wrap ] || [ "$1" = unwrap ] || exit 9; tr '\000-\377' '\200-\377\000-\177'`)}},
	}
}

func TestAKeyOpensByWhatItWasWrappedWith(t *testing.T) {
	all := wrappings(t)
	for name, w := range all {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			made, err := New(w).Make(vfs.OS{}, dir, store, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			got, err := New(w).Open(vfs.OS{}, dir, store)
			if err != nil || got != made || got.Generation != 1 {
				t.Errorf("opened %v, %v", got, err)
			}
			b, err := os.ReadFile(filepath.Join(dir, File))
			if err != nil || bytes.Contains(b, made.Secret[:]) || bytes.Contains(b, made.Secret[:8]) {
				t.Errorf("the file holds the key, or %v", err)
			}
			for other, with := range all {
				if other == name {
					continue
				}
				if other == "an identity" {
					with.Identity = filepath.Join(t.TempDir(), "other.key")
					if err := with.makeIdentity(); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := New(with).Open(vfs.OS{}, dir, store); !errors.Is(err, vstack.ErrKeyMissing) {
					t.Errorf("opened by %s: %v", other, err)
				}
			}
			if _, err := New(w).Open(vfs.OS{}, dir, vstack.StoreID{7}); !errors.Is(err, vstack.ErrKeyMissing) {
				t.Errorf("another store's: %v", err)
			}
			for i := range b { // every byte counts
				if i%7 != 0 && len(all[name].Passphrase)+len(all[name].Command) > 0 && i != len(b)-1 {
					continue // these take a process each
				}
				c := bytes.Clone(b)
				c[i] ^= 1
				if err := os.WriteFile(filepath.Join(dir, File), c, 0o600); err != nil {
					t.Fatal(err)
				}
				if _, err := New(w).Open(vfs.OS{}, dir, store); !errors.Is(err, vstack.ErrKeyMissing) {
					t.Fatalf("byte %d flipped: %v", i, err)
				}
			}
		})
	}
}

func TestRewrapKeepsTheKey(t *testing.T) {
	all := wrappings(t)
	dir := t.TempDir()
	was := all["an identity"]
	made, err := New(was).Make(vfs.OS{}, dir, store, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a command", "a passphrase", "an identity"} {
		to := all[name]
		if id, err := New(was).Rewrap(vfs.OS{}, dir, to); err != nil || id != store {
			t.Fatalf("to %s: %s, %v", name, id, err)
		}
		if _, err := New(was).Open(vfs.OS{}, dir, store); !errors.Is(err, vstack.ErrKeyMissing) {
			t.Errorf("the wrapping before still opens it: %v", err)
		}
		if got, err := New(to).Open(vfs.OS{}, dir, store); err != nil || got != made {
			t.Errorf("to %s: %v, %v", name, got, err)
		}
		was = to
	}
	before, err := os.ReadFile(filepath.Join(dir, File))
	if err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]Wrapping{
		"a command that fails":            {Command: []string{"false"}},
		"a command that does not unwrap":  {Command: []string{script(t, "head -c 16 /dev/urandom")}},
		"an identity that is not there":   {Identity: filepath.Join(dir, "none")},
		"nothing":                         {},
		"two at once":                     {Identity: was.Identity, Command: []string{"cat"}},
		"a passphrase that is not given":  {Passphrase: []string{"true"}},
		"a command that talks for ever":   {Command: []string{script(t, "yes")}},
		"recipients that are not a file":  {Identity: was.Identity, Recipients: filepath.Join(dir, "none")},
		"a program that there is not":     {Command: []string{"/nonexistent/program"}},
		"recipients without an identity":  {Command: []string{"cat"}, Recipients: was.Identity},
		"a file that has no identity":     {Identity: filepath.Join(dir, File)},
		"identities that all may read":    {Identity: exposed(t)},
		"recipients that are identities?": {Identity: was.Identity, Recipients: was.Identity},
	} {
		_, err := New(was).Rewrap(vfs.OS{}, dir, to)
		if err == nil || strings.Contains(err.Error(), "AGE-SECRET") {
			t.Errorf("to %s: %v", name, err)
		}
		if after, err := os.ReadFile(filepath.Join(dir, File)); err != nil || !bytes.Equal(before, after) {
			t.Fatalf("to %s: the file was changed", name)
		}
	}
	if _, err := New(was).Rewrap(vfs.OS{}, t.TempDir(), was); !errors.Is(err, vstack.ErrNotFound) {
		t.Errorf("a plain store: %v", err)
	}
}

func exposed(t *testing.T) string {
	t.Helper()
	w := Wrapping{Identity: filepath.Join(t.TempDir(), "age.key"), MakeIdentity: true}
	if err := w.makeIdentity(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(w.Identity); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("made with mode %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(w.Identity, 0o644); err != nil {
		t.Fatal(err)
	}
	return w.Identity
}

// TestARecipientInASafe opens a store whose host's identity is lost.
func TestARecipientInASafe(t *testing.T) {
	safe, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "recipients")
	if err := os.WriteFile(path, []byte("# in the safe\n"+safe.Recipient().String()+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	w := Wrapping{Identity: filepath.Join(dir, "age.key"), MakeIdentity: true, Recipients: path}
	made, err := New(w).Make(vfs.OS{}, dir, store, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other := Wrapping{Identity: filepath.Join(dir, "safe.key")}
	if err := os.WriteFile(other.Identity, []byte(safe.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := New(other).Open(vfs.OS{}, dir, store); err != nil || got != made {
		t.Errorf("%v, %v", got, err)
	}
}

// TestAMissingIdentityIsMadeForNewStoresAlone, and only where that was asked for.
func TestAMissingIdentityIsMadeForNewStoresAlone(t *testing.T) {
	dir := t.TempDir()
	w := Wrapping{Identity: filepath.Join(dir, "age.key")}
	if _, err := New(w).Make(vfs.OS{}, dir, store, rand.Reader); !errors.Is(err, vstack.ErrKeyMissing) {
		t.Errorf("made a key by an identity that is not there: %v", err)
	}
	w.MakeIdentity = true
	if _, err := New(w).Open(vfs.OS{}, dir, store); !errors.Is(err, vstack.ErrKeyMissing) {
		t.Errorf("opened what is not there: %v", err)
	}
	if _, err := os.Stat(w.Identity); err == nil {
		t.Error("opening made an identity")
	}
	key, err := New(w).Make(vfs.OS{}, dir, store, rand.Reader)
	if err != nil || key == (seal.Key{}) {
		t.Error(err)
	}
}
