package placement

import (
	"flag"
	"os"
	"testing"
)

// TestMain asks for fewer cases than rapid's 100 of each property, which take a minute under
// the race detector; go test ./metastore/placement -rapid.checks 10000 asks for more.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "40"); err != nil {
		panic(err)
	}
	flag.Parse()
	os.Exit(m.Run())
}
