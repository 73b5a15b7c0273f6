package uploader

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/uploader/ffmpeg"
)

// Identity is what the listener proves itself with; *identity.Identity is one.
type Identity interface {
	ServerTLS(protos ...string) *tls.Config
}

// Catalog is the part of the metastore that an uploader needs; *metaclient.Client is one.
type Catalog interface {
	OpenUpload(ctx context.Context, req wire.OpenUploadRequest) (vstack.Upload, error)
	ResumeUpload(ctx context.Context, id vstack.UploadID, req wire.ResumeUploadRequest) (vstack.Upload, error)
	Upload(ctx context.Context, id vstack.UploadID) (vstack.Upload, error)
	Publish(ctx context.Context, id vstack.UploadID, req wire.PublishRequest) (vstack.Video, error)
	AbortUpload(ctx context.Context, id vstack.UploadID, inc vstack.Incarnation) error
	Ready(ctx context.Context) error
}

// Committer gets chunks chosen; *quicclient.Client is one.
type Committer interface {
	// Commit has one slot filled with data. A slot that holds another chunk is
	// ErrSlotConflict; an upload that another process resumed is ErrFenced.
	Commit(ctx context.Context, up vstack.Upload, slot vstack.Slot, data []byte) (Committed, error)
	// Chosen returns what a majority already holds of a resumed upload.
	Chosen(ctx context.Context, up vstack.Upload) (map[vstack.Slot]vstack.Value, error)
}

// Config configures a Server. Zero values take their defaults.
type Config struct {
	// Addr is HOST:PORT to listen on. Required.
	Addr string
	// Dir is the spool's directory. Required. It holds every file from its first byte
	// until its video is published, so it wants room for the largest uploads at once.
	Dir string
	// Identity gives the listener's certificate. Required.
	Identity Identity
	// RequireCertificate refuses POST and DELETE without a client certificate of the
	// cluster. Default false: whoever reaches the port may upload.
	RequireCertificate bool
	// Catalog and Chunks are the cluster. Required.
	Catalog Catalog
	Chunks  Committer

	// FFmpeg and FFprobe are names on PATH or paths. Default "ffmpeg" and "ffprobe".
	FFmpeg, FFprobe string
	// Media bounds what is taken in.
	Media ffmpeg.Limits
	// Stall is how long ffmpeg may be silent before it counts as hung. Default 2 min.
	Stall time.Duration

	// MaxUpload bounds a file, in bytes. Default 64 GiB.
	MaxUpload int64
	// MaxReceiving bounds bodies that are being received at once; one more is answered
	// TOO_MANY_UPLOADS. Default 32.
	MaxReceiving int
	// MaxQueued bounds jobs that have not ended. Default 128.
	MaxQueued int
	// MaxJobs is how many jobs run ffmpeg at once. Default 2.
	MaxJobs int
	// InFlight is how many full chunks (2 MiB) are on their way to the stores at once,
	// over all jobs. Default 8.
	InFlight int
	// Reserve is what stays free on the spool's disk, in bytes. Default 512 MiB.
	Reserve int64
	// MinRate is the slowest body that is accepted, in bytes a second, measured over
	// RateWindow. Defaults 4 KiB and 30 s.
	MinRate    int64
	RateWindow time.Duration

	// CommitTimeout is how long one chunk is tried before the attempt ends. Default 1 min.
	CommitTimeout time.Duration
	// RetryFor is how long an interrupted job is tried again, from its start.
	// Default 24 h; then it fails and its upload is aborted.
	RetryFor time.Duration
	// RetryWait is the first pause before another attempt; it doubles up to a minute.
	// Default 2 s.
	RetryWait time.Duration

	Version wire.Version
	// Registry gets the uploader's metrics and is served at /metrics. Default a new one.
	Registry *prometheus.Registry
	// Logger defaults to slog.Default.
	Logger *slog.Logger
}

func (c *Config) withDefaults() {
	setDefault(&c.MaxUpload, 64<<30)
	setDefault(&c.MaxReceiving, 32)
	setDefault(&c.MaxQueued, 128)
	setDefault(&c.MaxJobs, 2)
	setDefault(&c.InFlight, 8)
	setDefault(&c.Reserve, 512<<20)
	setDefault(&c.MinRate, 4<<10)
	setDefault(&c.RateWindow, 30*time.Second)
	setDefault(&c.Stall, ffmpeg.DefaultStall)
	setDefault(&c.CommitTimeout, time.Minute)
	setDefault(&c.RetryFor, 24*time.Hour)
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
	case c.MaxReceiving < 1 || c.MaxQueued < 1 || c.MaxJobs < 1 || c.InFlight < 1:
		return bad("MaxReceiving, MaxQueued, MaxJobs or InFlight", "is below 1")
	case c.RateWindow < 0 || c.Stall < 0 || c.CommitTimeout < 0 || c.RetryFor < 0 || c.RetryWait < 0:
		return bad("a duration", "is negative")
	}
	return nil
}

func (c *Config) tools() ffmpeg.Tools { return ffmpeg.Tools{FFmpeg: c.FFmpeg, FFprobe: c.FFprobe} }
