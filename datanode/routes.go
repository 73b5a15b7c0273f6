package datanode

import (
	"net/http"
	"slices"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/ops"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
	"github.com/vstack/vstack/internal/wire"
)

// Paths that internal/wire does not name.
const (
	pathChunk     = wire.PathChunks + "{sha256}"
	pathFragment  = pathChunk + "/fragments/{scheme}/{number}"
	pathSlot      = wire.PathSlots + "{video}/{track}/{seq}"
	pathInventory = "/v1/inventory"
	pathStore     = "/v1/store"
	pathScrub     = "/v1/scrub"
)

// writers may have slots filled; a host only those of its own uploads.
const writers = vstack.RoleIngest | vstack.RoleAdmin

// Routes is everything that a store's port answers.
func Routes() []wire.Route {
	refusals := []*vstack.Sentinel{
		vstack.ErrInvalid, vstack.ErrUnauthenticated, vstack.ErrForbidden, vstack.ErrUnavailable, vstack.ErrClosed,
		vstack.ErrUploadNotLive, vstack.ErrBallotStale, vstack.ErrBallotReused, vstack.ErrSlotConflict,
		vstack.ErrEpochStale, vstack.ErrNotAcceptor, vstack.ErrNotOwner, vstack.ErrAmnesic, vstack.ErrFenced,
		vstack.ErrCatalogLagging, vstack.ErrDiskFull,
	}
	puts := append([]*vstack.Sentinel{vstack.ErrTooLarge, vstack.ErrTruncated, vstack.ErrHashMismatch, vstack.ErrTimeout}, refusals...)
	reads := []*vstack.Sentinel{vstack.ErrInvalid, vstack.ErrNotFound, vstack.ErrRangeInvalid, vstack.ErrCorrupt, vstack.ErrUnavailable, vstack.ErrViewStale}
	header := func(name, doc string, required bool) wire.Param {
		return wire.Param{Name: name, In: "header", Doc: doc, Required: required}
	}
	readParams := []wire.Param{
		header("Range", "one range of bytes; several are answered with the whole chunk", false),
		header("If-Range", "the chunk's ETag", false), header("If-None-Match", "ETags", false),
		header(wire.HeaderLeaves, "?: answer with the chunk's leaf table", false),
		header(watch.Header, "playback token of a private film; or the parameter t, or /t/TOKEN before the path", false),
		{Name: watch.Query, In: "query", Doc: "playback token of a private film"},
		{Name: "leaves", In: "query", Doc: "fresh: with one that is made of the bytes now"},
	}
	fragmentParams := slices.Clone(readParams)
	readParams = append(readParams, header(wire.HeaderFragments, "?: do not join fragments, answer 404 with those that are here", false))
	putParams := []wire.Param{
		header(wire.HeaderSlot, "VIDEO/TRACK/SEQ", true), header(wire.HeaderBallot, "INCARNATION.ROUND.PROPOSER", true),
		header(wire.HeaderEpoch, "of the placement group", true), header(wire.HeaderUpload, "upload id", true),
		header(wire.HeaderUploadIndex, "catalog index of the upload's incarnation", true),
		header(wire.HeaderSize, "bytes, where Content-Length is missing", false),
		header(wire.HeaderLeaves, "leaf table of the chunk, base64; kept as it is from feature level 2 on", false),
		header(wire.HeaderEcho, "highest LSN seen acknowledged by this store", false),
	}
	routes := []wire.Route{
		{Method: http.MethodGet, Path: pathChunk, Heeds: wire.HeedsToken, Summary: "Read a chunk or one range of it", Params: readParams, Response: []byte(nil), Errors: reads},
		{Method: http.MethodHead, Path: pathChunk, Heeds: wire.HeedsToken, Summary: "Size and ETag of a chunk", Params: readParams, Errors: reads},
		{Method: http.MethodGet, Path: pathFragment, Heeds: wire.HeedsToken, Summary: "Read a fragment of a chunk in a scheme K+M, from what this store holds alone", Params: fragmentParams, Response: []byte(nil), Errors: reads},
		{Method: http.MethodHead, Path: pathFragment, Heeds: wire.HeedsToken, Summary: "Size and ETag of a fragment", Params: fragmentParams, Errors: reads},
		{Method: http.MethodPut, Path: pathChunk, Summary: "Accept a chunk's bytes and vote for them in its slot", Params: putParams, Request: []byte(nil), Errors: puts, Roles: writers},
		{Method: http.MethodPost, Path: wire.PathPrepare, Summary: "Prepare a slot, or with upload and no slot all slots of an upload", Request: wire.PaxosRequest{}, Response: message.Promise{}, Errors: refusals, Roles: writers},
		{Method: http.MethodPost, Path: wire.PathAccept, Summary: "Accept a value whose bytes are here or at a peer", Request: wire.PaxosRequest{}, Errors: append(refusals, vstack.ErrBytesMissing), Roles: writers},
		{Method: http.MethodPost, Path: wire.PathSeal, Summary: "Freeze a placement group's epoch", Request: wire.PaxosRequest{}, Response: message.Sealed{}, Errors: refusals, Roles: vstack.RoleData},
		{Method: http.MethodPost, Path: wire.PathInstall, Summary: "Stage the values of a sealed epoch", Request: wire.PaxosRequest{}, Response: message.Installed{}, Errors: refusals, Roles: vstack.RoleData},
		{Method: http.MethodGet, Path: pathSlot, Heeds: wire.HeedsCertificate, Summary: "What this store holds for a slot of an unpublished upload", Response: message.SlotState{}, Errors: refusals},
		{Method: http.MethodGet, Path: wire.PathMessages, Summary: "Messages of ChunkPaxos that come here and what is answered, as they come, of a sample of slots", Params: []wire.Param{
			{Name: "after", In: "query", Doc: "next of the page before; without, what comes from now on"}, {Name: "wait", In: "query", Doc: "seconds to wait for something, at most and by default 2"},
			{Name: "one_in", In: "query", Doc: "hear one slot in so many, 1 to 65536, default 1; for all who listen to this store"},
		}, Response: wire.HeardPage{}, Errors: []*vstack.Sentinel{vstack.ErrInvalid, vstack.ErrUnauthenticated, vstack.ErrForbidden}, Roles: vstack.RoleAdmin},
		{Method: http.MethodGet, Path: pathInventory, Heeds: wire.HeedsCertificate, Summary: "Stored chunks, ordered by name", Params: []wire.Param{
			{Name: "cursor", In: "query", Doc: "next of the page before"}, {Name: "limit", In: "query", Doc: "1 to 4096, default 1000"},
			{Name: "fragments", In: "query", Doc: "true: fragments of chunks, too"},
		}, Response: wire.InventoryPage{}, Errors: []*vstack.Sentinel{vstack.ErrInvalid, vstack.ErrUnauthenticated, vstack.ErrForbidden}},
		{Method: http.MethodGet, Path: pathStore, Heeds: wire.HeedsNothing, Summary: "Space, latency, votes and scrub of this store", Response: wire.StoreStatus{}},
		{Method: http.MethodDelete, Path: pathScrub, Summary: "End the running scrub", Response: wire.ScrubStatus{},
			Errors: []*vstack.Sentinel{vstack.ErrUnauthenticated, vstack.ErrForbidden}, Roles: vstack.RoleAdmin},
		{Method: http.MethodPost, Path: pathScrub, Summary: "Check every stored byte now", Request: wire.ScrubRequest{}, Response: wire.ScrubStatus{},
			Errors: []*vstack.Sentinel{vstack.ErrInvalid, vstack.ErrAlreadyExists, vstack.ErrUnauthenticated, vstack.ErrForbidden}, Roles: vstack.RoleAdmin},
	}
	return append(routes, ops.Routes()...)
}

