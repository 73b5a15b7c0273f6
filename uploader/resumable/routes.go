package resumable

import (
	"net/http"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Routes lists what a Handler serves.
func Routes() []wire.Route {
	id := wire.Param{Name: "id", In: "path", Doc: "the part's random name, as Location had it", Required: true}
	head := func(name, doc string) wire.Param { return wire.Param{Name: name, In: "header", Doc: doc} }
	version := head("Tus-Resumable", "1.0.0")
	accepted := []*vstack.Sentinel{
		vstack.ErrNotMedia, vstack.ErrNoStreams, vstack.ErrMediaUnfit, vstack.ErrTruncated, vstack.ErrTooManyUploads, vstack.ErrDiskFull,
		vstack.ErrNotReady, vstack.ErrNoLeader, vstack.ErrUploadNotLive, vstack.ErrUnavailable, vstack.ErrTimeout,
	}
	create := []*vstack.Sentinel{
		vstack.ErrFormInvalid, vstack.ErrInvalid, vstack.ErrTooLarge, vstack.ErrDiskFull, vstack.ErrTooManyUploads, vstack.ErrNotFound,
		vstack.ErrUploadNotLive, vstack.ErrTusVersion, vstack.ErrUnauthenticated,
	}
	var all []wire.Route
	for _, base := range Paths {
		all = append(all,
			wire.Route{Method: http.MethodOptions, Path: base, Heeds: wire.HeedsListing, Summary: "What is spoken here of the tus protocol"},
			wire.Route{Method: http.MethodPost, Path: base, Heeds: wire.HeedsListing, Summary: "Create a resumable upload (tus 1.0); Location is its URL",
				Params: []wire.Param{version, head("Upload-Length", "bytes of the file"), head("Upload-Metadata", "filename and the fields of POST /upload, each name with its value in base64")},
				Errors: create},
			wire.Route{Method: http.MethodPatch, Path: base + "/{id}", Heeds: wire.HeedsKnowing, Summary: "Send more bytes; the last ones make it an upload with a job",
				Params: []wire.Param{id, version, head("Upload-Offset", "bytes that are there")}, Request: []byte(nil),
				Errors: append([]*vstack.Sentinel{vstack.ErrNotFound, vstack.ErrOffset, vstack.ErrInvalid, vstack.ErrTusVersion, vstack.ErrTooLarge}, accepted...)},
			wire.Route{Method: http.MethodHead, Path: base + "/{id}", Heeds: wire.HeedsKnowing, Summary: "How far a resumable upload is, and what it became, in headers",
				Params: []wire.Param{id}, Errors: append([]*vstack.Sentinel{vstack.ErrNotFound}, accepted...)},
			wire.Route{Method: http.MethodGet, Path: base + "/{id}", Heeds: wire.HeedsKnowing, Summary: "The same as JSON", Response: wire.Incoming{},
				Params: []wire.Param{id}, Errors: append([]*vstack.Sentinel{vstack.ErrNotFound}, accepted...)},
			wire.Route{Method: http.MethodDelete, Path: base + "/{id}", Heeds: wire.HeedsKnowing, Summary: "Give a resumable upload up",
				Params: []wire.Param{id, version}, Errors: []*vstack.Sentinel{vstack.ErrNotFound, vstack.ErrAlreadyExists, vstack.ErrTusVersion, vstack.ErrUnauthenticated}},
		)
	}
	return all
}
