package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/wire"
)

// The scenarios of this file are what docs/runbook.md says, typed. VSTACK_BINARY=FILE has an
// older program in place of this one: they fail then, and print what it showed.

// TestVotesThatWereForgotten has a store lose a file, which one epoch settles for good, and then
// hosts lose so much that groups are held, which is seen everywhere and ended by name.
func TestVotesThatWereForgotten(t *testing.T) {
	long(t)
	s := newSite(t, "dead_after=5s")
	s.founded("--stores", "1")
	film := s.upload().String()

	// What a leader heard of a store's log it commits within 30 s: one that goes on leading
	// knows it at once.
	s.reads(patience, anyExit, []string{"raft", "transfer", "--to", "a"})
	s.reads(patience, 0, []string{"raft", "status"}, "leader a ")
	s.reported("b")
	s.stop("b")
	s.loseNewestFile("b")
	s.start("b")
	s.barred("b", true)
	s.reads(patience, 0, []string{"group", "held"}, "every group has its acceptors")
	s.barred("b", false)

	// The same store starts once more, as after any upgrade, while another loses its disk.
	s.stop("b")
	s.kill("c")
	s.lose("c", "stores/1")
	s.start("b")
	s.start("c")
	s.reads(patience, 0, []string{"group", "held"}, "every group has its acceptors")
	s.barred("b", false)
	s.reads(time.Minute, 0, []string{"video", "verify", film, "--deep"}, "good")

	// Two of three lose their disks: now votes are gone for good.
	for _, host := range []string{"b", "c"} {
		s.kill(host)
		s.lose(host, "stores/1")
		s.start(host)
	}
	const held = "placement groups lack acceptors and take no writes"
	s.reads(patience, 6, []string{"node", "ls"}, held, "vstack group held")
	s.reads(patience, 6, []string{"raft", "status"}, held)
	s.reads(patience, 1, []string{"doctor", "--config", filepath.Join(s.host("a"), "vstack.yaml")}, "take no writes", "vstack group accept-loss")
	screen, _ := s.reads(patience, 6, []string{"group", "held"}, "bring these stores back", "would do")
	if gone := regexp.MustCompile(`b ([0-9a-f]{8}) down`).FindStringSubmatch(screen); gone != nil {
		s.reads(0, anyExit, []string{"--timeout", "5s", "store", "replace", gone[1], "--wait", "--yes"}, "groups have moved; it waits: ", "no majority of their voters is up")
	}
	for _, host := range []string{"a", "b", "c"} {
		s.gauge(s.addr(host, "8080"), "vstack_metastore_groups_held", func(v string) bool { return v != "0" })
	}
	s.reads(0, 2, []string{"group", "accept-loss", "7"}, "--yes")
	s.reads(patience, 0, []string{"group", "accept-loss", "7", "--yes"}, "take writes again")
	s.reads(patience, 0, []string{"group", "accept-loss", "--all", "--yes"}, "take writes again")
	s.reads(patience, 0, []string{"group", "held"}, "every group has its acceptors")
	s.reads(patience, 0, []string{"video", "check"}, "0 are lost")
	s.until("video", "upload", clip(t, "2", "0"))
	s.reads(time.Minute, 0, []string{"video", "verify", film, "--deep"}, "good")
}

// reported waits until the cluster has heard that each store of a host holds something.
func (s *site) reported(host string) {
	s.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		var list wire.List[wire.Node]
		_, out := s.runs("node", "ls", "-o", "json")
		_ = json.Unmarshal([]byte(out), &list) // what is none holds nothing
		for _, n := range list.Items {
			if string(n.Host) == host && !slices.ContainsFunc(n.Stores, func(st wire.NodeStore) bool { return st.Report == nil || st.Report.Chunks == 0 }) {
				return
			}
		}
	}
	s.Errorf("nobody has heard what host %s holds", host)
}

