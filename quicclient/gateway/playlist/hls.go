package playlist

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
)

// Pathway is one of the gateways that serve a film, under the name that content steering
// has for it; Base is the film's address there, "https://HOST/play/VIDEO/".
type Pathway struct{ Name, Base string }

// steeringURI is where the order of pathways is asked for, relative to /play/{video}/.
const steeringURI = "steering"

// Master is the HLS multivariant playlist, version 7 (RFC 8216). Its addresses are
// relative to /play/{video}/. With more than one pathway players are steered; the first
// is the one that is asked.
func (f *Film) Master(paths ...Pathway) string {
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:7\n")
	if f.independent() {
		b.WriteString("#EXT-X-INDEPENDENT-SEGMENTS\n")
	}
	if len(paths) > 1 {
		fmt.Fprintf(&b, "#EXT-X-CONTENT-STEERING:SERVER-URI=%q,PATHWAY-ID=%q\n", steeringURI, paths[0].Name)
	}
	for _, way := range f.ways(paths) {
		f.renditions(&b, way)
	}
	for _, t := range f.Video {
		if peak := t.keyPeak(); peak > 0 {
			fmt.Fprintf(&b, "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=%d,CODECS=%q%s,URI=\"%d/iframes.m3u8\"\n", peak, t.codecString(), resolution(t), t.Number)
		}
	}
	return b.String()
}

// way is how one pathway's addresses and groups are written: each has all renditions, for no
// two players understand the same of an order that would make them out of the first's.
type way struct{ base, suffix, attr string }

func (f *Film) ways(paths []Pathway) []way {
	out := []way{{}}
	if len(paths) > 1 {
		out[0].attr = fmt.Sprintf(",PATHWAY-ID=%q", paths[0].Name)
		for _, p := range paths[1:] {
			out = append(out, way{base: p.Base, suffix: "@" + p.Name, attr: fmt.Sprintf(",PATHWAY-ID=%q", p.Name)})
		}
	}
	return out
}

