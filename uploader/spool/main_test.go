package spool

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/vstack/vstack/internal/sealed"
)

// testKey is what the spools of tests are encrypted with; nil in the first of two runs.
var testKey *sealed.Key

// TestMain runs every test on plain spools, and then on encrypted ones.
func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if code == 0 && flag.Lookup("test.fuzz").Value.String() == "" && flag.Lookup("test.list").Value.String() == "" {
		fmt.Println("again, encrypted")
		testKey = sealed.NewKey([sealed.KeyLen]byte{1})
		code = m.Run()
	}
	os.Exit(code)
}
