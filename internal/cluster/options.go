package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/ffmpeg"
)

// MemoryDir is where uploads that are under way are remembered for --resume.
func MemoryDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "" // a person without a home: --resume then finds the upload by its bytes
	}
	return filepath.Join(dir, "vstack", "uploads")
}

// Validate refuses options before a file is sent that the uploader would refuse after.
func (opt UploadOptions) Validate() error {
	if opt.Class != "" && !slices.Contains([]vstack.ClassPolicy{vstack.PolicyAuto, vstack.PolicyHot, vstack.PolicyCold}, vstack.ClassPolicy(opt.Class)) {
		return fmt.Errorf("%w: --class %q: want auto, hot or cold", console.ErrUsage, opt.Class)
	}
	if opt.Visibility != "" {
		if v, err := vstack.ParseVisibility(opt.Visibility); err != nil {
			return fmt.Errorf("%w: --visibility %q: want public, unlisted or private", console.ErrUsage, opt.Visibility)
		} else if opt.Dedup && v != vstack.VisibilityPublic {
			return fmt.Errorf("%w: --dedup takes a video that is public, not for --visibility %s", console.ErrUsage, v)
		}
	}
	for _, r := range opt.Renditions {
		if !ffmpeg.ValidRendition(r) {
			return fmt.Errorf("%w: --renditions %q: want source, 1080p, 720p, 480p or 360p", console.ErrUsage, r)
		}
	}
	return nil
}

// HintUpload says what helps against a refusal: sending the same file again does not.
func HintUpload(err error, file string) error {
	for why, hint := range map[*vstack.Sentinel]string{
		// FFmpeg reads more than is taken, so its word about the file would mislead.
		vstack.ErrNotMedia: "vstack video upload --help", vstack.ErrNoStreams: "ffprobe " + file, vstack.ErrMediaUnfit: "ffprobe " + file,
		vstack.ErrFormInvalid: "vstack video upload --help", vstack.ErrUploadNotLive: "vstack video ls", vstack.ErrTooLarge: "a smaller file, or a larger ingest.max_upload on the hosts",
	} {
		if errors.Is(err, why) {
			return console.Hint(err, "%s", hint)
		}
	}
	return err
}
