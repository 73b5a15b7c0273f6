package catalog

import (
	"bytes"
	"io"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/command"
)

// TestAPIKeysAreOneList: what a key uploads counts, views of before keep what they had, below the
// level there are none, and a snapshot has them.
func TestAPIKeysAreOneList(t *testing.T) {
	d := placed(t)
	key := vstack.APIKey{Name: "p", ID: vstack.APIKeyID{1}, Scopes: []vstack.Scope{vstack.ScopeUpload}, Created: epoch, Films: 2}
	d.refused(vstack.ErrInvalid, command.ChangeAPIKeys, command.ChangeAPIKeysPayload{Add: &key})
	before := checksum(t, d.c)
	d.raise(vstack.LevelKeys)
	if checksum(t, d.c) == before {
		t.Error("a raise leaves the checksum as it was")
	}
	d.must(command.ChangeAPIKeys, command.ChangeAPIKeysPayload{Add: &key})
	d.must(command.ChangeAPIKeys, command.ChangeAPIKeysPayload{Add: &key}) // a repeat
	old := d.c.View()
	use := command.ChangeAPIKeysPayload{Use: &command.APIKeyUse{Name: "p", Films: 1, Bytes: 7}}
	d.must(command.ChangeAPIKeys, use)
	d.must(command.ChangeAPIKeys, use)
	d.refused(vstack.ErrQuota, command.ChangeAPIKeys, use)
	if got := d.c.View().APIKeys(); len(got) != 1 || got[0].UsedFilms != 2 || got[0].UsedBytes != 14 || old.APIKeys()[0].UsedFilms != 0 {
		t.Errorf("now %+v, before %+v", got, old.APIKeys())
	}
	another := key
	another.ID = vstack.APIKeyID{2}
	d.refused(vstack.ErrAlreadyExists, command.ChangeAPIKeys, command.ChangeAPIKeysPayload{Add: &another})
	d.refused(vstack.ErrNotFound, command.ChangeAPIKeys, command.ChangeAPIKeysPayload{Drop: "q"})
	d.refused(vstack.ErrUnauthenticated, command.ChangeAPIKeys, command.ChangeAPIKeysPayload{Use: &command.APIKeyUse{Name: "q"}})
	restored := newCatalog(t)
	if err := restored.Restore(io.NopCloser(bytes.NewReader(snapshotOf(t, d.c)))); err != nil {
		t.Fatal(err)
	}
	if checksum(t, restored) != checksum(t, d.c) || len(restored.View().APIKeys()) != 1 {
		t.Errorf("restored %+v", restored.View().APIKeys())
	}
	d.must(command.ChangeAPIKeys, command.ChangeAPIKeysPayload{Drop: "p"})
	if got := d.c.View().APIKeys(); got != nil {
		t.Errorf("left are %+v", got)
	}
}
