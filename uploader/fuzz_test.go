package uploader

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/vstack/vstack/internal/vstack"
)

func FuzzRecord(f *testing.F) {
	up := vstack.Upload{ID: vstack.UploadID{1}, Video: vstack.VideoID{2}, State: vstack.UploadOpen, Incarnation: 3}
	good, err := json.Marshal(newRecord(up, options{Title: "t", Renditions: []string{"source"}}, 3, time.Unix(0, 0).UTC()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		rec, err := decodeRecord(b)
		if err != nil {
			if !errors.Is(err, vstack.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		again, err := json.Marshal(rec)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeRecord(again); err != nil {
			t.Fatalf("a record that was read is not read again: %v", err)
		}
	})
}

func FuzzForm(f *testing.F) {
	part := func(head, body string) string {
		return "--b\r\nContent-Disposition: form-data; " + head + "\r\n\r\n" + body + "\r\n"
	}
	f.Add(part(`name="title"`, "T") + part(`name="keep_original"`, "1") + part(`name="video"; filename="../a.mp4"`, "bytes") + "--b--\r\n")
	f.Add(part(`name="renditions"`, "source,480p") + part(`name="resume"`, "01890000-0000-7000-8000-000000000000") + part(`name="video"; filename="a"`, "x"))
	f.Add(part(`name="video"; filename="a"`, "x") + part(`name="title"`, "after the file") + "--b--\r\n")
	f.Add("--b\r\n\r\n")
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest("POST", "/upload", strings.NewReader(body))
		r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		w := httptest.NewRecorder()
		form, err := readForm(r, newGuard(w, r.Body, 1<<20, 0, time.Minute))
		if err == nil {
			if _, err = io.Copy(io.Discard, form.video); err == nil {
				err = form.end()
			}
			if err != nil {
				err = bodyError(err)
			} else if form.Title == "" || len(form.Title) > vstack.MaxTitle || !utf8.ValidString(form.Title) || strings.ContainsAny(form.name, "/\\\x00") {
				t.Fatalf("accepted title %q, name %q", form.Title, form.name)
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
	form, err := readForm(r, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(form.video); err != nil || string(got) != "bytes" {
		t.Errorf("file %q, %v", got, err)
	}
	if err := form.end(); err != nil || form.Title != "after" {
		t.Errorf("title %q, %v", form.Title, err)
	}
}

func TestGuardBoundsABodyOfUnknownLength(t *testing.T) {
	g := newGuard(httptest.NewRecorder(), bytes.NewReader(make([]byte, 101)), 100, 0, time.Minute)
	if _, err := io.ReadAll(g); !errors.Is(err, vstack.ErrTooLarge) {
		t.Errorf("101 bytes of 100: %v", err)
	}
	g = newGuard(httptest.NewRecorder(), bytes.NewReader(make([]byte, 100)), 100, 0, time.Minute)
	if b, err := io.ReadAll(g); err != nil || len(b) != 100 {
		t.Errorf("100 bytes of 100: %d, %v", len(b), err)
	}
}
