package clients

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// browsers are how each is started on an address, with a profile of its own.
var browsers = []struct {
	name string
	args func(profile, url string) []string
	// prefs is written into the profile.
	prefs string
}{
	{"chromium", func(profile, url string) []string {
		return []string{"--headless=new", "--no-sandbox", "--disable-gpu", "--mute-audio", "--no-first-run", "--disable-component-update", "--ignore-certificate-errors", "--disable-background-networking",
			"--autoplay-policy=no-user-gesture-required", "--user-data-dir=" + profile, url}
	}, ""},
	{"firefox-esr", func(profile, url string) []string {
		return []string{"--headless", "--no-remote", "--profile", profile, url}
	}, `user_pref("media.autoplay.default", 0);
user_pref("media.autoplay.blocking_policy", 0);
user_pref("app.update.enabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.aboutwelcome.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("media.volume_scale", "0.0");
`},
}

// players of the page, with the name that people know.
// gap is a feature that is known not to work, and stands so in docs/gateway.md.
var pagePlayers = []struct{ id, name, file, gap string }{
	{"hls", "hls.js", "hls.js/dist/hls.min.js", ""},
	{"dash", "dash.js", "dashjs/dist/modern/umd/dash.all.min.js", ""},
	{"shaka-dash", "Shaka, DASH", "shaka-player/dist/shaka-player.compiled.js", ""},
	{"shaka-hls", "Shaka, HLS", "shaka-player/dist/shaka-player.compiled.js", ""},
}

// TestPlayersInBrowsers plays the film in each player of each browser.
func TestPlayersInBrowsers(t *testing.T) {
	var all table
	for i, b := range browsers {
		for k, p := range pagePlayers {
			if !soak() && i+k > 0 {
				continue // the quick form is the first of each
			}
			t.Run(b.name+" "+p.name, func(t *testing.T) {
				need(t, b.name)
				if _, err := os.Stat(filepath.Join("node_modules", p.file)); err != nil {
					t.Skipf("SKIPPED: %s is not fetched: npm ci in bench/clients", p.name)
				}
				found := theStand(t).browse(t, i, p.id, nil)
				name := fmt.Sprintf("%s %s in %s", p.name, found["version"], map[string]string{"chromium": "Chromium", "firefox-esr": "Firefox"}[b.name])
				if found["error"] != "" {
					t.Errorf("%s: %s", name, found["error"])
				}
				does := map[string]string{}
				for _, f := range features {
					if does[f] = found[f]; found[f] != "yes" && p.gap == f {
						t.Logf("OPEN: %s: %s: %s", name, f, found[f])
						does[f] = "no"
					} else if found[f] != "yes" {
						t.Errorf("%s: %s: %s", name, f, found[f])
						does[f] = "no"
					}
				}
				all.add(name, does)
			})
		}
	}
	t.Logf("\n%s", all.String())
}

// browse opens the page, told more than the usual, and waits for what it finds.
func (s *stand) browse(t *testing.T, browser int, player string, more url.Values) map[string]string {
	t.Helper()
	b := browsers[browser]
	run := strconv.FormatInt(time.Now().UnixNano(), 36)
	got := make(chan map[string]string, 1)
	s.mu.Lock()
	s.results[run] = got
	s.mu.Unlock()
	profile := t.TempDir()
	if b.prefs != "" {
		if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(b.prefs), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	q := url.Values{"player": {player}, "base": {"/play/" + s.video.String()}, "run": {run}, "stripes": {strconv.Itoa(stripes)}, "rate": {strconv.Itoa(rate)},
		"de": {strconv.Itoa(int(s.tracks["audio de"]))}}
	maps.Copy(q, more)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var said bytes.Buffer
	c := exec.CommandContext(ctx, b.name, b.args(profile, s.url+"/page/player.html?"+q.Encode())...)
	c.Env = append(os.Environ(), "HOME="+profile, "MOZ_HEADLESS=1")
	c.Stdout, c.Stderr = &said, &said
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a browser is many processes
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	defer func() {
		cancel()
		<-ended
	}()
	select {
	case found := <-got:
		return maps.Clone(found)
	case err := <-ended:
		ended <- err
		t.Fatalf("%s ended: %v: %s", b.name, err, said.String())
	case <-ctx.Done():
		t.Fatalf("%s says nothing: %.2000s", b.name, said.String())
	}
	return nil
}
