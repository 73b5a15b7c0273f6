package order

import (
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/intake"
)

// keepNothing stands in for a spool.
func keepNothing([]byte) (vstack.ChunkID, error) { return vstack.ChunkID{1}, nil }

func FuzzForm(f *testing.F) {
	part := func(head, body string) string {
		return "--b\r\nContent-Disposition: form-data; " + head + "\r\n\r\n" + body + "\r\n"
	}
	f.Add(part(`name="title"`, "T") + part(`name="keep_original"`, "1") + part(`name="video"; filename="../a.mp4"`, "bytes") + "--b--\r\n")
	f.Add(part(`name="renditions"`, "source,480p") + part(`name="resume"`, "01890000-0000-7000-8000-000000000000") + part(`name="video"; filename="a"`, "x"))
	f.Add(part(`name="video"; filename="a"`, "x") + part(`name="title"`, "after the file") + "--b--\r\n")
	f.Add("--b\r\n\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		r := httptest.NewRequest("POST", "/upload", strings.NewReader(text))
		r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		w := httptest.NewRecorder()
		form, err := ReadForm(r, intake.New(w, r.Body, 1<<20, 0, time.Minute), keepNothing)
		if err == nil {
			if _, err = io.Copy(io.Discard, form.Video); err == nil {
				err = form.End()
			}
			if err != nil {
				err = BodyError(err)
			} else if form.Title == "" || len(form.Title) > vstack.MaxTitle || !utf8.ValidString(form.Title) || strings.ContainsAny(form.Name, "/\\\x00") {
				t.Fatalf("accepted title %q, name %q", form.Title, form.Name)
			}
		}
		if err != nil && !errors.Is(err, vstack.ErrFormInvalid) && !errors.Is(err, vstack.ErrTruncated) && !errors.Is(err, vstack.ErrTooLarge) {
			t.Fatal(err)
		}
	})
}

func TestFieldsMayFollowTheFile(t *testing.T) {
	const body = "--b\r\nContent-Disposition: form-data; name=\"video\"; filename=\"a.mp4\"\r\n\r\nbytes\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nafter\r\n--b--\r\n"
	r := httptest.NewRequest("POST", "/upload", nil)
	r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	form, err := ReadForm(r, strings.NewReader(body), keepNothing)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(form.Video); err != nil || string(got) != "bytes" {
		t.Errorf("file %q, %v", got, err)
	}
	if err := form.End(); err != nil || form.Title != "after" {
		t.Errorf("title %q, %v", form.Title, err)
	}
}
