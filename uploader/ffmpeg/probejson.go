package ffmpeg

import (
	"context"
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/ffmpeg/media"
)

// probePackets are read, and decoded, from the start of a file.
const probePackets = "96"

// describe asks ffprobe for everything that is read of its description.
func (t Tools) describe(ctx context.Context, file string) (p media.Description, err error) {
	err = t.probeJSON(ctx, file, &p, "-show_format", "-show_streams", "-show_packets", "-show_frames", "-read_intervals", "%+#"+probePackets,
		"-show_entries", "format=format_name,duration,start_time:stream:stream_tags=language:stream_disposition=attached_pic,default,forced,timed_thumbnails"+
			":stream_side_data:packet=stream_index,pts_time,flags:frame=stream_index,interlaced_frame,pict_type"+
			":packet_side_data=:frame_side_data=:frame_tags=:packet_tags=")
	if err != nil || !p.CodedBeside() {
		return p, err
	}
	// By itself: with -show_data ffprobe dumps each packet, too, whether it is shown or not,
	// which takes longer than all the rest.
	var data media.Description
	if err := t.probeJSON(ctx, file, &data, "-show_data", "-show_streams", "-show_entries", "stream=index,extradata"); err != nil {
		return p, err
	}
	p.Add(data)
	return p, nil
}

// probeJSON runs ffprobe and reads its JSON.
func (t Tools) probeJSON(ctx context.Context, file string, into *media.Description, args ...string) error {
	out := &limited{max: maxProbe}
	err := t.runProbe(ctx, file, out, probeTimeout, append([]string{"-of", "json", "-threads", "1"}, args...)...)
	if out.over {
		return fmt.Errorf("probe: %w: description larger than %d bytes", vstack.ErrMediaUnfit, maxProbe)
	}
	if err == nil {
		err = into.Read(out.b.Bytes())
	}
	return err
}
