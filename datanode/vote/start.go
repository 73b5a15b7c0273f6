package vote

import (
	"github.com/vstack/vstack/chunkpaxos"
	"github.com/vstack/vstack/datanode/catalog"
	"github.com/vstack/vstack/internal/vstack"
)

// Begin brings what the catalog's view knew when the process started, before the first page.
// The feed tells an upload's end once: of uploads that the log names and that ended before the
// view stood where it does, the view has to tell, or their votes would stay for ever.
func (v *Voter) Begin(s catalog.Start) {
	change := chunkpaxos.CatalogChange{Applied: s.Index, Uploads: s.Uploads, Groups: groupsOf(s.Placement)}
	for id := range v.logged {
		if u, known := s.Upload(id); known && u.State != vstack.UploadOpen {
			change.Uploads = append(change.Uploads, u)
		}
	}
	v.logged = nil
	v.step(change)
}

// groupsOf is a placement map as the acceptor reads it.
func groupsOf(m *vstack.PlacementMap) (groups []chunkpaxos.Group) {
	if !m.Ready() {
		return nil
	}
	for pg, g := range m.Groups {
		groups = append(groups, chunkpaxos.Group{PG: vstack.PG(pg), Epoch: g.Epoch, Attempt: g.Attempt, Acceptors: g.Acceptors()})
	}
	return groups
}