// renditions writes what can be had by one pathway.
func (f *Film) renditions(b *strings.Builder, w way) {
	groups := f.audioGroups()
	for _, g := range groups {
		for i, t := range g.tracks {
			fmt.Fprintf(b, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=%q,NAME=%q", g.id+w.suffix, g.names[i])
			if t.Language != "" {
				fmt.Fprintf(b, ",LANGUAGE=%q", t.Language)
			}
			fmt.Fprintf(b, ",DEFAULT=%s,AUTOSELECT=YES", yesNo(i == 0))
			if t.Channels > 0 {
				fmt.Fprintf(b, ",CHANNELS=\"%d\"", t.Channels)
			}
			fmt.Fprintf(b, ",URI=\"%s%d/index.m3u8\"\n", w.base, t.Number)
		}
	}
	f.subtitles(b, w)
	if len(f.Video) == 0 {
		for _, t := range f.Audio {
			f.variant(b, t, nil, w)
		}
	}
	for _, t := range f.Video {
		if len(groups) == 0 {
			f.variant(b, t, nil, w)
		}
		for i := range groups {
			f.variant(b, t, &groups[i], w)
		}
	}
}

// variant writes one EXT-X-STREAM-INF: a rendition with one group of sound.
func (f *Film) variant(b *strings.Builder, t Track, g *audioGroup, w way) {
	peak, mean, codecs, audio := t.Peak, t.Mean, t.codecString(), ""
	if g != nil {
		var p, m int64
		for _, a := range g.tracks {
			p, m = max(p, a.Peak), max(m, a.Mean)
		}
		peak, mean = peak+p, mean+m
		codecs += "," + g.tracks[0].codecString()
		audio = fmt.Sprintf(",AUDIO=%q", g.id+w.suffix)
	}
	fmt.Fprintf(b, "#EXT-X-STREAM-INF:BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d,CODECS=%q%s", peak, mean, codecs, resolution(t))
	if t.FrameRate > 0 {
		fmt.Fprintf(b, ",FRAME-RATE=%.3f", t.FrameRate)
	}
	if len(f.Text) > 0 {
		audio += fmt.Sprintf(",SUBTITLES=%q", textGroup+w.suffix)
	}
	fmt.Fprintf(b, "%s%s\n%s%d/index.m3u8\n", audio, w.attr, w.base, t.Number)
}

// textGroup is the id of the group that all subtitles are in.
const textGroup = "text"

// subtitles writes the renditions of text. None is shown unless the viewer chooses, or it
// is a forced one of the language that is heard.
func (f *Film) subtitles(b *strings.Builder, w way) {
	var names []string
	for _, t := range f.Text {
		name := t.label()
		if slices.Contains(names, name) {
			name = fmt.Sprintf("%s (%d)", name, t.Number)
		}
		names = append(names, name)
		fmt.Fprintf(b, "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=%q,NAME=%q", textGroup+w.suffix, name)
		if t.Language != "" {
			fmt.Fprintf(b, ",LANGUAGE=%q", t.Language)
		}
		fmt.Fprintf(b, ",DEFAULT=NO,AUTOSELECT=YES,FORCED=%s,URI=\"%s%d/index.m3u8\"\n", yesNo(t.Forced), w.base, t.Number)
	}
}

// Media is the HLS media playlist of a track, relative to /play/{video}/{track}/.
func (t Track) Media() string {
	var b strings.Builder
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%d\n#EXT-X-PLAYLIST-TYPE:VOD\n", t.target())
	ending := "vtt"
	if t.Kind != vstack.TrackText {
		ending = "m4s"
		b.WriteString("#EXT-X-MAP:URI=\"init.mp4\"\n")
	}
	for _, s := range t.Segments {
		fmt.Fprintf(&b, "#EXTINF:%.6f,\n%d.%s\n", float64(s.Duration)/float64(t.Timescale), s.Start, ending)
	}
	b.WriteString("#EXT-X-ENDLIST\n")
	return b.String()
}

// IFrames is the playlist of a rendition's keyframes, for fast seeking: byte ranges of
// the virtual file {track}.mp4. Empty when the manifest does not say where they end.
func (t Track) IFrames() string {
	if t.keyPeak() == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%d\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-I-FRAMES-ONLY\n", t.target())
	at := int64(t.Init.Size)
	fmt.Fprintf(&b, "#EXT-X-MAP:URI=\"../%d.mp4\",BYTERANGE=\"%d@0\"\n", t.Number, at)
	for _, s := range t.Segments {
		if s.Key > 0 {
			fmt.Fprintf(&b, "#EXTINF:%.6f,\n#EXT-X-BYTERANGE:%d@%d\n../%d.mp4\n", float64(s.Duration)/float64(t.Timescale), s.Key, at, t.Number)
		}
		at += s.Size()
	}
	b.WriteString("#EXT-X-ENDLIST\n")
	return b.String()
}

// keyPeak is the bit rate of an I-frame playlist: the largest keyframe over its time.
func (t Track) keyPeak() int64 {
	peak := int64(0)
	for _, s := range t.Segments {
		if s.Key > 0 && s.Duration > 0 {
			peak = max(peak, int64(float64(8*s.Key)*float64(t.Timescale)/float64(s.Duration)))
		}
	}
	return peak
}

// independent says that every segment of every rendition starts with a keyframe.
func (f *Film) independent() bool {
	for _, t := range f.Video {
		for _, s := range t.Segments {
			if !t.Chunks[s.Parts[0].Chunk].Keyframe && s.Parts[0].Offset == 0 {
				return false
			}
		}
	}
	return true
}

// audioGroup is the sound tracks of one codec: a player chooses a group by what it can
// decode, and inside a group by language.
type audioGroup struct {
	id     string
	tracks []Track
	names  []string // unique in the group, as RFC 8216 wants them
}

func (f *Film) audioGroups() []audioGroup {
	var out []audioGroup
	for _, t := range f.Audio {
		family, _, _ := strings.Cut(t.codecString(), ".")
		i := slices.IndexFunc(out, func(g audioGroup) bool { return g.id == family })
		if i < 0 {
			i = len(out)
			out = append(out, audioGroup{id: family})
		}
		name := t.label()
		if slices.Contains(out[i].names, name) {
			name = fmt.Sprintf("%s (%d)", name, t.Number)
		}
		out[i].tracks, out[i].names = append(out[i].tracks, t), append(out[i].names, name)
	}
	return out
}

func resolution(t Track) string {
	width, height := t.shown()
	if t.Kind != vstack.TrackVideo || width <= 0 || height <= 0 {
		return ""
	}
	return fmt.Sprintf(",RESOLUTION=%dx%d", width, height)
}

func yesNo(b bool) string {
	if b {
		return "YES"
	}
	return "NO"
}
