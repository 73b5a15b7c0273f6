package cut

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/ffmpeg"
	"github.com/vstack/vstack/uploader/ffmpeg/media"
	"github.com/vstack/vstack/uploader/fmp4"
	"github.com/vstack/vstack/uploader/subtitle"
)

// milliseconds is the clock of tracks of text and of pictures.
const milliseconds = 1000

// Subtitles are given beside a file.
type Subtitles struct {
	Language string // RFC 5646, "" if it is not known
	Data     []byte // what subtitle.Parse reads
}

// beside makes the tracks of text and of pictures, whose numbers follow those of the
// plan. What cannot be made of them is a warning: the film plays without.
func (c *cut) beside(ctx context.Context) error {
	if c.Level < vstack.LevelFormats {
		if len(c.Plan.Texts)+len(c.Subtitles) > 0 {
			c.job.Warn("subtitles left out: the cluster's feature level has no tracks for them")
		}
		return nil
	}
	seconds := 0.0
	var of *media.Stream
	for i, t := range c.tracks {
		if t == nil || len(t.Chunks) == 0 || t.Timescale == 0 {
			continue
		}
		last := t.Chunks[len(t.Chunks)-1]
		seconds = max(seconds, float64(last.Start+last.Duration)/float64(t.Timescale))
		if t.Kind == vstack.TrackVideo && of == nil {
			of = &c.Plan.Tracks[i].Stream
		}
	}
	b := c.wanted(of, seconds)
	made, err := c.aside.take(b)
	if made == nil || err != nil {
		made, err = c.runBeside(ctx, b, seconds, c.Source)
	}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return fmt.Errorf("make subtitles and pictures: %w", context.Cause(ctx))
	case errors.Is(err, vstack.ErrInternal):
		return err
	default:
		c.job.Warn("subtitles or pictures are missing: " + err.Error())
	}
	next := uint16(len(c.Plan.Tracks)) + c.Base
	add := func(t *vstack.Track) *vstack.Track {
		next++
		t.Number, t.Timescale = next, milliseconds
		return t
	}
	for i, s := range b.Texts {
		t := add(&vstack.Track{Kind: vstack.TrackText, Codec: "wvtt", Language: s.Language, TrackDetails: vstack.TrackDetails{Forced: s.Forced}})
		if err := c.addText(t, join(made[i]), seconds, fmt.Sprintf("stream %d", s.Index)); err != nil {
			return err
		}
	}
	for i, s := range c.Subtitles {
		t := add(&vstack.Track{Kind: vstack.TrackText, Codec: "wvtt", Name: "added", Language: s.Language})
		if err := c.addText(t, s.Data, seconds, fmt.Sprintf("subtitles %d", i+1)); err != nil {
			return err
		}
	}
	if b.Stills == nil {
		return nil
	}
	poster := add(&vstack.Track{Kind: vstack.TrackImage, Codec: "jpeg", Name: "poster"})
	if err := c.addPoster(poster, *b.Stills, made[len(made)-2], seconds); err != nil {
		return err
	}
	return c.addTiles(add(&vstack.Track{Kind: vstack.TrackImage, Codec: "jpeg", Name: "tiles"}), *b.Stills, made[len(made)-1], seconds)
}

// wanted is what is made beside tracks that last seconds; of is the picture, nil for none.
func (c *cut) wanted(of *media.Stream, seconds float64) ffmpeg.Beside {
	b := ffmpeg.Beside{Texts: c.Plan.Texts}
	if of != nil {
		stills := ffmpeg.NewStills(*of, seconds)
		b.Stills = &stills
	}
	return b
}

func join(parts [][]byte) []byte {
	if len(parts) == 0 {
		return nil
	}
	return parts[0]
}

