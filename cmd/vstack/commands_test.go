package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vstack/vstack/cmd/vstack/operate"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/backup"
	"github.com/vstack/vstack/quicclient"
)

// try runs a command in this process.
func try(args ...string) (code int, stdout, stderr string) {
	var out, errOut bytes.Buffer
	code = run(args, &out, &errOut)
	return code, out.String(), errOut.String()
}

func TestUsage(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no such command":             {[]string{"vidoe"}, console.ExitUsage, "perhaps video"},
		"no such subcommand":          {[]string{"video", "lst"}, console.ExitUsage, `"lst"`},
		"an unknown flag":             {[]string{"video", "ls", "--frob"}, console.ExitUsage, "vstack video ls --help"},
		"too few arguments":           {[]string{"video", "info"}, console.ExitUsage, "accepts 1 arg"},
		"a format that is none":       {[]string{"version", "-o", "xml"}, console.ExitUsage, "table, json or yaml"},
		"no cluster":                  {[]string{"--cluster", "/none", "video", "ls"}, console.ExitError, "vstack demo"},
		"a missing host file":         {[]string{"config", "print", "--config", "/none.yaml"}, console.ExitError, "/none.yaml"},
		"a demo of a missing file":    {[]string{"demo", "/none.mp4"}, console.ExitError, "/none.mp4"},
		"lab init with a bad address": {[]string{"lab", "init", "--hosts", "a=10.0.0.1:80"}, console.ExitUsage, "without a port"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errOut := try(tc.args...)
			if code != tc.code || !strings.Contains(errOut, tc.says) || out != "" {
				t.Errorf("exit %d, want %d; stderr %q, stdout %q", code, tc.code, errOut, out)
			}
		})
	}
}

func TestEnvironmentGivesGlobalFlags(t *testing.T) {
	t.Setenv("VSTACK_OUTPUT", "json")
	if code, out, errOut := try("version"); code != 0 || !json.Valid([]byte(out)) {
		t.Errorf("environment: exit %d, %q, %q", code, out, errOut)
	}
	if code, out, _ := try("version", "-o", "table"); code != 0 || !strings.HasPrefix(out, "VERSION") {
		t.Errorf("a flag wins: exit %d, %q", code, out)
	}
	t.Setenv("VSTACK_TIMEOUT", "soon")
	if code, _, errOut := try("version"); code != console.ExitUsage || !strings.Contains(errOut, "VSTACK_TIMEOUT") {
		t.Errorf("nonsense: exit %d, %q", code, errOut)
	}
}

func TestLabInitAndJoin(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cluster")
	code, out, errOut := try("lab", "init", "--hosts", "a=10.0.0.1,b=10.0.0.2,c=10.0.0.3", "--out", dir, "--capacity", "2TiB", "-o", "json")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, errOut)
	}
	var list wire.List[struct{ Addr, Bundle string }]
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list.Items) != 3 || list.Items[1].Addr != "10.0.0.2" {
		t.Fatalf("got %+v, %v", list, err)
	}
	host := filepath.Join(t.TempDir(), "b")
	if code, _, errOut := try("lab", "join", list.Items[1].Bundle, "--dir", host); code != 0 {
		t.Fatalf("join: exit %d: %s", code, errOut)
	}
	code, out, errOut = try("config", "print", "--config", filepath.Join(host, "vstack.yaml"), "--log-level", "debug", "--set", "ingest.max_upload=5GiB")
	if code != 0 || !strings.Contains(out, "max_upload: 5GiB") || !strings.Contains(out, "level: debug") || !strings.Contains(out, "capacity: 2TiB") {
		t.Errorf("config print: exit %d: %s%s", code, out, errOut)
	}
	code, out, errOut = try("lab", "join", list.Items[1].Bundle, "--dir", host)
	if said := out + errOut; code != 0 || !strings.Contains(said, "Replaced:\n  the certificate") || !strings.Contains(said, "Kept:\n  all data") || !strings.Contains(said, "without a restart") {
		t.Errorf("join again: exit %d: %s", code, said)
	}
	if code, _, errOut := try("lab", "join", list.Items[0].Bundle, "--dir", host); code != console.ExitUsage || !strings.Contains(errOut, `is host "b"`) {
		t.Errorf("join of another host's bundle: exit %d: %s", code, errOut)
	}
	code, out, errOut = try("lab", "join", list.Items[1].Bundle, "--print")
	if code != 0 || !strings.Contains(out, "useradd") || !strings.Contains(out, "ExecStart=/usr/local/bin/vstack") || !strings.Contains(out, "--no-system") {
		t.Errorf("join --print: exit %d: %s%s", code, out, errOut)
	}
	code, out, errOut = try("lab", "set-address", "b", "10.0.0.9", "--dir", dir)
	steps := out + errOut
	for _, want := range []string{"raft remove b --yes", "systemctl stop vstack", "lab join b.tar.gz", "raft add b --raft 10.0.0.9:7080 --api 10.0.0.9:8080"} {
		at := strings.Index(steps, want)
		if code != 0 || at < 0 {
			t.Errorf("set-address: exit %d, nothing of %q, in its order, in:\n%s", code, want, out+errOut)
			break
		}
		steps = steps[at:]
	}
}

