package web

import (
	"bytes"
	"compress/gzip"
	"io/fs"
	"strings"
	"testing"
)

// budget is what the shell and the console may weigh, compressed. hls.js comes when a film
// is played, and is not of it; so does the player of the stores, which has its own.
const (
	budget       = 80 << 10
	playerBudget = 40 << 10
)

func TestTheConsoleFitsItsBudget(t *testing.T) {
	pages, built := Pages()
	if !built {
		t.Skip("SKIPPED: the pages are not built; make web builds them")
	}
	sum, files, player := 0, 0, 0
	err := fs.WalkDir(pages, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), "hls-") {
			return err
		}
		body, err := fs.ReadFile(pages, p)
		if err != nil {
			return err
		}
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		if _, err := z.Write(body); err != nil {
			return err
		}
		if err := z.Close(); err != nil {
			return err
		}
		if strings.HasPrefix(d.Name(), "player-") || strings.HasPrefix(d.Name(), "vstack-player") {
			player += packed.Len()
			return nil
		}
		sum, files = sum+packed.Len(), files+1
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 4 || sum > budget {
		t.Errorf("%d files of %d bytes compressed, at most %d", files, sum, budget)
	}
	if player == 0 || player > playerBudget {
		t.Errorf("the player has %d bytes compressed, at most %d", player, playerBudget)
	}
	t.Logf("%d bytes compressed in %d files, and %d for the player", sum, files, player)
}