// loseNewestFile takes the file that a host's first store wrote last.
func (s *site) loseNewestFile(host string) {
	s.Helper()
	var newest string
	var at time.Time
	files, err := filepath.Glob(filepath.Join(s.host(host), "stores/1/*.vsb"))
	if err != nil {
		s.Fatal(err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && info.ModTime().After(at) {
			newest, at = file, info.ModTime()
		}
	}
	if newest == "" {
		s.Fatalf("host %s has no file to lose", host)
	}
	s.lose(host, strings.TrimPrefix(newest, s.host(host)+"/"))
}

// barred waits until a host's store does not vote in some groups, or votes in all.
func (s *site) barred(host string, some bool) {
	s.Helper()
	s.gauge(s.addr(host, "8081"), "vstack_datanode_paxos_barred_groups", func(v string) bool { return (v != "0") == some })
}

// addr is a port of a, b or c.
func (s *site) addr(host, port string) string {
	return s.net + string('1'+host[0]-'a') + ":" + port
}

// gauge waits for a metric, as whoever watches hosts sees it.
func (s *site) gauge(addr, name string, ok func(string) bool) {
	s.Helper()
	deadline := time.Now().Add(patience)
	for {
		value := s.metric(addr, name)
		if value != "" && ok(value) {
			s.Logf("%5.1f s  %s/metrics: %s %s", time.Since(s.began).Seconds(), addr, name, value)
			return
		}
		if time.Now().After(deadline) {
			s.Errorf("%s/metrics: %s is %q", addr, name, value)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// metric is the sum over all of its labels; "" where it cannot be had.
func (s *site) metric(addr, name string) string {
	s.Helper()
	id, err := identity.LoadRoots(filepath.Join(s.dir, "cluster/client/ca.crt"))
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+addr+"/metrics", nil)
	if err != nil {
		s.Fatal(err)
	}
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: id.ClientTLS(), DisableKeepAlives: true}}
	resp, err := web.Do(req)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	sum, found := 0.0, false
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		series, value, _ := strings.Cut(lines.Text(), " ")
		base, _, _ := strings.Cut(series, "{")
		if n, err := strconv.ParseFloat(value, 64); err == nil && base == name {
			sum, found = sum+n, true
		}
	}
	if !found {
		return ""
	}
	return strconv.FormatFloat(sum, 'f', -1, 64)
}

// TestAMemberThatLostItsDirectory is the host that a bundle names first, which every command
// asks first: what its screen prints is typed.
func TestAMemberThatLostItsDirectory(t *testing.T) {
	long(t)
	s := newSite(t)
	s.founded()
	s.upload()
	s.kill("a")
	s.lose("a", "meta")
	s.start("a")
	s.reads(patience, 6, []string{"status"}, "refused: this directory is empty")
	screen, _ := s.reads(patience, 6, []string{"raft", "status"}, "refused", "no part in it has a")
	s.follows(screen, "raft remove a", "raft add a")
	s.reads(patience, 0, []string{"raft", "status", "--wait"}, "1 more member may fail now")
	s.until("video", "upload", clip(t, "2", "0"))
}

// TestAMemberWhoseLogIsDamaged goes on with all else that its host does.
func TestAMemberWhoseLogIsDamaged(t *testing.T) {
	long(t)
	s := newSite(t)
	s.founded()
	film := s.upload().String()
	s.stop("b")
	s.damage("b", "meta/raft/raft.db")
	s.start("b")
	screen, _ := s.reads(patience, 6, []string{"raft", "status"}, "damaged", "vstack raft remove b --yes")
	s.reads(patience, 6, []string{"status"}, "damaged: ")
	s.reads(patience, 0, []string{"node", "ls"}, "b     up")
	s.reads(patience, 0, []string{"video", "verify", film, "--deep"}, "good")
	s.reads(patience, 0, []string{"video", "upload", clip(t, "2", "0"), "--uploader", s.addr("b", "8084")}, "published")

	s.stop("b")
	if err := os.Rename(filepath.Join(s.host("b"), "meta"), filepath.Join(s.host("b"), "meta.damaged")); err != nil {
		t.Fatal(err)
	}
	s.start("b")
	s.follows(screen, "raft remove b", "raft add b")
	s.reads(patience, 0, []string{"raft", "status", "--wait"}, "1 more member may fail now")
}

// damage writes noise over the middle of a file.
func (s *site) damage(host, path string) {
	s.Helper()
	f, err := os.OpenFile(filepath.Join(s.host(host), path), os.O_RDWR, 0)
	if err != nil {
		s.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		s.Fatal(err)
	}
	// From the first page on: a database that was just made is mostly empty pages.
	if _, err := f.WriteAt(bytes.Repeat([]byte("rot"), int(info.Size()-8192)/3), 8192); err != nil {
		s.Fatal(err)
	}
	if err := f.Close(); err != nil {
		s.Fatal(err)
	}
	s.Logf("%5.1f s  # host %s: bytes of %s are damaged", time.Since(s.began).Seconds(), host, path)
}

