package datanode

import (
	"testing"
	"time"

	"github.com/vstack/vstack/internal/loopback"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func TestAStoreTellsWhereBrowsersRead(t *testing.T) {
	subnet := loopback.Subnet(t)
	c := newClusterOf(t, []string{"h1"}, func(cfg *Config) {
		cfg.Browsers = true
		cfg.Stores[0].Addr = subnet + ".1:8081"
	})
	c.meta.mu.Lock()
	c.meta.level = vstack.LevelPolicy
	c.meta.mu.Unlock()
	st := c.nodes[0].server.stores[0]
	var said *wire.BrowserDoor
	for end := time.Now().Add(time.Minute); said == nil; time.Sleep(5 * time.Millisecond) {
		if said = st.report().Browser; time.Now().After(end) {
			t.Fatal("it never did")
		}
	}
	if said.Addr != subnet+".1:9081" || len(said.Hashes) != 1 {
		t.Errorf("it tells %+v", said)
	}
	// Members of before level 4 refuse what they do not know.
	c.meta.mu.Lock()
	c.meta.level = vstack.LevelFragments
	c.meta.mu.Unlock()
	for end := time.Now().Add(time.Minute); st.report().Browser != nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it tells members who do not know of doors")
		}
	}
}

func TestPortsOfBrowsers(t *testing.T) {
	for addr, want := range map[string]string{
		"h1.example:8081": "h1.example:9081", "[::1]:8082": "[::1]:9082", "h1:65000": "", "h1": "", "h1:http": "",
	} {
		if got := browserAddr(addr); got != want {
			t.Errorf("%s: %q, want %q", addr, got, want)
		}
	}
}
