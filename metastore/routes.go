package metastore

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/params"
)

// place says which member may answer a route.
type place int

const (
	anywhere place = iota // the member that was asked, by itself
	readable              // as ?consistency says: the leader unless stale
	leader                // the leader; others forward
)

// route joins a documented route to its handler.
type route struct {
	wire.Route
	place place
	// body bounds the request's body in bytes; 0 allows none.
	body   int64
	handle func(*Server, echo.Context) error
	// members says that members ask it of each other, for themselves.
	members bool
}

const (
	smallBody   = 64 << 10
	publishBody = 23 << 20 // a table of vstack.MaxManifest as base64, and the tracks beside it
	beatBody    = 1 << 20
)

// Routes lists every route of the metastore but those of internal/ops.
func Routes() []wire.Route {
	var out []wire.Route
	for _, r := range routes() {
		out = append(out, r.Route)
	}
	return out
}

func get(path, summary string, p place, heeds wire.Heed, params []wire.Param, response any, errs []*vstack.Sentinel, h func(*Server, echo.Context) error) route {
	return route{wire.Route{Method: http.MethodGet, Path: path, Summary: summary, Params: params, Response: response, Errors: errs, Heeds: heeds}, p, 0, h, false}
}

// write is a route of administrators, writeAs of others.
func write(method, path, summary string, body int64, request, response any, errs []*vstack.Sentinel, h func(*Server, echo.Context) error) route {
	return writeAs(vstack.RoleAdmin, method, path, summary, body, request, response, errs, h)
}

func writeAs(roles vstack.Roles, method, path, summary string, body int64, request, response any, errs []*vstack.Sentinel, h func(*Server, echo.Context) error) route {
	return route{wire.Route{Method: method, Path: path, Summary: summary, Params: params.RequestID(), Request: request, Response: response, Errors: errs, Roles: roles}, leader, body, h, false}
}

// routes is the single table that is served, documented and tested.
func routes() []route {
	return slices.Concat(videoRoutes(), uploadRoutes(), accessRoutes(), clusterRoutes(), redundancyRoutes(), raftRoutes())
}

// managers may change films.
const managers = vstack.RoleAdmin | vstack.RoleManage

func videoRoutes() []route {
	notFound := vstack.ErrNotFound
	return []route{
		get("/v1/videos", "List videos, newest first", readable, wire.HeedsListing,
			params.Paging(wire.Param{Name: "state", In: "query", Doc: "only videos in this state; default all but deleted"}),
			wire.List[vstack.Video]{}, params.ReadErrors(), (*Server).listVideos),
		get("/v1/videos/{id}", "Get a video", readable, wire.HeedsToken, params.Consistency(), vstack.Video{}, params.ReadErrors(notFound), (*Server).getVideo),
		get("/v1/videos/{id}/manifest", "Get the manifest of a published video, from any member", anywhere, wire.HeedsToken,
			params.Consistency(), vstack.Manifest{}, params.ReadErrors(notFound), (*Server).getManifest),
		get("/v1/videos/{id}/placement", "Say where each chunk of a published video lives and what may fail", readable, wire.HeedsToken,
			params.Consistency(), wire.VideoPlacement{}, params.ReadErrors(notFound, vstack.ErrNotReady), (*Server).getVideoPlacement),
		writeAs(managers, http.MethodPatch, "/v1/videos/{id}", "Change the title", smallBody, wire.VideoPatch{}, vstack.Video{}, params.WriteErrors(notFound), (*Server).patchVideo),
		writeAs(managers, http.MethodDelete, "/v1/videos/{id}", "Delete a video; its id is never reused", 0, nil, vstack.Video{}, params.WriteErrors(notFound), (*Server).deleteVideo),
		writeAs(managers, http.MethodPut, "/v1/videos/{id}/class", "Set the storage policy", smallBody, wire.ClassRequest{}, vstack.Video{}, params.WriteErrors(notFound, vstack.ErrClassStale, vstack.ErrTooFewTargets), (*Server).setClass),
		{wire.Route{Method: http.MethodPost, Path: "/v1/videos/{id}/views", Summary: "Count views; committed within a second", Heeds: wire.HeedsToken, Params: params.RequestID(),
			Request: wire.ViewsRequest{}, Errors: params.ReadErrors(notFound, vstack.ErrForbidden)}, anywhere, smallBody, (*Server).addViews, false},
		{wire.Route{Method: http.MethodPost, Path: "/v1/views", Summary: "Commit the views that a member counted", Params: params.RequestID(), Request: wire.ViewsBatch{},
			Errors: params.WriteErrors(), Roles: vstack.RoleMeta}, leader, beatBody, (*Server).commitViews, true},
	}
}

