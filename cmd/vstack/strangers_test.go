package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// TestClientsThatNobodyHereWrote fetches the largest chunk of a real upload with curl,
// with ngtcp2's client and with Chromium: its bytes hash to its name each time.
func TestClientsThatNobodyHereWrote(t *testing.T) {
	s := newScenario(t)
	var jobs wire.List[wire.Job]
	s.vstackJSON(&jobs, "video", "upload", clip(t, "4", "1"))
	m, err := s.cluster.Meta.Manifest(t.Context(), jobs.Items[0].Video)
	if err != nil {
		t.Fatal(err)
	}
	var slot vstack.Slot
	var chunk vstack.ChunkRef
	for sl, ref := range m.Slots {
		if ref.Size > chunk.Size {
			slot, chunk = sl, ref
		}
	}
	if chunk.Size < 1<<20 {
		t.Fatalf("largest chunk is %d bytes; browsers fail on large answers first", chunk.Size)
	}
	places, err := s.cluster.Meta.Placement(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	group, _ := places.Group(slot)
	store, _ := places.Store(group.Targets[0])
	url := "https://" + store.Addr + "/v1/chunks/" + chunk.ID.String()

	t.Run("curl", func(t *testing.T) {
		curl := need(t, "curl")
		ca := filepath.Join(s.lab.Client, "ca.crt")
		body := output(t, curl, "-sS", "--cacert", ca, url)
		hashes(t, body, chunk.ID)
		if part := output(t, curl, "-sS", "--cacert", ca, "-r", "1000-1999", url); !bytes.Equal(part, body[1000:2000]) {
			t.Errorf("range of %d bytes differs", len(part))
		}
		for _, q := range []struct {
			header string
			status int
		}{
			{`If-None-Match: "` + chunk.ID.String() + `"`, http.StatusNotModified},
			{"Range: bytes=99999999-", http.StatusRequestedRangeNotSatisfiable},
			{"Range: bytes=-500", http.StatusPartialContent},
		} {
			got := output(t, curl, "-sS", "--cacert", ca, "-o", os.DevNull, "-w", "%{http_code}", "-H", q.header, url)
			if string(got) != fmt.Sprint(q.status) {
				t.Errorf("%s: status %s, want %d", q.header, got, q.status)
			}
		}
	})
	t.Run("gtlsclient", func(t *testing.T) {
		client := need(t, "gtlsclient")
		host, port, err := net.SplitHostPort(store.Addr)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		output(t, client, "-q", "--exit-on-all-streams-close", "--download="+dir, host, port, url)
		body, err := os.ReadFile(filepath.Join(dir, chunk.ID.String()))
		if err != nil {
			t.Fatal(err)
		}
		hashes(t, body, chunk.ID)
	})
	t.Run("Chromium", func(t *testing.T) {
		need(t, "chromium")
		got := chromiumFetch(t, s, store, url)
		if got.Hash != chunk.ID.String() || got.Size != int(chunk.Size) {
			t.Errorf("hash %s of %d bytes, want %s of %d; page said %q", got.Hash, got.Size, chunk.ID, chunk.Size, got.Error)
		}
		if got.Protocol != "h3" {
			t.Errorf("nextHopProtocol %q, want h3", got.Protocol)
		}
		if !strings.Contains(got.Timing, "rtt") || !strings.Contains(got.Timing, "cwnd") {
			t.Errorf("Server-Timing %q: the page does not see the path's signals", got.Timing)
		}
	})
}

// fetched is what the page found.
type fetched struct {
	Hash, Protocol, Timing, Error string
	Size                          int
}

// page fetches a chunk as a player would and writes what it got into its title.
const page = `<!doctype html><title></title><script>
(async () => {
  const url = %q, out = {};
  try {
    const body = await (await fetch(url, {cache: "no-store"})).arrayBuffer();
    const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", body));
    out.Hash = [...sum].map(b => b.toString(16).padStart(2, "0")).join("");
    out.Size = body.byteLength;
    const entry = performance.getEntriesByName(url).at(-1);
    out.Protocol = entry.nextHopProtocol;
    out.Timing = entry.serverTiming.map(t => t.name).join(" ");
  } catch (e) { out.Error = String(e); }
  document.title = "result " + JSON.stringify(out);
})();
</script>`

var pageResult = regexp.MustCompile(`<title>result (\{.*\})</title>`)

func chromiumFetch(t *testing.T, s *scenario, store vstack.Store, url string) fetched {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "page.html")
	if err := os.WriteFile(file, fmt.Appendf(nil, page, url), 0o600); err != nil {
		t.Fatal(err)
	}
	id, err := identity.Load(filepath.Join(s.lab.Host(store.Host).Dir, "tls"))
	if err != nil {
		t.Fatal(err)
	}
	html := output(t, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--user-data-dir="+filepath.Join(dir, "profile"), "--origin-to-force-quic-on="+store.Addr,
		"--ignore-certificate-errors-spki-list="+id.SPKIHash(), "--virtual-time-budget=20000", "--dump-dom", "file://"+file)
	found := pageResult.FindSubmatch(html)
	if found == nil {
		t.Fatalf("the page did not finish: %s", html)
	}
	var got fetched
	if err := json.Unmarshal(found[1], &got); err != nil {
		t.Fatalf("%v in %s", err, found[1])
	}
	return got
}

// need finds a program, or skips aloud.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("SKIPPED: %s is not installed; `make deps-test` installs it", program)
	}
	return path
}

func output(t *testing.T, program string, args ...string) []byte {
	t.Helper()
	var errOut bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", program, err, errOut.String())
	}
	return out
}

func hashes(t *testing.T, body []byte, want vstack.ChunkID) {
	t.Helper()
	if got := vstack.ChunkIDOf(body); got != want {
		t.Errorf("%d bytes hash to %s, want %s", len(body), got, want)
	}
}
