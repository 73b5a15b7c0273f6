package uploader

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/ffmpeg"
)

const (
	maxField    = 4 << 10 // bytes of a form field
	maxName     = 255     // bytes of a file's name
	maxOverhead = 1 << 20 // bytes that a body may have beside the file
)

// form is what a multipart body says beside its file. Fields may stand before the file
// and after it, as people type them.
type form struct {
	options
	resume vstack.UploadID
	name   string // of the file, without directories
	video  *multipart.Part
	reader *multipart.Reader
	seen   map[string]bool
}

// readForm reads the fields up to the file; the caller reads form.video to its end and
// then calls end.
func readForm(r *http.Request, body io.Reader) (*form, error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		return nil, fmt.Errorf("form: %w: want Content-Type multipart/form-data with a boundary", vstack.ErrFormInvalid)
	}
	f := &form{reader: multipart.NewReader(body, params["boundary"]), seen: map[string]bool{}}
	f.Policy = vstack.PolicyAuto
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
	f.name, f.video = fileName(part.FileName()), part
	return f, nil
}

// end reads the fields that follow the file.
func (f *form) end() error {
	if _, err := f.fields(); err != nil {
		return err
	}
	if f.Title == "" {
		f.Title = titleOf(f.name)
	}
	return nil
}

// fields reads fields up to the file, which it returns unread, or to the end: nil.
func (f *form) fields() (*multipart.Part, error) {
	for {
		part, err := f.reader.NextPart()
		if err == io.EOF {
			return nil, nil
		}
		if err != nil {
			return nil, bodyError(err)
		}
		name := part.FormName()
		if f.seen[name] {
			return nil, fmt.Errorf("form: %w: field %q twice", vstack.ErrFormInvalid, short(name))
		}
		f.seen[name] = true
		if name == "video" {
			return part, nil
		}
		if err := f.field(name, part); err != nil {
			return nil, err
		}
	}
}

// field reads one field that is not the file.
func (f *form) field(name string, part *multipart.Part) error {
	b, err := io.ReadAll(io.LimitReader(part, maxField+1))
	if err != nil {
		return bodyError(err)
	}
	bad := func(why string) error {
		return fmt.Errorf("form: %w: field %q %s", vstack.ErrFormInvalid, short(name), why)
	}
	value := string(b)
	switch {
	case len(b) > maxField:
		return bad(fmt.Sprintf("is larger than %d bytes", maxField))
	case part.FileName() != "":
		return bad("is a file")
	case !utf8.ValidString(value):
		return bad("is not UTF-8")
	}
	switch name {
	case "title":
		if len(value) > vstack.MaxTitle || strings.ContainsFunc(value, unicode.IsControl) {
			return bad(fmt.Sprintf("wants at most %d bytes without control characters", vstack.MaxTitle))
		}
		f.Title = strings.TrimSpace(value)
	case "class":
		f.Policy = vstack.ClassPolicy(value)
		if !slices.Contains([]vstack.ClassPolicy{vstack.PolicyAuto, vstack.PolicyHot, vstack.PolicyCold}, f.Policy) {
			return bad("wants auto, hot or cold")
		}
	case "renditions":
		for _, r := range strings.Split(value, ",") {
			if r = strings.TrimSpace(r); !ffmpeg.ValidRendition(r) || slices.Contains(f.Renditions, r) {
				return bad("wants source, 1080p, 720p, 480p or 360p, each once, with commas between")
			}
			f.Renditions = append(f.Renditions, r)
		}
	case "keep_original":
		if f.KeepOriginal, err = strconv.ParseBool(value); err != nil {
			return bad("wants true or false")
		}
	case "resume":
		if f.resume, err = vstack.ParseUploadID(value); err != nil {
			return bad("wants the id of an upload")
		}
	default:
		return bad("is not known; there are title, renditions, class, keep_original, resume and video")
	}
	return nil
}

// bodyError gives what package multipart says the right code: the guard's errors keep
// theirs, a body that just ends is cut short, anything else is not a form.
func bodyError(err error) error {
	var s *vstack.Sentinel
	switch {
	case errors.As(err, &s):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return fmt.Errorf("form: %w: %w", vstack.ErrTruncated, err)
	}
	return fmt.Errorf("form: %w: %w", vstack.ErrFormInvalid, err)
}

// fileName cleans a client's file name for display: it is never used as a path.
func fileName(s string) string {
	s = strings.ToValidUTF8(s, "")
	s = s[strings.LastIndexAny(s, `/\`)+1:]
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
	for len(s) > maxName {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}

func titleOf(name string) string {
	title := strings.TrimSpace(strings.TrimSuffix(name, filepath.Ext(name)))
	if title == "" {
		return "untitled"
	}
	return title
}

func short(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}
