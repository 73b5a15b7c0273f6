package arch

import (
	"slices"
	"strings"
	"testing"
)

// allowed is the import table of docs/architecture.md: what a package, and those below
// it that have no row of their own, may import of this module. "x/…" is x and
// everything below. A package may always import what lies below itself.
var allowed = map[string][]string{
	"internal/vstack":  {},
	"internal/vfs":     {},
	"internal/network": {},
	// sleep waits for a time that a context may cut short.
	"internal/sleep": {},
	// sealed encrypts what a role keeps beside chunks.
	"internal/sealed": {"internal/vstack", "internal/vfs"},
	// cipherfs encrypts the files of pebble, for what hosts and members keep in it.
	"internal/cipherfs":         {"internal/vstack", "internal/sealed"},
	"internal/arch":             {},
	"internal/soak":             {},
	"internal/loopback":         {},
	"internal/stranger":         {},
	"internal/stranger/crowd":   {"internal/vstack", "internal/identity"},
	"internal/stranger/webpage": {"internal/vstack", "internal/watch", "internal/wire", "datanode/browser"},
	"internal/soak/summary":     {"internal/soak"},
	"internal/identity":         {"internal/vstack", "internal/vfs"},
	"internal/erasure":          {"internal/vstack"},
	"internal/console":          {"internal/vstack"},
	// logs is how lines are written, tracing how a request is followed.
	"internal/logs":    {},
	"internal/tracing": {"internal/identity"},
	// collector takes spans, for tests.
	"internal/tracing/collector": {},
	// cluster is the command line without its flags: it talks to every role.
	"internal/cluster": {"internal/httpclient", "internal/watch", "internal/vstack", "internal/wire", "internal/identity", "internal/metaclient", "internal/network", "internal/console", "deploy/config",
		"quicclient", "quicclient/gateway/mp4", "uploader/ffmpeg"},
	// tell tells a gateway how a playback fares.
	// board shows a playback's stores while it runs.
	"internal/cluster/board": {"internal/vstack", "internal/console", "quicclient"},
	"internal/cluster/tell":  {"internal/vstack", "quicclient", "quicclient/gateway/sessions"},
	// show is for people what cluster did or found.
	"internal/cluster/show": {"internal/vstack", "internal/wire", "internal/console", "internal/cluster", "quicclient"},
	// deliver brings one file to an uploader; pace is how fast that goes.
	"internal/cluster/deliver": {"internal/sleep", "internal/vstack", "internal/wire", "internal/httpclient", "internal/console", "internal/cluster/pace"},
	"internal/cluster/pace":    {"internal/console"},
	// verify asks stores for what they should hold, and joins it.
	// What all stores hold, beside what the catalog names.
	"internal/cluster/inventory": {"internal/vstack", "internal/wire", "internal/metaclient", "internal/httpclient", "internal/console"},
	"internal/cluster/verify":    {"internal/vstack", "internal/wire", "internal/erasure", "internal/metaclient", "internal/httpclient", "internal/console"},
	"internal/ops":               {"internal/vstack", "internal/wire"},
	// httpclient is how commands and tools ask a role; the roles' own clients have other bounds.
	"internal/httpclient": {"internal/tracing", "internal/vstack", "internal/wire", "internal/network"},
	"chunkpaxos":          {"internal/vstack"},
	// What the protocol says, and what reads the answers of many acceptors.
	"chunkpaxos/message":     {"internal/vstack"},
	"chunkpaxos/survey":      {"internal/vstack", "chunkpaxos/message"},
	"chunkpaxos/epochchange": {"internal/vstack", "chunkpaxos/message"},
	// sim plays the machines for the page of the consensus.
	"chunkpaxos/sim": {"internal/vstack", "chunkpaxos", "chunkpaxos/message"},
	// wire is both HTTP contracts; the vote's codec speaks the protocol's messages.
	"internal/wire": {"internal/vstack", "chunkpaxos/message"},
	// openapi describes routes; each role that has some serves its document.
	"internal/wire/openapi": {"internal/vstack", "internal/wire"},
	// feed is the catalog as datanodes read it; the JSON form of hosts of the first release is wire's.
	"internal/feed":      {"internal/vstack", "internal/wire"},
	"internal/admission": {"internal/vstack", "internal/identity"},
	// watch is who may watch a private film: playback tokens.
	"internal/watch":      {"internal/vstack"},
	"internal/metaclient": {"internal/tracing", "internal/watch", "internal/vstack", "internal/wire", "internal/identity", "internal/network", "internal/feed"},

	"datanode/superblock": {"internal/vstack", "internal/vfs", "datanode/superblock/…"},
	"datanode": {"internal/sleep", "internal/sealed", "internal/cipherfs", "internal/tracing", "internal/watch", "internal/vstack", "internal/admission", "internal/wire", "internal/wire/openapi", "internal/feed", "internal/identity", "internal/metaclient", "internal/erasure", "internal/ops", "internal/vfs", "internal/network",
		"chunkpaxos/…", "datanode/…", "quicclient"},
	"quicclient":         {"internal/sleep", "internal/tracing", "internal/watch", "internal/vstack", "internal/network", "internal/wire", "internal/identity", "internal/metaclient", "internal/erasure", "chunkpaxos/…", "quicclient/…"},
	"quicclient/gateway": {"internal/tracing", "internal/watch", "internal/vstack", "chunkpaxos/sim", "internal/admission", "internal/wire", "internal/wire/openapi", "internal/metaclient", "internal/network", "internal/ops", "quicclient", "quicclient/gateway/…", "web"},
	// body brings chunks to viewers; files says of which chunks a virtual file is made.
	"quicclient/gateway/body":  {"internal/vstack", "quicclient"},
	"quicclient/gateway/files": {"internal/vstack", "quicclient/gateway/body", "quicclient/gateway/mp4", "quicclient/gateway/playlist"},
	// What players read of a manifest, and one file of many tracks: pure.
	"quicclient/gateway/playlist": {"internal/vstack"},
	"quicclient/gateway/mp4":      {"internal/vstack"},
	"quicclient/gateway/live":     {"internal/vstack"},
	"quicclient/gateway/cmcd":     {},
	"quicclient/gateway/steer":    {"internal/vstack"},
	"quicclient/gateway/viewer":   {},
	"quicclient/gateway/figures":  {"internal/vstack", "internal/wire"},
	"quicclient/gateway/watching": {"internal/vstack", "internal/watch", "internal/wire"},
	// What pages show: where a film lies, and what players say of themselves.
	"quicclient/gateway/doors":    {"internal/vstack", "internal/wire"},
	"quicclient/gateway/holdings": {"internal/vstack", "internal/wire"},
	"quicclient/gateway/sessions": {"internal/vstack"},
	"metastore":                   {"internal/sealed", "internal/cipherfs", "internal/tracing", "internal/watch", "internal/vstack", "internal/admission", "internal/vfs", "internal/network", "internal/wire", "internal/wire/openapi", "internal/feed", "internal/identity", "internal/ops", "metastore/…"},
	"metastore/placement":         {"internal/vstack"},
	"metastore/redundancy":        {"internal/vstack", "internal/wire", "metastore/catalog", "metastore/placement", "metastore/reconfigure"},
	// liveness is the leader's memory of what stores reported.
	"metastore/liveness": {"internal/vstack", "internal/wire", "metastore/catalog", "metastore/catalog/command", "metastore/reconfigure"},
	// reconfigure decides upon epoch changes; the metastore commits what it decides.
	"metastore/reconfigure": {"internal/vstack", "metastore/placement"},
	// standin serves in the place of a member whose log is damaged.
	"metastore/standin": {"internal/sealed", "metastore/raftnode/disk", "metastore/catalog/blobs", "metastore/catalog/form", "internal/vstack", "internal/wire", "internal/identity", "internal/network", "internal/ops"},
	"uploader":          {"internal/sleep", "internal/sealed", "internal/tracing", "internal/watch", "internal/vstack", "internal/admission", "internal/vfs", "internal/network", "internal/wire", "internal/wire/openapi", "internal/identity", "internal/metaclient", "internal/ops", "quicclient", "uploader/…"},
	// jail is how FFmpeg is confined; the doctor asks it what this machine has for that.
	"uploader/jail": {"internal/vstack"},
	"web":           {},

	"deploy/config":  {"internal/vstack"},
	"deploy/doctor":  {"internal/httpclient", "internal/vstack", "internal/identity", "deploy/config", "uploader/jail", "datanode/superblock/format", "datanode/superblock/keyfile", "deploy/datakey", "internal/vfs"},
	"deploy/datakey": {"datanode/superblock/keyfile", "deploy/config", "internal/sealed", "internal/vfs", "internal/vstack"},
	"deploy/checkup": {"internal/vstack", "internal/wire", "internal/cluster", "internal/console", "deploy/doctor"},
	"deploy/lab":     {"internal/hostcmd", "internal/httpclient", "internal/vstack", "internal/identity", "internal/metaclient", "deploy/config"},
	"deploy/systemd": {},
	"deploy/proxy":   {},
	"deploy/compose": {},
	// rolling exchanges the program of a cluster that runs; hostcmd works the hosts of others.
	"deploy/rolling":   {"internal/vstack", "internal/wire", "internal/hostcmd"},
	"internal/hostcmd": {"internal/vstack"},
	// monitoring is what Prometheus and Grafana are given.
	"deploy/monitoring":            {"internal/wire"},
	"deploy/monitoring/dashboards": {},
	"deploy/pages":                 {"internal/vstack", "chunkpaxos/message", "internal/watch", "internal/wire", "internal/network", "internal/sleep", "internal/console", "internal/cluster", "quicclient", "quicclient/policy", "quicclient/gateway", "quicclient/gateway/sessions", "quicclient/gateway/watching"},
	// host puts the roles of one process together.
	"deploy/host": {"internal/tracing", "internal/vstack", "internal/wire", "internal/identity", "internal/metaclient", "deploy/config", "deploy/datakey", "metastore", "metastore/standin", "datanode", "datanode/superblock/keyfile", "uploader",
		"uploader/jail", "quicclient", "quicclient/gateway", "quicclient/gateway/steer"},
	"deploy/demo": {"internal/vstack", "internal/wire", "internal/cluster", "internal/cluster/show", "internal/console", "deploy/config", "deploy/doctor", "deploy/lab",
		"deploy/pages", "quicclient"},
	"bench":      {"…"},
	"cmd/vstack": {"…"},
}

