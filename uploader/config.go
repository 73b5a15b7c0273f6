package uploader

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/network"
	"github.com/vstack/vstack/internal/sealed"
	"github.com/vstack/vstack/internal/tracing"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/uploader/ffmpeg"
	"github.com/vstack/vstack/uploader/jail"
	"github.com/vstack/vstack/uploader/send"
	"github.com/vstack/vstack/uploader/source"
)

// Identity is what the listener proves itself with; *identity.Identity is one.
type Identity interface {
	ServerTLS(protos ...string) *tls.Config
	// Guard keeps those out whose certificate was revoked.
	Guard(next http.Handler, refuse func(http.ResponseWriter, error)) http.Handler
}

// Catalog is the part of the metastore that an uploader needs; *metaclient.Client is one.
type Catalog interface {
	OpenUpload(ctx context.Context, req wire.OpenUploadRequest) (vstack.Upload, error)
	ResumeUpload(ctx context.Context, id vstack.UploadID, req wire.ResumeUploadRequest) (vstack.Upload, error)
	Upload(ctx context.Context, id vstack.UploadID) (vstack.Upload, error)
	Uploads(ctx context.Context, f metaclient.UploadFilter) ([]vstack.Upload, error)
	Video(ctx context.Context, id vstack.VideoID) (vstack.Video, error)
	Publish(ctx context.Context, id vstack.UploadID, req wire.PublishRequest) (vstack.Video, error)
	AbortUpload(ctx context.Context, id vstack.UploadID, inc vstack.Incarnation) error
	Ready(ctx context.Context) error
	UseTicket(ctx context.Context, id vstack.TicketID, req wire.UseTicketRequest) error
	UseAPIKey(ctx context.Context, req wire.UseAPIKeyRequest) (vstack.APIKey, error)
}

// Committer gets chunks chosen; *quicclient.Client is one.
type Committer interface {
	send.Committer
	// Chosen returns what a majority already holds of a resumed upload.
	Chosen(ctx context.Context, up vstack.Upload) (map[vstack.Slot]vstack.Value, error)
	// Forget ends an incarnation, of which neither is called again.
	Forget(up vstack.Upload)
}

// Config configures a Server. Zero values take their defaults.
type Config struct {
	// Addr is HOST:PORT to listen on. Required.
	Addr string
	// Host owns the uploads. Default: they are any uploader's.
	Host vstack.HostID
	// Dir is the spool's directory. Required. It holds every file from its first byte
	// until its video is published, so it wants room for the largest uploads at once.
	Dir string
	// Key encrypts all of it; nil for a spool that is not encrypted.
	Key *sealed.Key
	// Identity gives the listener's certificate. Required.
	Identity Identity
	// Network opens the listener. Default: the operating system.
	Network network.Network
	// Open lets everybody upload who reaches the port. Default: administrators, who is on
	// this machine, and who has a ticket; see package access.
	Open bool
	// Catalog and Chunks are the cluster. Required.
	Catalog Catalog
	Chunks  Committer

	// FFmpeg and FFprobe are names on PATH or paths. Default "ffmpeg" and "ffprobe".
	FFmpeg, FFprobe string
	// Jail confines FFmpeg's processes; without a helper they have resource limits only.
	Jail jail.Jail
	// Bounds are what such a process may use. Default 3 GiB of memory, time by the length
	// of the film.
	Bounds jail.Bounds
	// Media bounds what is taken in.
	Media ffmpeg.Limits
	// Stall is how long ffmpeg may be silent before it counts as hung. Default 2 min.
	Stall time.Duration

	// MaxUpload bounds a file, in bytes. Default 64 GiB.
	MaxUpload int64
	// KeepParts is how long a resumable upload waits for more bytes, and MaxParts bounds how
	// many do. Defaults 24 h and 256.
	KeepParts time.Duration
	MaxParts  int
	// MaxReceiving bounds bodies that are being received at once; one more is answered
	// TOO_MANY_UPLOADS. Default 32.
	MaxReceiving int
	// MaxQueued bounds jobs that have not ended. Default 128.
	MaxQueued int
	// MaxJobs is how many jobs run ffmpeg at once, and how many more do on files that still
	// arrive. Default 2.
	MaxJobs int
	// EarlyFrom is how much of a file is awaited before it is cut while the rest arrives, in
	// bytes. Default 4 MiB; what is negative has all files cut when they are whole.
	EarlyFrom int64
	// InFlight is how many full chunks (2 MiB) are on their way to the stores at once,
	// over all jobs. Default 8.
	InFlight int
	// Reserve is what stays free on the spool's disk, in bytes. Default 512 MiB.
	Reserve int64
	// MinRate is the slowest body that is accepted, in bytes a second, measured over
	// RateWindow. Defaults 4 KiB and 30 s.
	MinRate    int64
	RateWindow time.Duration

	// CommitTimeout is how long one chunk, or the publish, is tried before the attempt
	// ends. Meanwhile the cut stands still. Default 15 min.
	CommitTimeout time.Duration
	// RetryFor is how long an interrupted job is tried again, from its start.
	// Default 7 days; then it fails and its upload is aborted.
	RetryFor time.Duration
	// RetryWait is the first pause before another attempt; it doubles up to a minute.
	// Default 2 s.
	RetryWait time.Duration

	Version wire.Version
	// Registry gets the uploader's metrics and is served at /metrics. Default a new one.
	Registry *prometheus.Registry
	// Tracer makes spans of requests and jobs; nil makes none.
	Tracer *tracing.Tracer
	// Logger defaults to slog.Default.
	Logger *slog.Logger
}

