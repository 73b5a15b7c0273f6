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
	"internal/vstack":       {},
	"internal/vfs":          {},
	"internal/arch":         {},
	"internal/soak":         {},
	"internal/loopback":     {},
	"internal/soak/summary": {"internal/soak"},
	"internal/identity":     {"internal/vstack"},
	"internal/erasure":      {"internal/vstack"},
	"internal/console":      {"internal/vstack"},
	// cluster is the command line without its flags: it talks to every role.
	"internal/cluster": {"internal/vstack", "internal/wire", "internal/identity", "internal/metaclient", "internal/console", "deploy/config",
		"quicclient", "uploader/ffmpeg"},
	"internal/ops": {"internal/vstack", "internal/wire"},
	"chunkpaxos":   {"internal/vstack"},
	// What the protocol says, and what reads the answers of many acceptors.
	"chunkpaxos/message":     {"internal/vstack"},
	"chunkpaxos/survey":      {"internal/vstack", "chunkpaxos/message"},
	"chunkpaxos/epochchange": {"internal/vstack", "chunkpaxos/message"},
	// wire is both HTTP contracts; the vote's codec speaks the protocol's messages.
	"internal/wire":       {"internal/vstack", "chunkpaxos/message"},
	"internal/metaclient": {"internal/vstack", "internal/wire", "internal/identity"},

	"datanode/superblock": {"internal/vstack", "internal/vfs", "datanode/superblock/…"},
	"datanode": {"internal/vstack", "internal/wire", "internal/identity", "internal/metaclient", "internal/erasure", "internal/ops", "internal/vfs",
		"chunkpaxos/…", "datanode/…", "quicclient"},
	"quicclient":           {"internal/vstack", "internal/wire", "internal/identity", "internal/metaclient", "internal/erasure", "chunkpaxos/…", "quicclient/…"},
	"quicclient/gateway":   {"internal/vstack", "internal/wire", "internal/identity", "internal/metaclient", "internal/ops", "quicclient", "web"},
	"metastore":            {"internal/vstack", "internal/wire", "internal/identity", "internal/ops", "metastore/…"},
	"metastore/placement":  {"internal/vstack"},
	"metastore/redundancy": {"internal/vstack"},
	// liveness is the leader's memory of what stores reported.
	"metastore/liveness": {"internal/vstack", "internal/wire", "metastore/catalog", "metastore/reconfigure"},
	// reconfigure decides upon epoch changes; the metastore commits what it decides.
	"metastore/reconfigure": {"internal/vstack", "metastore/placement"},
	"uploader":              {"internal/vstack", "internal/wire", "internal/identity", "internal/metaclient", "internal/ops", "quicclient", "uploader/…"},
	"web":                   {},

	"deploy/config": {"internal/vstack"},
	"deploy/doctor": {"internal/vstack", "internal/identity", "deploy/config"},
	"deploy/lab":    {"internal/vstack", "internal/identity", "internal/metaclient", "deploy/config"},
	"deploy/demo": {"internal/vstack", "internal/wire", "internal/cluster", "internal/console", "deploy/config", "deploy/doctor", "deploy/lab",
		"quicclient"},
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
			if within(to, "cmd") {
				t.Errorf("%s imports %s: nobody imports cmd", f.path, to)
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
