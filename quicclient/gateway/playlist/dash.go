package playlist

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
)

// The elements of a DASH description that V-Stack writes (ISO/IEC 23009-1, profile
// isoff-live: segments are addressed by their start time).
type (
	mpd struct {
		XMLName   xml.Name `xml:"urn:mpeg:dash:schema:mpd:2011 MPD"`
		Profiles  string   `xml:"profiles,attr"`
		Type      string   `xml:"type,attr"`
		Duration  string   `xml:"mediaPresentationDuration,attr"`
		MinBuffer string   `xml:"minBufferTime,attr"`
		Bases     []base   `xml:"BaseURL"`
		Steering  *steered `xml:"ContentSteering"`
		Period    period   `xml:"Period"`
	}
	base struct {
		Location string `xml:"serviceLocation,attr"`
		URL      string `xml:",chardata"`
	}
	steered struct {
		Default string `xml:"defaultServiceLocation,attr"`
		First   bool   `xml:"queryBeforeStart,attr"`
		URI     string `xml:",chardata"`
	}
	period struct {
		ID    string          `xml:"id,attr"`
		Start string          `xml:"start,attr"`
		Sets  []adaptationSet `xml:"AdaptationSet"`
	}
	adaptationSet struct {
		ID              int              `xml:"id,attr"`
		ContentType     string           `xml:"contentType,attr"`
		MimeType        string           `xml:"mimeType,attr"`
		Lang            string           `xml:"lang,attr,omitempty"`
		Aligned         bool             `xml:"segmentAlignment,attr"`
		StartWithSAP    int              `xml:"startWithSAP,attr,omitempty"`
		Essential       []descriptor     `xml:"EssentialProperty"`
		Roles           []descriptor     `xml:"Role"`
		Representations []representation `xml:"Representation"`
	}
	descriptor struct {
		Scheme string `xml:"schemeIdUri,attr"`
		Value  string `xml:"value,attr"`
	}
	representation struct {
		ID           string       `xml:"id,attr"`
		Codecs       string       `xml:"codecs,attr,omitempty"`
		Bandwidth    int64        `xml:"bandwidth,attr"`
		Width        int          `xml:"width,attr,omitempty"`
		Height       int          `xml:"height,attr,omitempty"`
		FrameRate    string       `xml:"frameRate,attr,omitempty"`
		SamplingRate int          `xml:"audioSamplingRate,attr,omitempty"`
		Channels     []descriptor `xml:"AudioChannelConfiguration"`
		BaseURL      string       `xml:"BaseURL,omitempty"`
		Template     *template    `xml:"SegmentTemplate"`
	}
	template struct {
		Timescale   uint32    `xml:"timescale,attr"`
		Duration    int64     `xml:"duration,attr,omitempty"`
		StartNumber int       `xml:"startNumber,attr,omitempty"`
		Init        string    `xml:"initialization,attr,omitempty"`
		Media       string    `xml:"media,attr"`
		Timeline    *timeline `xml:"SegmentTimeline"`
	}
	timeline struct {
		S []entry `xml:"S"`
	}
	// entry is one segment. No entry stands for several (@r): a player that counts
	// entries instead of segments would ask for the wrong one.
	entry struct {
		T *int64 `xml:"t,attr"` // only where it does not follow from the entry before
		D int64  `xml:"d,attr"`
	}
)

// MPD is the DASH description. Its addresses are relative to /play/{video}/; with more
// than one pathway players are steered, as by Master. here is the film's address as the player
// has it: dash.js asks for the order, and knows which pathway a failed address was of, by absolute
// addresses alone.
func (f *Film) MPD(here string, paths ...Pathway) ([]byte, error) {
	doc := mpd{
		Profiles: "urn:mpeg:dash:profile:isoff-live:2011", Type: "static",
		Duration: isoDuration(f.Duration), MinBuffer: isoDuration(2),
		Period: period{ID: "0", Start: "PT0S"},
	}
	if len(paths) > 1 {
		doc.Bases = []base{{paths[0].Name, here}}
		for _, p := range paths[1:] {
			doc.Bases = append(doc.Bases, base{p.Name, p.Base})
		}
		doc.Steering = &steered{Default: paths[0].Name, URI: here + steeringURI}
	}
	for _, list := range [][]Track{f.Video, f.Audio} {
		for _, set := range adaptationSets(list) {
			set.ID = len(doc.Period.Sets)
			doc.Period.Sets = append(doc.Period.Sets, set)
		}
	}
	for _, set := range append(f.textSets(), f.tileSets()...) {
		set.ID = len(doc.Period.Sets)
		doc.Period.Sets = append(doc.Period.Sets, set)
	}
	out, err := xml.MarshalIndent(doc, "", " ")
	if err != nil {
		return nil, fmt.Errorf("DASH description: %w", err)
	}
	return append([]byte(xml.Header), append(out, '\n')...), nil
}