// chunk and fragment read for who may.
func (st *store) chunk() http.Handler { return st.server.guard.watched(st.reader.Refuse, st.reader) }
func (st *store) fragment() http.Handler {
	return st.server.guard.watched(st.reader.Refuse, http.HandlerFunc(st.reader.ServeFragment))
}

// handlers gives every route its handler.
func (st *store) handlers() map[string]http.Handler {
	h := map[string]http.Handler{
		method("GET", pathChunk):         st.chunk(),
		method("HEAD", pathChunk):        st.chunk(),
		method("GET", pathFragment):      st.fragment(),
		method("HEAD", pathFragment):     st.fragment(),
		method("PUT", pathChunk):         st.voter,
		method("POST", wire.PathPrepare): st.voter,
		method("POST", wire.PathAccept):  st.voter,
		method("POST", wire.PathSeal):    st.voter,
		method("POST", wire.PathInstall): st.voter,
		method("GET", pathSlot):          st.server.guard.kept(st.voter),
		method("GET", wire.PathMessages): st.tap,
		method("GET", pathInventory):     st.server.guard.kept(http.HandlerFunc(st.serveInventory)),
		method("GET", pathStore):         http.HandlerFunc(st.serveStore),
		method("POST", pathScrub):        http.HandlerFunc(st.serveScrub),
		method("DELETE", pathScrub):      http.HandlerFunc(st.serveScrubStop),
	}
	s := st.server
	operations := ops.Handler(ops.Config{Version: s.cfg.Version, Registry: s.cfg.Registry, Ready: s.ready, OpenAPI: s.openAPI})
	for _, r := range ops.Routes() {
		h[method(r.Method, r.Path)] = operations
	}
	return h
}
