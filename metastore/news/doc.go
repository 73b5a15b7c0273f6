// Package news answers the feed of the catalog: by placement groups to datanodes (internal/feed),
// and with manifests, as hosts of the first release read it. It waits for changes where there
// are none.
package news