// writers may act for an upload; a host only for its own.
const writers = vstack.RoleIngest | vstack.RoleAdmin

func uploadRoutes() []route {
	notFound, notLive, fenced := vstack.ErrNotFound, vstack.ErrUploadNotLive, vstack.ErrFenced
	return []route{
		get("/v1/uploads", "List uploads, newest first", readable, wire.HeedsListing,
			params.Paging(wire.Param{Name: "state", In: "query", Doc: "open, published or aborted"},
				wire.Param{Name: "source_sha256", In: "query", Doc: "only uploads of the file with this hash"}),
			wire.List[vstack.Upload]{}, params.ReadErrors(), (*Server).listUploads),
		get("/v1/uploads/{id}", "Get an upload", readable, wire.HeedsListing, params.Consistency(), vstack.Upload{}, params.ReadErrors(notFound), (*Server).getUpload),
		writeAs(writers, http.MethodPost, "/v1/uploads", "Create a video and open its upload", smallBody, wire.OpenUploadRequest{}, vstack.Upload{},
			params.WriteErrors(vstack.ErrNotReady, vstack.ErrTooManyUploads), (*Server).openUpload),
		writeAs(writers, http.MethodPost, "/v1/uploads/{id}/resume", "Issue a fresh incarnation, fencing all before it", smallBody, wire.ResumeUploadRequest{}, vstack.Upload{},
			params.WriteErrors(notFound, notLive), (*Server).resumeUpload),
		writeAs(writers, http.MethodPut, "/v1/uploads/{id}/publish", "Publish the manifest; idempotent", publishBody, wire.PublishRequest{}, vstack.Video{},
			params.WriteErrors(notFound, notLive, fenced, vstack.ErrManifestInvalid), (*Server).publish),
		{wire.Route{Method: http.MethodDelete, Path: "/v1/uploads/{id}", Summary: "Abort an upload", Roles: writers, Response: vstack.Upload{},
			Params: append(params.RequestID(), wire.Param{Name: "incarnation", In: "query", Doc: "abort only if this is the current one; default whichever is"}),
			Errors: params.WriteErrors(notFound, notLive, fenced)}, leader, 0, (*Server).abortUpload, false},
	}
}