// never lists arrows that no row may bring back, test files included.
var never = []struct{ from, to, why string }{
	{"metastore", "chunkpaxos", "Raft remembers, ChunkPaxos decides"},
	{"metastore", "quicclient", "the metastore moves no bytes"},
	{"metastore", "datanode", "the metastore dials no datanode"},
	{"chunkpaxos", "datanode", "the protocol is pure"},
	{"chunkpaxos", "internal/wire", "the protocol is pure"},
}

func TestImportsFollowTheTable(t *testing.T) {
	used := map[string]bool{}
	for _, f := range readSource(t) {
		row := rowOf(f.dir)
		if row == "" {
			t.Errorf("%s: package %s has no row in the import table", f.path, f.dir)
			continue
		}
		used[row] = true
		for _, to := range f.imports {
			for _, n := range never {
				if within(f.dir, n.from) && within(to, n.to) {
					t.Errorf("%s imports %s: %s", f.path, to, n.why)
				}
			}
			if within(to, "cmd") && !within(f.dir, "cmd") {
				t.Errorf("%s imports %s: nobody else imports cmd", f.path, to)
			}
			// Tests may bring any package together; they are not arrows of the design.
			if !f.test && !permits(row, f.dir, to) {
				t.Errorf("%s imports %s, which %s may not; its row: %s", f.path, to, row, strings.Join(allowed[row], ", "))
			}
		}
	}
	if !used["cmd/vstack"] || !used["internal/vstack"] {
		t.Error("the table was not used: is the walk broken?")
	}
}

