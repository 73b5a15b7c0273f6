package wire

import (
	"maps"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
)

// Param is one parameter of a route.
type Param struct {
	Name     string
	In       string // "path", "query" or "header"
	Doc      string
	Required bool // path parameters always are
}

// Route describes one endpoint. A role's Routes() is the one list that its server,
// its OpenAPI document and its tests share.
type Route struct {
	Method  string
	Path    string // "/v1/videos/{id}"
	Summary string
	Params  []Param // path parameters that are not listed are added
	// Request and Response are values of the JSON bodies' types; nil for none, []byte
	// for raw bytes, string for text.
	Request, Response any
	// Errors are the problems that the route answers with, beyond INTERNAL.
	Errors []*vstack.Sentinel
	// Roles are those that may, each alone; none: anybody, without a certificate.
	Roles vstack.Roles
	// Heeds says how the route keeps private videos; required where there are no Roles.
	Heeds Heed
}

// Heed is how a route that anybody may ask keeps private videos from who may not watch them.
type Heed int

const (
	_ Heed = iota
	// HeedsNothing says that no answer depends on any video.
	HeedsNothing
	// HeedsToken answers about a private video with a token for it, and else as if there was none.
	HeedsToken
	// HeedsListing leaves out what is not public.
	HeedsListing
	// HeedsCertificate answers hosts and administrators alone while a video may be private.
	HeedsCertificate
	// HeedsKnowing answers who has a random name that only whoever uploads was told: of a job, or of a part.
	HeedsKnowing
)

// Methods returns "METHOD /path" of every route, sorted: what a role's test compares
// with what its server answers.
func Methods(routes []Route) []string {
	set := map[string]bool{}
	for _, r := range routes {
		set[r.Method+" "+r.Path] = true
	}
	return slices.Sorted(maps.Keys(set))
}