func clusterRoutes() []route {
	return []route{
		get("/v1/placement", "Get the placement map, from any member", anywhere, wire.HeedsNothing, params.Consistency()[1:], vstack.PlacementMap{}, params.ReadErrors(), (*Server).getPlacement),
		get("/v1/feed", "Get what changed, from any member, waiting for a change", anywhere, wire.HeedsCertificate,
			[]wire.Param{{Name: "since", In: "query", Doc: "index of the page before; default 0"},
				{Name: wire.HeaderLevel, In: "header", Doc: "newest feature level that the reader knows; default 1"},
				{Name: "wait", In: "query", Doc: "seconds to wait for a change, 0 to 30; default 25"},
				{Name: "Accept", In: "header", Doc: feed.ContentType + ": a binary page by groups, for datanodes; the parameters below are of that form"},
				{Name: "groups", In: "query", Doc: "placement groups whose references to send: base64url of a bit each"},
				{Name: "have", In: "query", Doc: "index through which the references of the groups are held"},
				{Name: "map", In: "query", Doc: "version of the placement map that is held; a newer one comes first"},
				{Name: "only", In: "query", Doc: "references: leave out uploads, the map and deleted videos"},
				{Name: "min_index", In: "query", Doc: "answer from no older catalog than this"}},
			wire.FeedPage{}, params.ReadErrors(vstack.ErrLevelTooOld, vstack.ErrCatalogLagging), (*Server).getFeed),
		get("/v1/nodes", "List hosts with their stores", readable, wire.HeedsNothing, params.Consistency(), wire.List[wire.Node]{}, params.ReadErrors(), (*Server).listNodes),
		get("/v1/stats", "Say the cluster in figures", leader, wire.HeedsListing, nil, wire.Stats{}, params.ReadErrors(), (*Server).getStats),
		get("/v1/nodes/{id}", "Get a host with its stores", readable, wire.HeedsNothing, params.Consistency(), wire.Node{}, params.ReadErrors(vstack.ErrNotFound), (*Server).getNode),
		{wire.Route{Method: http.MethodPost, Path: "/v1/heartbeats", Summary: "Report a host's stores, every second; registers new ones", Roles: vstack.RoleData,
			Request: wire.Heartbeat{}, Response: wire.HeartbeatReply{}, Errors: params.WriteErrors(vstack.ErrAlreadyExists)},
			leader, beatBody, (*Server).heartbeat, false},
		write(http.MethodPost, "/v1/stores/{id}/replace", "Move a store's roles to other stores", smallBody, wire.ReplaceStoreRequest{}, wire.ReplaceStoreReply{},
			params.WriteErrors(vstack.ErrNotFound, vstack.ErrNotReady), (*Server).replaceStore),
		get("/v1/stores/orders", "List stores that are cordoned or leave, and what that waits for", leader, wire.HeedsNothing, nil, wire.List[wire.StandingOrder]{}, params.ReadErrors(), (*Server).listOrders),
		write(http.MethodPost, "/v1/stores/orders", "Cordon, drain or remove stores, or take that back", smallBody, wire.OrderRequest{}, wire.OrderReply{},
			params.WriteErrors(vstack.ErrNotFound, vstack.ErrNoTaker, vstack.ErrStoreInUse), (*Server).orderStores),
		get("/v1/groups/held", "List placement groups that take no writes for want of acceptors", leader, wire.HeedsNothing, nil, wire.List[wire.HeldGroup]{}, params.ReadErrors(), (*Server).listHeld),
		write(http.MethodPost, "/v1/groups/accept-loss", "Give up the votes that groups lost, so that they take writes again", smallBody, wire.AcceptLossRequest{}, wire.AcceptLossReply{},
			params.WriteErrors(vstack.ErrEpochStale, vstack.ErrNoTaker), (*Server).acceptLoss),
		get("/v1/nodes/{id}/ok-to-stop", "Say whether a host may be stopped now", leader, wire.HeedsNothing, nil, wire.OKToStop{}, params.ReadErrors(), (*Server).okToStop),
		{wire.Route{Method: http.MethodGet, Path: "/v1/events", Summary: "List what happened, the oldest first", Roles: vstack.RoleAdmin, Response: wire.EventPage{}, Errors: params.ReadErrors(vstack.ErrUnauthenticated, vstack.ErrForbidden),
			Params: append(params.Consistency(), wire.Param{Name: "since", In: "query", Doc: "next of the page before; default 0, the oldest that is kept"},
				wire.Param{Name: "limit", In: "query", Doc: "events a page, 1 to 1,000; default 100; those of one entry come together"})}, readable, 0, (*Server).listEvents, false},
		get("/v1/balance", "Say which share of the roles each store has, and what sharing them out anew would do", leader, wire.HeedsNothing, nil, wire.BalanceReport{}, params.ReadErrors(), (*Server).getBalance),
		write(http.MethodPut, "/v1/balance", "Share the roles out anew, stop that, or hold it", smallBody, wire.BalanceRequest{}, wire.BalanceReport{}, params.WriteErrors(), (*Server).setBalance),
		{wire.Route{Method: http.MethodPost, Path: "/v1/placement/activate", Summary: "Bring prepared epochs into force", Roles: vstack.RoleData, Params: params.RequestID(),
			Request: wire.ActivateRequest{}, Response: wire.ActivateReply{}, Errors: params.WriteErrors(vstack.ErrNotReady)},
			leader, smallBody, (*Server).activateEpochs, false},
	}
}