func TestTheTableItself(t *testing.T) {
	for name, tc := range map[string]struct {
		from, to string
		want     bool
	}{
		"a row's own entry":               {"internal/ops", "internal/wire", true},
		"a missing entry":                 {"internal/ops", "metastore", false},
		"what lies below the package":     {"uploader", "uploader/ffmpeg", true},
		"a sibling under the same row":    {"datanode/serve", "datanode/vote", true},
		"a row of its own is not widened": {"datanode/superblock", "datanode/vote", false},
		"anything from cmd":               {"cmd/vstack", "metastore", true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := permits(rowOf(tc.from), tc.from, tc.to); got != tc.want {
				t.Errorf("%s → %s: %v, want %v", tc.from, tc.to, got, tc.want)
			}
		})
	}
}

// rowOf is the longest row that dir lies within.
func rowOf(dir string) string {
	best := ""
	for row := range allowed {
		if within(dir, row) && len(row) > len(best) {
			best = row
		}
	}
	return best
}

func permits(row, from, to string) bool {
	if within(to, from) {
		return true
	}
	return slices.ContainsFunc(allowed[row], func(entry string) bool {
		if below, ok := strings.CutSuffix(entry, "…"); ok {
			return below == "" || within(to, strings.TrimSuffix(below, "/"))
		}
		return to == entry
	})
}

// within reports whether dir is top or below it.
func within(dir, top string) bool { return dir == top || strings.HasPrefix(dir, top+"/") }
