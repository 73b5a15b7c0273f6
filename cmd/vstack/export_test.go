package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func TestExportGivesBackWhatWasUploaded(t *testing.T) {
	s := newScenario(t)
	file := clip(t, "3", "2")
	var jobs wire.List[wire.Job]
	s.vstackJSON(&jobs, "video", "upload", file, "--title", "exported", "--keep-original")
	job := jobs.Items[0]
	if job.State != wire.JobPublished || job.Title != "exported" {
		t.Fatalf("job: %+v", job)
	}
	dir := t.TempDir()
	t.Run("the same frames, sound and picture", func(t *testing.T) {
		out := filepath.Join(dir, "tracks.mp4")
		s.vstackFile("video", "export", job.Video.String(), "-o", out)
		for _, stream := range []string{"v", "a"} {
			if want, got := frames(t, file, stream), frames(t, out, stream); want != got || len(want) < 100 {
				t.Errorf("stream %s differs: %d and %d bytes of checksums", stream, len(want), len(got))
			}
		}
	})
	t.Run("the very bytes of the kept original", func(t *testing.T) {
		out := filepath.Join(dir, "original.mp4")
		s.vstackFile("video", "export", job.Video.String(), "--original", "-o", out)
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(out); err != nil || !bytes.Equal(want, got) {
			t.Errorf("%d and %d bytes differ, %v", len(want), len(got), err)
		}
	})
	t.Run("play --out writes a file with the same picture", func(t *testing.T) {
		out := filepath.Join(dir, "played.mkv")
		s.vstackJSON(nil, "video", "play", job.Video.String(), "--out", out)
		if want, got := frames(t, file, "v"), frames(t, out, "v"); want != got {
			t.Error("picture differs")
		}
	})
	t.Run("a file that exists is replaced with --force only", func(t *testing.T) {
		out := filepath.Join(dir, "tracks.mp4")
		if err := os.WriteFile(out, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, cmd := range [][]string{{"video", "export", job.Video.String(), "-o", out}, {"video", "play", job.Video.String(), "--out", out}} {
			var said bytes.Buffer
			code := run(append([]string{"--cluster", s.lab.Client, "--progress", "none"}, cmd...), &said, &said)
			if mine, err := os.ReadFile(out); code != console.ExitUsage || string(mine) != "mine" || err != nil || !strings.Contains(said.String(), "--force") {
				t.Errorf("%v: exit %d, the file has %d bytes, said %s", cmd, code, len(mine), said.String())
			}
		}
		s.vstackFile("video", "export", job.Video.String(), "-o", out, "--force")
		if want, got := frames(t, file, "v"), frames(t, out, "v"); want != got {
			t.Error("picture differs")
		}
	})
	t.Run("play --out - has picture and sound, and an id may be shortened", func(t *testing.T) {
		id := job.Video.String()
		var stdout, stderr bytes.Buffer
		if code := run([]string{"--cluster", s.lab.Client, "--progress", "none", "video", "play", id[len(id)-8:], "--out", "-"}, &stdout, &stderr); code != 0 {
			t.Fatalf("exit %d: %s", code, stderr.String())
		}
		out := filepath.Join(t.TempDir(), "piped.mp4")
		if err := os.WriteFile(out, stdout.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, stream := range []string{"v", "a"} {
			// Beside the source's first packet of sound stands how much of it is to be skipped.
			_, want, _ := strings.Cut(frames(t, file, stream), "\n")
			if _, got, _ := strings.Cut(frames(t, out, stream), "\n"); want != got || len(want) < 100 {
				t.Errorf("stream %s differs: %d and %d bytes of checksums", stream, len(want), len(got))
			}
		}
	})
	t.Run("nothing but the named files is left", func(t *testing.T) {
		left, err := os.ReadDir(dir)
		if err != nil || len(left) != 3 {
			t.Errorf("left: %v, %v", left, err)
		}
	})
	t.Run("a deleted video is gone", func(t *testing.T) {
		s.vstackJSON(nil, "video", "rm", "--yes", job.Video.String())
		var list wire.List[vstack.Video]
		s.vstackJSON(&list, "video", "ls")
		if len(list.Items) != 0 {
			t.Errorf("still listed: %+v", list.Items)
		}
	})
}