func (c *Config) withDefaults() {
	c.Network = network.Or(c.Network, network.OS{})
	setDefault(&c.MaxUpload, 64<<30)
	setDefault(&c.MaxReceiving, 32)
	setDefault(&c.KeepParts, 24*time.Hour)
	setDefault(&c.MaxParts, 256)
	setDefault(&c.MaxQueued, 128)
	setDefault(&c.MaxJobs, 2)
	setDefault(&c.InFlight, 8)
	setDefault(&c.EarlyFrom, 4<<20)
	setDefault(&c.Reserve, 512<<20)
	setDefault(&c.MinRate, 4<<10)
	setDefault(&c.RateWindow, 30*time.Second)
	setDefault(&c.Stall, ffmpeg.DefaultStall)
	setDefault(&c.CommitTimeout, 15*time.Minute)
	setDefault(&c.RetryFor, 7*24*time.Hour)
	setDefault(&c.RetryWait, 2*time.Second)
	if c.Registry == nil {
		c.Registry = prometheus.NewRegistry()
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Validate reports the first field that cannot work.
func (c *Config) Validate() error {
	bad := func(field, why string) error {
		return fmt.Errorf("uploader config: %w: %s %s", vstack.ErrInvalid, field, why)
	}
	switch {
	case c.Addr == "":
		return bad("Addr", "is missing")
	case c.Dir == "":
		return bad("Dir", "is missing")
	case c.Identity == nil:
		return bad("Identity", "is missing")
	case c.Catalog == nil:
		return bad("Catalog", "is missing")
	case c.Chunks == nil:
		return bad("Chunks", "is missing")
	case c.MaxUpload < 0 || c.Reserve < 0 || c.MinRate < 0:
		return bad("MaxUpload, Reserve or MinRate", "is negative")
	case c.MaxReceiving < 1 || c.MaxParts < 1 || c.MaxQueued < 1 || c.MaxJobs < 1 || c.InFlight < 1:
		return bad("MaxReceiving, MaxParts, MaxQueued, MaxJobs or InFlight", "is below 1")
	case c.RateWindow < 0 || c.Stall < 0 || c.CommitTimeout < 0 || c.RetryFor < 0 || c.RetryWait < 0 || c.KeepParts < 0:
		return bad("a duration", "is negative")
	}
	return nil
}

func (c *Config) tools() ffmpeg.Tools {
	return ffmpeg.Tools{FFmpeg: c.FFmpeg, FFprobe: c.FFprobe, Jail: c.Jail, Bounds: c.Bounds, Vault: source.Vault{Key: c.Key}}
}
