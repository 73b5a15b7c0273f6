package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestADocKeepsWhatItIsNotToldToChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), File)
	was := "# ours\nhost: a\nmeta:\n    # where Raft lies\n    dir: meta\n    peers: [{id: a, api: '10.0.0.1:8080'}]\nlog:\n    level: debug # loud\nunknown: 1\n"
	if err := os.WriteFile(path, []byte(was), 0o640); err != nil {
		t.Fatal(err)
	}
	d, err := ReadDoc(path)
	if err != nil {
		t.Fatal(err)
	}
	if d.Replace("10.0.0.7:8080", "x", "meta") || d.Replace("a", "x", "none") || d.Changed() {
		t.Error("it found what is not there")
	}
	if err := d.Save(path); err != nil {
		t.Fatal(err)
	}
	if body, err := os.ReadFile(path); err != nil || string(body) != was {
		t.Errorf("nothing was changed, and the file is %q, %v", body, err)
	}
	if !d.Replace("10.0.0.1:8080", "10.0.0.9:8080", "meta", "peers") {
		t.Error("an address was not found")
	}
	if err := d.Set(true, "meta", "join"); err != nil {
		t.Fatal(err)
	}
	if err := d.Set("a:1", "gateway", "addr"); err != nil {
		t.Fatal(err)
	}
	if err := d.Save(path); err != nil {
		t.Fatal(err)
	}
	want := "# ours\nhost: a\nmeta:\n    # where Raft lies\n    dir: meta\n    peers: [{id: a, api: '10.0.0.9:8080'}]\n    join: true\nlog:\n    level: debug # loud\nunknown: 1\ngateway:\n    addr: a:1\n"
	body, err := os.ReadFile(path)
	if err != nil || !cmp.Equal(string(body), want) {
		t.Errorf("%v\n%s", err, cmp.Diff(want, string(body)))
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}
