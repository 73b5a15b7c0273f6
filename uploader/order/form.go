package order

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/subtitle"
)

// MaxOverhead is how many bytes a form may have beside the file.
const MaxOverhead = 8 << 20

// Form is a multipart body. Fields may stand before the file and after it, as people
// type them.
type Form struct {
	Order
	// Video is the file. It is read to its end before End is called.
	Video io.Reader

	reader *multipart.Reader
	keep   func([]byte) (vstack.ChunkID, error)
	seen   bool // the file
}

// ReadForm reads the fields up to the file. keep keeps subtitles, which are files too.
func ReadForm(r *http.Request, body io.Reader, keep func([]byte) (vstack.ChunkID, error)) (*Form, error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		return nil, fmt.Errorf("form: %w: want Content-Type multipart/form-data with a boundary", vstack.ErrFormInvalid)
	}
	f := &Form{reader: multipart.NewReader(body, params["boundary"]), keep: keep, Order: New()}
	part, err := f.fields()
	if err != nil {
		return nil, err
	}
	if part == nil {
		return nil, fmt.Errorf("form: %w: no file in field \"video\"", vstack.ErrFormInvalid)
	}
	if part.FileName() == "" {
		return nil, fmt.Errorf("form: %w: field \"video\" is not a file", vstack.ErrFormInvalid)
	}
	f.SetName(part.FileName())
	f.Video = part
	return f, nil
}

// End reads the fields that follow the file.
func (f *Form) End() error {
	if _, err := f.fields(); err != nil {
		return err
	}
	f.Close()
	return nil
}

// fields reads fields up to the file, which it returns unread, or to the end: nil.
func (f *Form) fields() (*multipart.Part, error) {
	for {
		part, err := f.reader.NextPart()
		if err == io.EOF {
			return nil, nil
		}
		if err != nil {
			return nil, BodyError(err)
		}
		name := part.FormName()
		if name == "video" {
			if f.seen {
				return nil, fmt.Errorf("form: %w: field \"video\" stands there twice", vstack.ErrFormInvalid)
			}
			f.seen = true
			return part, nil
		}
		if err := f.field(name, part); err != nil {
			return nil, err
		}
	}
}

// field reads one field that is not the file. Its name is judged before its value: a
// file under another name is told the name that it wants.
func (f *Form) field(name string, part *multipart.Part) error {
	if language, ok := subtitlesField(name, part.FileName()); ok && part.FileName() != "" {
		return f.subtitles(name, language, part)
	}
	if known(name) && part.FileName() != "" {
		return fmt.Errorf("form: %w: field %q is a file", vstack.ErrFormInvalid, Clean(name))
	}
	var value []byte
	if known(name) {
		var err error
		if value, err = io.ReadAll(io.LimitReader(part, maxField+1)); err != nil {
			return BodyError(err)
		}
	}
	return f.Set(name, string(value))
}

// subtitles reads one file of subtitles; a form may have several.
func (f *Form) subtitles(name, language string, part *multipart.Part) error {
	if len(f.Subtitles) == maxSubtitles {
		return fmt.Errorf("form: %w: more than %d subtitles", vstack.ErrFormInvalid, maxSubtitles)
	}
	b, err := io.ReadAll(io.LimitReader(part, subtitle.MaxBytes+1))
	if err != nil {
		return BodyError(err)
	}
	id, err := f.keep(b)
	if err != nil {
		return fmt.Errorf("form: field %q: %w", Clean(name), err)
	}
	f.Subtitles = append(f.Subtitles, Subtitles{ID: id, Language: language})
	if !slices.Contains(f.Said, fieldSubtitles) {
		f.Said = append(f.Said, fieldSubtitles)
	}
	return nil
}

// BodyError gives what package multipart says the right code: errors that have one keep
// theirs, a body that just ends is cut short, anything else is not a form.
func BodyError(err error) error {
	var s *vstack.Sentinel
	switch {
	case errors.As(err, &s):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return fmt.Errorf("form: %w: %w", vstack.ErrTruncated, err)
	}
	return fmt.Errorf("form: %w: %w", vstack.ErrFormInvalid, err)
}
