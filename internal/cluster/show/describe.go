package show

import (
	"fmt"
	"strings"

	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
)

// TrackText tells a track in one line: kind, codec, and what is known of the rest.
func TrackText(t vstack.Track) string {
	parts := []string{string(t.Kind), t.Codec}
	if t.Name != "" {
		parts = append(parts, t.Name)
	}
	if t.Width > 0 {
		parts = append(parts, fmt.Sprintf("%dx%d", t.Width, t.Height))
	}
	if t.FrameRate > 0 {
		parts = append(parts, fmt.Sprintf("%.4g fps", t.FrameRate))
	}
	if t.SampleRate > 0 {
		parts = append(parts, fmt.Sprintf("%d Hz × %d", t.SampleRate, t.Channels))
	}
	if t.Bitrate > 0 {
		parts = append(parts, fmt.Sprintf("%.2f Mbit/s", float64(t.Bitrate)/1e6))
	}
	if t.Kind != vstack.TrackOriginal {
		if t.Copied {
			parts = append(parts, "copied")
		} else {
			parts = append(parts, "transcoded")
		}
	}
	return strings.Join(parts, ", ")
}

// Shares are store, bar and bytes, for every store that delivered to a playback.
func Shares(r quicclient.Report) [][3]string {
	var most int64 = 1
	for _, s := range r.Stores {
		most = max(most, s.Bytes)
	}
	var out [][3]string
	for _, s := range r.Stores {
		out = append(out, [3]string{
			fmt.Sprintf("%s %s", s.Host, s.Addr),
			console.Bar(float64(s.Bytes)/float64(most), 24),
			fmt.Sprintf("%s in %s", console.Bytes(s.Bytes), console.Count(s.Chunks, "chunk")),
		})
	}
	return out
}