// TestWordsAreCompletedWithoutACluster: what this program knows by itself.
func TestWordsAreCompletedWithoutACluster(t *testing.T) {
	for words, want := range map[string]string{
		"drill run ":             "kill-host",
		"bench run ":             "http3-get",
		"video pin X ":           "cold",
		"video ls -o ":           "yaml",
		"video play X --policy ": "smart",
		"video upload ":          ":0", // files
		"lab join ":              ":0",
		"version ":               ":4", // nothing, and no files
	} {
		args := append([]string{"__complete"}, strings.Split(words, " ")...)
		if code, out, errOut := try(args...); code != 0 || !strings.Contains(out, want) {
			t.Errorf("%s: exit %d, no %q in %s%s", words, code, want, out, errOut)
		}
	}
}

func TestCommandsOnACluster(t *testing.T) {
	s := newScenario(t)
	job, err := s.cluster.Upload(t.Context(), s.prog, clip(t, "2", "0"), cluster.UploadOptions{Title: "short one"})
	if err != nil {
		t.Fatal(err)
	}
	s.converged(job.Video)
	id := job.Video.String()

	t.Run("listings", func(t *testing.T) {
		var videos wire.List[vstack.Video]
		s.vstackJSON(&videos, "video", "ls")
		var nodes wire.List[wire.Node]
		s.vstackJSON(&nodes, "node", "ls")
		var stores wire.List[wire.NodeStore]
		s.vstackJSON(&stores, "store", "ls")
		var raft wire.RaftStatus
		s.vstackJSON(&raft, "raft", "status")
		if len(videos.Items) != 1 || len(nodes.Items) != 3 || len(stores.Items) != 6 || len(raft.Peers) != 3 || raft.Leader == "" {
			t.Errorf("%d videos, %d nodes, %d stores, raft %+v", len(videos.Items), len(nodes.Items), len(stores.Items), raft)
		}
	})
	t.Run("ids and names are completed", func(t *testing.T) {
		for words, want := range map[string]string{
			"video info":     id + "\tshort one",
			"store drain":    s.lab.Hosts[1].Config.Data.Stores[0].Addr + "\th2, up",
			"node info":      "h3\tup",
			"raft remove":    "h1\tup",
			"video rm " + id: "", // it stands there already
		} {
			args := append([]string{"__complete", "--cluster", s.lab.Client}, append(strings.Fields(words), "")...)
			code, out, errOut := try(args...)
			if code != 0 || !strings.Contains(out, want) || want == "" && strings.Contains(out, id) {
				t.Errorf("%s: exit %d: %s%s", words, code, out, errOut)
			}
		}
	})
	t.Run("verify reads every copy", func(t *testing.T) {
		var r cluster.VerifyReport
		s.vstackJSON(&r, "video", "verify", id, "--deep")
		if r.Good != r.Copies || r.Copies != 3*r.Chunks || r.Bytes == 0 {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("locate by slot and by hash agree", func(t *testing.T) {
		var bySlot, byHash cluster.ChunkPlace
		s.vstackJSON(&bySlot, "chunk", "locate", id+"/1/1")
		s.vstackJSON(&byHash, "chunk", "locate", bySlot.Chunk.String())
		held := 0
		for i, c := range bySlot.Copies {
			if c.Has != byHash.Copies[i].Has || c.Has != c.Voter {
				t.Errorf("store %s: %+v and %+v", c.Addr, c, byHash.Copies[i])
			}
			if c.Has {
				held++
			}
		}
		if held != vstack.Acceptors {
			t.Errorf("%d stores hold it", held)
		}
	})
	t.Run("scrub starts and tells", func(t *testing.T) {
		var started wire.List[operate.ScrubRow]
		s.vstackJSON(&started, "store", "scrub", "start")
		s.until("every store to be scrubbed", func() bool {
			var status wire.List[operate.ScrubRow]
			s.vstackJSON(&status, "store", "scrub", "status")
			for _, r := range status.Items {
				if r.Scrub.Passes < 1 || r.Scrub.Running {
					return false
				}
			}
			return len(status.Items) == 6
		})
	})
	t.Run("leadership moves to the member that is named", func(t *testing.T) {
		var st wire.RaftStatus
		s.vstackJSON(&st, "raft", "status")
		to := "h1"
		if st.Leader == to {
			to = "h2"
		}
		s.vstackJSON(&st, "raft", "transfer", "--to", to)
		if st.Leader != to {
			t.Errorf("leadership went to %s: %s leads, says %s", to, st.Leader, st.Node)
		}
	})
	t.Run("play reports to a file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "report.json")
		s.vstackJSON(nil, "video", "play", id, "--report", file)
		body, err := os.ReadFile(file)
		var r quicclient.Report
		if err != nil || json.Unmarshal(body, &r) != nil || len(r.Log) != r.Total || r.Verified != r.Total {
			t.Errorf("report: %v, %d of %d chunks in the log", err, len(r.Log), r.Total)
		}
	})
	t.Run("the catalog is saved, told and checked", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "catalog.backup")
		var saved, told backup.Info
		s.vstackJSON(&saved, "raft", "snapshot", "save", file)
		s.vstackJSON(&told, "raft", "snapshot", "inspect", file)
		if saved != told || told.Counts.Published != 1 || told.Index == 0 {
			t.Errorf("saved %+v, told %+v", saved, told)
		}
		var held cluster.HeldReport
		s.vstackJSON(&held, "raft", "snapshot", "check")
		if held.Chunks != told.Counts.Chunks || held.Few != 0 || held.Stores != 6 {
			t.Errorf("held %+v", held)
		}
		for code, args := range map[int][]string{
			console.ExitUsage: {"raft", "snapshot", "restore", file},
			console.ExitError: {"raft", "snapshot", "restore", file, "--yes"}, // there are videos
		} {
			if got, _, errOut := try(append([]string{"--cluster", s.lab.Client}, args...)...); got != code {
				t.Errorf("%v: exit %d, want %d: %s", args, got, code, errOut)
			}
		}
		if got, _, errOut := try("--cluster", s.lab.Client, "raft", "snapshot", "save", file); got != console.ExitError || !strings.Contains(errOut, "already exists") {
			t.Errorf("over a file that is there: exit %d: %s", got, errOut)
		}
	})
	t.Run("tables are for people", func(t *testing.T) {
		for _, args := range [][]string{
			{"video", "ls"}, {"video", "info", id}, {"video", "verify", id}, {"node", "ls"}, {"node", "info", "h1"},
			{"store", "ls"}, {"store", "scrub", "status"}, {"chunk", "locate", id + "/1/0"}, {"raft", "peers"}, {"raft", "status"},
		} {
			code, out, errOut := try(append([]string{"--cluster", s.lab.Client, "--progress", "none"}, args...)...)
			if code != 0 || out+errOut == "" || strings.Contains(out, "{") {
				t.Errorf("%v: exit %d: %s%s", args, code, out, errOut)
			}
		}
	})
	s.exitCodes(id)
}

