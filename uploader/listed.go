package uploader

import (
	"net/http"
	"slices"

	"github.com/vstack/vstack/internal/ops"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/uploader/resumable"
)

// Routes lists what an uploader serves. The form of POST /upload is multipart/form-data:
// title, renditions, class, keep_original, visibility, dedup and resume, and the file, video, in any order.
func Routes() []wire.Route {
	upload := wire.Route{
		Method: http.MethodPost, Path: "/v1/upload", Heeds: wire.HeedsListing, Request: []byte(nil), Response: wire.Accepted{},
		Summary: "Upload a video: multipart/form-data with the fields title, renditions, class, keep_original, visibility, resume and the file video, in any order",
		Errors: []*vstack.Sentinel{
			vstack.ErrFormInvalid, vstack.ErrTruncated, vstack.ErrTooLarge, vstack.ErrDiskFull, vstack.ErrTooManyUploads,
			vstack.ErrNotMedia, vstack.ErrNoStreams, vstack.ErrMediaUnfit, vstack.ErrNotReady, vstack.ErrNoLeader,
			vstack.ErrNotFound, vstack.ErrUploadNotLive, vstack.ErrInvalid, vstack.ErrUnauthenticated, vstack.ErrTimeout,
		},
	}
	short := upload
	short.Path = "/upload"
	id := wire.Param{Name: "id", In: "path", Doc: "the upload's id", Required: true}
	return slices.Concat([]wire.Route{
		short, upload,
		{Method: http.MethodPost, Path: "/v1/subtitles", Heeds: wire.HeedsNothing, Summary: "Keep subtitles for the upload that will name them: SubRip, WebVTT, SSA, ASS or TTML", Request: []byte(nil), Response: wire.Subtitles{},
			Errors: []*vstack.Sentinel{vstack.ErrFormInvalid, vstack.ErrTruncated, vstack.ErrTooLarge, vstack.ErrDiskFull, vstack.ErrTooManyUploads, vstack.ErrUnauthenticated}},
		{Method: http.MethodGet, Path: "/v1/jobs", Heeds: wire.HeedsListing, Summary: "Jobs of this uploader, newest first", Response: wire.List[wire.Job]{}},
		{Method: http.MethodGet, Path: "/v1/jobs/{id}", Heeds: wire.HeedsKnowing, Summary: "One job; with Accept: text/event-stream its progress as server-sent events", Response: wire.Job{},
			Params: []wire.Param{id, {Name: "wait", In: "query", Doc: "answer when the job has ended, at the latest after this many seconds (at most 60)"}},
			Errors: []*vstack.Sentinel{vstack.ErrNotFound, vstack.ErrInvalid}},
		{Method: http.MethodDelete, Path: "/v1/jobs/{id}", Heeds: wire.HeedsKnowing, Summary: "Cancel a job and abort its upload", Response: wire.Job{},
			Params: []wire.Param{id}, Errors: []*vstack.Sentinel{vstack.ErrNotFound, vstack.ErrInvalid, vstack.ErrUnauthenticated}},
	}, resumable.Routes(), ops.Routes())
}
