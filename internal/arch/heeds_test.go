package arch

import (
	"slices"
	"testing"

	"github.com/vstack/vstack/datanode"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore"
	"github.com/vstack/vstack/quicclient/gateway"
	"github.com/vstack/vstack/uploader"
)

// TestEveryRouteSaysHowItHeedsPrivateVideos: a route that anybody may ask and that says nothing
// of it was not thought about.
func TestEveryRouteSaysHowItHeedsPrivateVideos(t *testing.T) {
	for _, r := range slices.Concat(metastore.Routes(), datanode.Routes(), uploader.Routes(), gateway.Routes()) {
		switch {
		case r.Roles == 0 && r.Heeds == 0:
			t.Errorf("%s %s: anybody may ask it, and it does not say how it keeps private videos", r.Method, r.Path)
		case r.Roles != 0 && r.Heeds != 0 && r.Heeds != wire.HeedsCertificate:
			t.Errorf("%s %s: its roles see everything; what does it heed?", r.Method, r.Path)
		}
	}
}