// runBeside runs the process and reads its outputs to their ends: documents or pictures, by
// output. What was made before an error is returned with it.
func (c *cut) runBeside(ctx context.Context, b ffmpeg.Beside, seconds float64, file string) ([][][]byte, error) {
	made := make([][][]byte, b.Outputs())
	if len(made) == 0 {
		return made, nil
	}
	proc, err := c.Tools.StartBeside(ctx, b, seconds, file)
	if err != nil {
		return made, err
	}
	var g errgroup.Group
	for i := range made {
		g.Go(func() error {
			err := c.readBeside(proc.Pipe(i), i < len(b.Texts), &made[i])
			if err != nil {
				proc.Kill(err)
			}
			return err
		})
	}
	read, ended := g.Wait(), proc.Wait()
	return made, errors.Join(read, ended)
}

// readBeside reads one output: a document, or pictures. Of the poster's the last counts.
func (c *cut) readBeside(r io.Reader, text bool, into *[][]byte) error {
	if text {
		b, err := io.ReadAll(io.LimitReader(r, subtitle.MaxBytes+1))
		*into = [][]byte{b}
		if err == nil {
			_, err = io.Copy(io.Discard, r) // what is too large is told by Parse; the process is to end by itself
		}
		return err
	}
	return jpegs(r, func(picture []byte) error {
		*into = append(*into, picture)
		return nil
	})
}

// addText commits one text as a track; one that holds nothing is left out.
func (c *cut) addText(t *vstack.Track, doc []byte, seconds float64, what string) error {
	text, err := subtitle.Parse(doc)
	if err != nil {
		c.job.Warn(what + " left out: " + err.Error())
		return nil
	}
	for _, k := range text.Chunks(time.Duration(seconds * float64(time.Second))) {
		if err := c.addChunk(t, k.Start.Milliseconds(), k.End.Milliseconds(), k.Data); err != nil {
			return err
		}
	}
	c.addTrack(t)
	return nil
}

func (c *cut) addPoster(t *vstack.Track, s ffmpeg.Stills, pictures [][]byte, seconds float64) error {
	if len(pictures) == 0 {
		return nil
	}
	t.Width, t.Height = s.PosterWidth, s.PosterHeight
	t.DisplayWidth, t.DisplayHeight, t.Columns, t.Rows = t.Width, t.Height, 1, 1
	if err := c.addChunk(t, 0, millis(seconds), pictures[len(pictures)-1]); err != nil {
		return err
	}
	c.addTrack(t)
	return nil
}

func (c *cut) addTiles(t *vstack.Track, s ffmpeg.Stills, sheets [][]byte, seconds float64) error {
	if len(sheets) == 0 {
		return nil
	}
	t.Columns, t.Rows = ffmpeg.SheetColumns, ffmpeg.SheetRows
	t.Width, t.Height = s.TileWidth*t.Columns, s.TileHeight*t.Rows
	t.DisplayWidth, t.DisplayHeight = t.Width, t.Height
	step := int64(s.Step) * milliseconds * int64(t.Columns*t.Rows) // of a whole sheet
	for i, b := range sheets {
		// A sheet lasts as long as its tiles would, so that each tile's time follows from it.
		if err := c.addChunk(t, int64(i)*step, int64(i+1)*step, b); err != nil {
			return err
		}
	}
	c.addTrack(t)
	return nil
}

func (c *cut) addChunk(t *vstack.Track, start, end int64, data []byte) error {
	ref, err := c.send(t.Number, uint32(len(t.Chunks)+1), fmp4.Chunk{Data: data, Start: start, Duration: end - start, Keyframe: true})
	if err != nil {
		return err
	}
	t.Chunks = append(t.Chunks, ref)
	return nil
}

func (c *cut) addTrack(t *vstack.Track) {
	last := t.Chunks[len(t.Chunks)-1]
	t.Bitrate = bitrate(t, float64(last.Start+last.Duration)/milliseconds)
	c.added = append(c.added, t)
}

func millis(seconds float64) int64 { return int64(math.Round(seconds * milliseconds)) }
