package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/vstack"
)

func TestACopiedDirectoryIsNamed(t *testing.T) {
	h := &config.Server{}
	dir := t.TempDir()
	for i, identity := range [][]byte{
		format.EncodeIdentity(vstack.StoreID{1}, format.Newest), nil,
		format.EncodeIdentity(vstack.StoreID{1}, format.Newest), []byte("no identity"),
	} {
		st := config.Store{Dir: filepath.Join(dir, string('1'+rune(i))), Addr: "h:808" + string('1'+rune(i))}
		h.Data.Stores = append(h.Data.Stores, st)
		if identity == nil {
			continue // a new one
		}
		if err := os.MkdirAll(st.Dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(st.Dir, "STORE"), identity, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := copies(h)
	if len(got) != 2 || got[0].Check != "store h:8083" || got[0].State != Fail || !strings.Contains(got[0].Detail, "is a copy of "+filepath.Join(dir, "1")) ||
		got[1].Check != "store h:8084" || got[1].State != Fail {
		t.Errorf("got %+v", got)
	}
}