// adaptationSets groups tracks of one kind by codec family and language: inside a set a
// player may switch, between sets a person chooses.
func adaptationSets(list []Track) []adaptationSet {
	var out []adaptationSet
	var members [][]Track
	index := map[string]int{}
	for _, t := range list {
		family, _, _ := strings.Cut(t.codecString(), ".")
		key := family + "/" + t.Language
		if t.Kind == vstack.TrackAudio {
			key += "/" + t.Name // two mixes of one language are a choice, no rendition
		}
		i, ok := index[key]
		if !ok {
			i = len(out)
			index[key] = i
			out, members = append(out, newSet(t, i == 0)), append(members, nil)
		}
		members[i] = append(members[i], t)
		out[i].Representations = append(out[i].Representations, represent(t))
	}
	for i := range out {
		out[i].Aligned = aligned(members[i])
	}
	return out
}

func newSet(t Track, first bool) adaptationSet {
	s := adaptationSet{ContentType: string(t.Kind), MimeType: string(t.Kind) + "/mp4", StartWithSAP: 1}
	if t.Kind == vstack.TrackAudio || t.Language != "" {
		s.Lang = t.language()
	}
	role := "alternate"
	if first {
		role = "main"
	}
	s.Roles = []descriptor{{"urn:mpeg:dash:role:2011", role}}
	return s
}

func represent(t Track) representation {
	r := representation{
		ID: strconv.Itoa(int(t.Number)), Codecs: t.codecString(), Bandwidth: t.Peak,
		Template: &template{Timescale: t.Timescale, Init: "$RepresentationID$/init.mp4", Media: "$RepresentationID$/$Time$.m4s", Timeline: &timeline{}},
	}
	if t.Kind == vstack.TrackVideo {
		r.Width, r.Height = t.shown()
		if t.FrameRate > 0 {
			r.FrameRate = frameRate(t.FrameRate)
		}
	} else {
		r.SamplingRate = t.SampleRate
		if t.Channels > 0 {
			r.Channels = []descriptor{{"urn:mpeg:dash:23003:3:audio_channel_configuration:2011", strconv.Itoa(t.Channels)}}
		}
	}
	next := int64(-1)
	for _, s := range t.Segments {
		e := entry{D: s.Duration}
		if s.Start != next {
			start := s.Start
			e.T = &start
		}
		next = s.Start + s.Duration
		r.Template.Timeline.S = append(r.Template.Timeline.S, e)
	}
	return r
}

// aligned says that all tracks have their segments at the same times.
func aligned(list []Track) bool {
	for _, t := range list[1:] {
		if len(t.Segments) != len(list[0].Segments) {
			return false
		}
		for i, s := range t.Segments {
			if s.Start*int64(list[0].Timescale) != list[0].Segments[i].Start*int64(t.Timescale) {
				return false
			}
		}
	}
	return true
}

// frameRate is a whole number, or a fraction over 1001 as NTSC has it, or over 1000.
func frameRate(r float64) string {
	for _, den := range []int{1, 1001, 1000} {
		num := r * float64(den)
		if whole := float64(int64(num + 0.5)); num-whole < 0.01*float64(den)/1000 && whole-num < 0.01*float64(den)/1000 {
			if den == 1 {
				return strconv.Itoa(int(whole))
			}
			return fmt.Sprintf("%d/%d", int(whole), den)
		}
	}
	return fmt.Sprintf("%d/1000", int(r*1000+0.5))
}

func isoDuration(seconds float64) string {
	return "PT" + strconv.FormatFloat(seconds, 'f', 3, 64) + "S"
}
