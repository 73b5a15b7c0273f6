package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/wire"
)

// TestAStolenDiskTellsNothingOfPrivateFilms: one is published, another's host is killed while it
// takes it in, and a backup is taken. In no file of the hosts, and not in the backup, are bytes of
// the films, their titles or the hash of an API key; in those of a plain lab they are. A host
// whose key is elsewhere opens nothing of it, and says so.
func TestAStolenDiskTellsNothingOfPrivateFilms(t *testing.T) {
	long(t)
	t.Run("encrypted", func(t *testing.T) { stolenDisks(t, false) })
	t.Run("plain", func(t *testing.T) { stolenDisks(t, true) })
}

func stolenDisks(t *testing.T, plain bool) {
	needFFmpeg(t)
	s := newScenarioOf(t, lab.Spec{Plain: plain, Superblock: 64 << 20})
	titles := []string{"nobody-knows-of-this-film", "nor-of-this-one"}
	var key wire.APIKeyReply
	s.vstackJSON(&key, "apikey", "new", "publisher", "--scopes", "upload,manage,read")
	first, second := clip(t, "6", "1"), clip(t, "9", "9")
	var jobs wire.List[wire.Job]
	s.vstackJSON(&jobs, "video", "upload", first, "--ticket", key.Key, "--title", titles[0])
	film := jobs.Items[0].Video
	samples := s.samples(film) // while everybody may read them
	s.vstackJSON(nil, "video", "visibility", film.String(), "private")

	host := s.lab.Hosts[0]
	go func() { // its host is killed under it
		_, _ = s.cluster.Upload(t.Context(), s.prog, second, cluster.UploadOptions{Title: titles[1], Visibility: "private", KeepOriginal: true, Uploader: s.ingest(0)})
	}()
	s.until("chunks of the second film", func() bool {
		var jobs wire.List[wire.Job]
		err := s.cluster.Get(s.Context(), s.ingest(0), "/v1/jobs", &jobs)
		return err == nil && len(jobs.Items) > 0 && jobs.Items[len(jobs.Items)-1].Chunks > 2
	})
	dir := t.TempDir()
	backup := filepath.Join(dir, "catalog.backup")
	save := []string{"raft", "snapshot", "save", backup}
	if !plain {
		id, err := age.GenerateX25519Identity()
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "to"), []byte(id.Recipient().String()), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		save = append(save, "--recipients", filepath.Join(dir, "to"))
	}
	s.until("a backup to be saved", func() bool { return s.vstackTry(save...) == nil }) // a leader may go on a busy machine
	if err := host.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, h := range s.lab.Hosts[1:] {
		if err := h.Stop(); err != nil {
			t.Fatal(err)
		}
	}

	for _, file := range []string{first, second} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for at := 1 << 16; at+32 < len(b); at += 1 << 18 {
			samples = append(samples, b[at:at+32])
		}
	}
	films := len(samples)
	hash := sha256.Sum256([]byte(key.Key))
	for _, text := range []string{titles[0], titles[1], key.Key, string(hash[:]), hex.EncodeToString(hash[:]), base64.StdEncoding.EncodeToString(hash[:])} {
		samples = append(samples, []byte(text))
	}
	found := filesWith(t, dir, samples)
	for _, h := range s.lab.Hosts {
		for _, kept := range []string{h.Config.Meta.Dir, h.Config.Data.Catalog, h.Config.Ingest.Dir, h.Config.Data.Stores[0].Dir, h.Config.Data.Stores[1].Dir, h.Config.TLS} {
			found += filesWith(t, kept, samples)
		}
	}
	if n := filesWith(t, host.Config.Ingest.Dir, samples[:films]); (n > 0) != plain {
		t.Errorf("%d samples of the films are in the spool of the host that was killed", n)
	}
	s.step("plain %t: %d samples of films and %d texts were looked for; found %d times", plain, films, len(samples)-films, found)
	if (found > 0) != plain {
		t.Errorf("found %d times", found)
	}
	if plain {
		return
	}
	// The disk in another machine: its identity is not there.
	if err := os.Rename(filepath.Join(host.Config.TLS, config.IdentityFile), filepath.Join(dir, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	s.until("the host to say what it lacks", func() bool {
		log, err := os.ReadFile(host.Log())
		if err != nil {
			t.Fatal(err)
		}
		for _, role := range []string{"the metadata member is left out", "role data is left out", "role ingest is left out"} {
			if !bytes.Contains(log, []byte(role)) {
				return false
			}
		}
		return strings.Contains(string(log), "KEY_MISSING")
	})
	s.step("without its identity the host opens neither member nor stores nor spool, and says so")
}