// follows types commands as a screen prints them.
func (s *site) follows(screen string, commands ...string) {
	s.Helper()
	for _, command := range commands {
		line := regexp.MustCompile(`vstack (` + command + `\b[^,;\n]*)`).FindStringSubmatch(screen)
		if line == nil {
			s.Errorf("the screen does not say: vstack %s …", command)
			continue
		}
		s.reads(patience, 0, strings.Fields(line[1]))
	}
}

// TestACopiedStoreDirectory is refused by name, and nothing else of its host.
func TestACopiedStoreDirectory(t *testing.T) {
	long(t)
	t.Run("plain", func(t *testing.T) { copiedStore(t, "--plain") })
	t.Run("encrypted", func(t *testing.T) { copiedStore(t) }) // no other host has its key
}

func copiedStore(t *testing.T, flags ...string) {
	s := newSite(t)
	s.founded(flags...)
	film := s.upload().String()
	s.reads(patience, 0, []string{"node", "ok-to-stop", "c"})

	// The image of a host's disk comes into another host, in the place of one of its stores.
	s.stop("a")
	s.stop("c")
	s.lose("c", "stores/2")
	s.copies("a", "stores/1", "c", "stores/2")
	s.start("a")
	s.start("c")
	copied := s.addr("c", "8082")
	if len(flags) > 0 {
		s.reads(patience, 6, []string{"status"}, "store "+copied, "which is that of host a", "move the directory aside")
	} else {
		s.reads(patience, 6, []string{"status"}, "store "+copied, "does not answer, its host does", "vstack doctor")
		s.reads(patience, 1, []string{"doctor", "--config", filepath.Join(s.host("c"), "vstack.yaml")}, "store "+copied, "is encrypted and is not opened", "came from another host")
	}
	s.reads(patience, 0, []string{"store", "ls"}, "down")
	s.until("video", "upload", clip(t, "2", "0"))
	s.reads(patience, 0, []string{"video", "play", film}, "verified")

	// And one into its own host.
	s.stop("c")
	s.lose("c", "stores/2")
	s.copies("c", "stores/1", "c", "stores/2")
	s.start("c")
	s.reads(patience, 1, []string{"doctor", "--config", filepath.Join(s.host("c"), "vstack.yaml")}, "store "+copied, "c/stores/2 is a copy of c/stores/1")
	s.reads(patience, 6, []string{"status"}, "store "+copied, "does not answer, its host does", "vstack doctor")

	// What the screens say is done: an empty directory becomes a new store.
	s.stop("c")
	s.lose("c", "stores/2")
	s.start("c")
	screen, _ := s.reads(patience, 6, []string{"status"}, "a new one is in its place")
	s.follows(screen, "store replace", "store rm")
	s.reads(patience, 0, []string{"video", "verify", film, "--deep"}, "good")
	s.reads(patience, 0, []string{"status"}, "every store is up")
}

func (s *site) copies(from, path, to, as string) {
	s.Helper()
	if err := os.CopyFS(filepath.Join(s.host(to), as), os.DirFS(filepath.Join(s.host(from), path))); err != nil {
		s.Fatal(err)
	}
	s.Logf("%5.1f s  # %s/%s is copied to %s/%s", time.Since(s.began).Seconds(), from, path, to, as)
}

// TestADeadHostIsSeenDead by whoever leads: it is not up again for a moment after a change of
// leader, and what its stores held counts for nothing.
func TestADeadHostIsSeenDead(t *testing.T) {
	long(t)
	s := newSite(t)
	s.founded()
	film := s.upload().String()
	if screen, _ := s.reads(patience, 0, []string{"node", "ls"}, "up"); strings.Contains(screen, "64.0 MiB") || strings.Contains(screen, "128 MiB") {
		t.Error("used is what files take, not what is stored")
	}
	s.reads(patience, anyExit, []string{"raft", "transfer", "--to", "c"})
	s.reads(patience, 0, []string{"raft", "status"}, "leader c ")
	s.kill("c")
	// Silent for three seconds, of which the next leader heard none.
	s.reads(8*time.Second, 6, []string{"node", "ls"}, "not up: c")
	s.reads(patience, 6, []string{"node", "ls"}, "down", "not up: c")
	s.reads(patience, 6, []string{"raft", "status"}, "unreachable", "no part in it has c")
	s.reads(patience, 6, []string{"video", "verify", film}, "copies are not good")
	for range 3 {
		s.types("raft", "transfer")
		for range 5 {
			s.reads(0, 6, []string{"node", "ls"}, "not up: c")
		}
	}
	s.reads(0, 6, []string{"raft", "status"}, "unreachable")
	s.reads(0, 6, []string{"status"}, "host c")
}
