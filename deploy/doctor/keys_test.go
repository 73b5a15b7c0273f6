package doctor

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/datanode/superblock/keyfile"
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/deploy/datakey"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

func TestAStoreWithoutItsKeyIsNamed(t *testing.T) {
	dir := t.TempDir()
	h := &config.Server{TLS: filepath.Join(dir, "tls")}
	if err := os.Mkdir(h.TLS, 0o700); err != nil {
		t.Fatal(err)
	}
	identity := filepath.Join(h.TLS, config.IdentityFile)
	keys := keyfile.New(keyfile.Wrapping{Identity: identity, MakeIdentity: true})
	for i := range byte(3) { // the last one is plain
		id := vstack.StoreID{i + 1}
		st := config.Store{Dir: filepath.Join(dir, string('1'+rune(i))), Addr: "h:808" + string('1'+rune(i))}
		h.Data.Stores = append(h.Data.Stores, st)
		if err := os.Mkdir(st.Dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(st.Dir, "STORE"), format.EncodeIdentity(id, format.Newest), 0o600); err != nil {
			t.Fatal(err)
		}
		if i == 2 {
			continue
		}
		if _, err := keys.Make(vfs.OS{}, st.Dir, id, rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	h.Roles, h.Meta.Dir = []string{config.RoleMeta}, filepath.Join(dir, "meta")
	if _, err := datakey.Meta(h).Key(keys, true); err != nil {
		t.Fatal(err)
	}
	if got := dataKeys(h); len(got) != 0 {
		t.Errorf("keys that open: %+v", got)
	}
	if err := os.Rename(identity, identity+".away"); err != nil {
		t.Fatal(err)
	}
	got := dataKeys(h)
	if len(got) != 3 || got[0].Check != "role meta" || got[0].State != Fail || !strings.Contains(got[0].Fix, identity) || !strings.Contains(got[0].Detail, "key.age") {
		t.Errorf("without the identity: %+v", got)
	}
	h.Data.Key.WrapCommand = []string{"false"}
	if got := dataKeys(h); len(got) != 0 {
		t.Errorf("a command is asked: %+v", got)
	}
}