// exitCodes checks what scripts branch on.
func (s *scenario) exitCodes(id string) {
	reader := filepath.Join(s.TempDir(), "reader")
	if err := os.CopyFS(reader, os.DirFS(s.lab.Client)); err != nil {
		s.Fatal(err)
	}
	for _, f := range []string{"tls.crt", "tls.key"} {
		if err := os.Remove(filepath.Join(reader, f)); err != nil {
			s.Fatal(err)
		}
	}
	unknown := "01900000-0000-7000-8000-000000000000"
	for name, tc := range map[string]struct {
		args []string
		code int
		says string
	}{
		"an unknown video is not found":             {[]string{"video", "info", unknown}, console.ExitNotFound, "vstack video ls"},
		"an id that is none is usage":               {[]string{"video", "info", "film"}, console.ExitUsage, "film"},
		"an unknown host is not found":              {[]string{"node", "info", "h9"}, console.ExitNotFound, "h9"},
		"an unknown slot is not found":              {[]string{"chunk", "locate", id + "/1/999"}, console.ExitNotFound, ""},
		"deleting asks first":                       {[]string{"video", "rm", id}, console.ExitUsage, "--yes"},
		"an export names its file":                  {[]string{"video", "export", id}, console.ExitUsage, "vstack video export --help"},
		"a rendition that nobody makes":             {[]string{"video", "upload", "--renditions", "99p", os.Args[0]}, console.ExitUsage, "480p"},
		"a class that is none":                      {[]string{"video", "upload", "--class", "warm", os.Args[0]}, console.ExitUsage, "cold"},
		"a file that is no media":                   {[]string{"video", "upload", os.Args[0]}, console.ExitError, "programs are not taken"},
		"an unknown member is not found":            {[]string{"raft", "transfer", "--to", "h9"}, console.ExitNotFound, "vstack raft peers"},
		"removing a member asks first":              {[]string{"raft", "remove", "h1"}, console.ExitUsage, "--yes"},
		"an unknown member is not removed":          {[]string{"raft", "remove", "h9", "--yes"}, console.ExitNotFound, "vstack raft peers"},
		"a member is not added without its address": {[]string{"raft", "add", "h9"}, console.ExitUsage, "--raft"},
		"a backup that is none":                     {[]string{"raft", "snapshot", "inspect", os.Args[0]}, console.ExitError, "backup"},
		"an unknown scenario is not found":          {[]string{"bench", "run", "nonsense"}, console.ExitNotFound, "vstack bench ls"},
		"a demo has hosts":                          {[]string{"demo", "--hosts", "0"}, console.ExitUsage, "--hosts"},
		"a reader may look":                         {[]string{"--cluster", reader, "video", "info", id}, console.ExitOK, ""},
		"a reader may not delete":                   {[]string{"--cluster", reader, "video", "rm", "--yes", id}, console.ExitNotAllowed, ""},
		"nothing to resume is not found":            {[]string{"video", "upload", "--resume", os.Args[0]}, console.ExitNotFound, "without --resume"},
		"what is no video is refused":               {[]string{"video", "upload", filepath.Join(s.lab.Client, "vstack.yaml")}, console.ExitError, ""},
		"no original was kept":                      {[]string{"video", "export", id, "--original", "-o", filepath.Join(s.TempDir(), "x")}, console.ExitNotFound, "--keep-original"},
		"an extension without a form is bad":        {[]string{"video", "export", id, "-o", filepath.Join(s.TempDir(), "x.txt")}, console.ExitUsage, ".mp4"},
	} {
		s.Run(name, func(t *testing.T) {
			code, _, errOut := try(append([]string{"--cluster", s.lab.Client, "--progress", "none"}, tc.args...)...)
			if code != tc.code || !strings.Contains(errOut, tc.says) {
				t.Errorf("exit %d, want %d: %s", code, tc.code, errOut)
			}
		})
	}
}
