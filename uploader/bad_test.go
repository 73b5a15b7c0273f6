package uploader

import (
	"archive/zip"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// badHost is an uploader and a check that nothing is left of what it refused.
func badHost(t *testing.T, change func(*Config)) (*host, func(t *testing.T)) {
	c, dir := newCluster(), t.TempDir()
	h := startHost(t, c, dir, change)
	return h, func(t *testing.T) {
		t.Helper()
		wantEmptySpool(t, dir)
		if s := c.states(); len(s) != 0 {
			t.Errorf("uploads were opened: %v", s)
		}
	}
}

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFilesThatAreNotMediaAreRefused(t *testing.T) {
	h, nothingLeft := badHost(t, nil)
	var z bytes.Buffer
	zw := zip.NewWriter(&z)
	w, _ := zw.Create("film.mp4")
	w.Write(bytes.Repeat([]byte("frame"), 5000))
	zw.Close()
	mp4, err := os.ReadFile(clip(t, "h264.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	secret := write(t, "secret.ts", mp4)
	for name, tc := range map[string]struct {
		data []byte
		want *vstack.Sentinel
	}{
		"empty.mp4":     {nil, vstack.ErrNotMedia},
		"text.mp4":      {[]byte(strings.Repeat("this is not a film\n", 100)), vstack.ErrNotMedia},
		"zip.mp4":       {z.Bytes(), vstack.ErrNotMedia},
		"zeros.mp4":     {make([]byte, 100000), vstack.ErrNotMedia},
		"playlist.m3u8": {[]byte("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:3,\nfile://" + secret + "\n#EXT-X-ENDLIST\n"), vstack.ErrNotMedia},
		"concat.mp4":    {[]byte("ffconcat version 1.0\nfile '" + secret + "'\n"), vstack.ErrNotMedia},
		"mpd.mp4":       {[]byte(`<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><BaseURL>file://` + secret + `</BaseURL></Period></MPD>`), vstack.ErrNotMedia},
		"subs.srt":      {[]byte("1\n00:00:01,000 --> 00:00:02,000\nHello\n"), vstack.ErrNotMedia},
	} {
		t.Run(name, func(t *testing.T) {
			b, kind := body(t, write(t, name, tc.data))
			h.refused(t, tc.want, kind, b)
			nothingLeft(t)
		})
	}
}

func TestMP4CutInItsHeaderIsRefusedAtEveryTenthByte(t *testing.T) {
	h, nothingLeft := badHost(t, nil)
	faststart := clip(t, "faststart.mp4")
	data, err := os.ReadFile(faststart)
	if err != nil {
		t.Fatal(err)
	}
	header := bytes.Index(data, []byte("mdat")) + 4
	if header < 500 || header > 10000 {
		t.Fatalf("header of %d bytes", header)
	}
	step := 10
	if testing.Short() {
		step = 200
	}
	codes := map[vstack.Code]int{}
	for n := 0; n <= header; n += step {
		b, kind := body(t, write(t, "cut.mp4", data[:n]))
		status, out := h.post(t, kind, b)
		if status < 400 || status > 499 {
			t.Fatalf("cut at %d: %d %s", n, status, out)
		}
		for _, s := range []*vstack.Sentinel{vstack.ErrNotMedia, vstack.ErrTruncated} {
			if bytes.Contains(out, []byte(`"code":"`+string(s.Code())+`"`)) {
				codes[s.Code()]++
			}
		}
	}
	t.Logf("header %d bytes: %v", header, codes)
	if sum := codes[vstack.ErrNotMedia.Code()] + codes[vstack.ErrTruncated.Code()]; sum != header/step+1 {
		t.Errorf("codes %v, want %d of NOT_MEDIA or TRUNCATED", codes, header/step+1)
	}
	nothingLeft(t)
}

func TestMP4CutInItsPictureIsRefused(t *testing.T) {
	h, nothingLeft := badHost(t, nil)
	data, err := os.ReadFile(clip(t, "faststart.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	b, kind := body(t, write(t, "cut.mp4", data[:len(data)/2]))
	h.refused(t, vstack.ErrTruncated, kind, b)
	nothingLeft(t)
}

func TestFileWithoutPictureOrSoundIsRefused(t *testing.T) {
	h, nothingLeft := badHost(t, nil)
	b, kind := body(t, clip(t, "subtitles.mp4"))
	h.refused(t, vstack.ErrNoStreams, kind, b)
	nothingLeft(t)
}

func TestAbsurdDimensionsAreRefused(t *testing.T) {
	h, nothingLeft := badHost(t, nil)
	data, err := os.ReadFile(clip(t, "faststart.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	// The sample entry's width and height, 320 × 180, become 65,535 × 65,535; the
	// parameter sets of a raw stream are left as they are, the header lies.
	at := bytes.Index(data, []byte("avc1\x00\x00\x00\x00\x00\x00\x00\x01"))
	if at < 0 {
		at = bytes.LastIndex(data[:bytes.Index(data, []byte("avcC"))], []byte("avc1"))
	}
	binary.BigEndian.PutUint32(data[at+28:], 0xffffffff)
	b, kind := body(t, write(t, "lies.mp4", data))
	status, out := h.post(t, kind, b)
	if status != http.StatusAccepted && (status < 400 || status > 499) {
		t.Errorf("lying header: %d %s", status, out)
	}
	b, kind = body(t, clip(t, "wide.mkv"))
	h.refused(t, vstack.ErrMediaUnfit, kind, b)
	_ = nothingLeft
}

func TestFilesOverTheLimitsAreRefused(t *testing.T) {
	h, nothingLeft := badHost(t, func(c *Config) { c.MaxUpload = 50000; c.Media.Duration = 2 })
	file := clip(t, "h264.mp4")
	b, kind := body(t, file)
	h.refused(t, vstack.ErrTooLarge, kind, b)
	t.Run("of unknown length", func(t *testing.T) {
		b, kind := body(t, file)
		h.refused(t, vstack.ErrTooLarge, kind, io.MultiReader(b))
	})
	t.Run("too long", func(t *testing.T) {
		b, kind := body(t, clip(t, "tone.m4a"))
		h.refused(t, vstack.ErrMediaUnfit, kind, b)
	})
	nothingLeft(t)
}

func TestFullDiskIsSaidBeforeTheBodyIsRead(t *testing.T) {
	h, nothingLeft := badHost(t, func(c *Config) { c.Reserve = 1 << 60 })
	b, kind := body(t, clip(t, "h264.mp4"))
	h.refused(t, vstack.ErrDiskFull, kind, b)
	nothingLeft(t)
}

func TestWrongFormsAreRefused(t *testing.T) {
	h, nothingLeft := badHost(t, nil)
	file := clip(t, "h264.mp4")
	form := func(fields ...field) func(t *testing.T) (io.Reader, string) {
		return func(t *testing.T) (io.Reader, string) { b, kind := body(t, file, fields...); return b, kind }
	}
	build := func(fill func(w *multipart.Writer)) func(t *testing.T) (io.Reader, string) {
		return func(t *testing.T) (io.Reader, string) {
			var b bytes.Buffer
			w := multipart.NewWriter(&b)
			fill(w)
			w.Close()
			return &b, w.FormDataContentType()
		}
	}
	for name, tc := range map[string]struct {
		make func(t *testing.T) (io.Reader, string)
		want *vstack.Sentinel
	}{
		"unknown field":     {form(field{"colour", "red"}), vstack.ErrFormInvalid},
		"field twice":       {form(field{"title", "a"}, field{"title", "b"}), vstack.ErrFormInvalid},
		"long title":        {form(field{"title", strings.Repeat("x", vstack.MaxTitle+1)}), vstack.ErrFormInvalid},
		"huge title":        {form(field{"title", strings.Repeat("x", 1<<20)}), vstack.ErrFormInvalid},
		"control in title":  {form(field{"title", "a\x00b"}), vstack.ErrFormInvalid},
		"title not UTF-8":   {form(field{"title", "\xff\xfe"}), vstack.ErrFormInvalid},
		"unknown class":     {form(field{"class", "lukewarm"}), vstack.ErrFormInvalid},
		"unknown rendition": {form(field{"renditions", "source,-i /etc/passwd"}), vstack.ErrFormInvalid},
		"rendition twice":   {form(field{"renditions", "480p,480p"}), vstack.ErrFormInvalid},
		"not a bool":        {form(field{"keep_original", "perhaps"}), vstack.ErrFormInvalid},
		"not an upload":     {form(field{"resume", "../../etc"}), vstack.ErrFormInvalid},
		"unknown upload":    {form(field{"resume", "01890000-0000-7000-8000-000000000000"}), vstack.ErrNotFound},
		"no file":           {build(func(w *multipart.Writer) { w.WriteField("title", "t") }), vstack.ErrFormInvalid},
		"video is text":     {build(func(w *multipart.Writer) { w.WriteField("video", "t") }), vstack.ErrFormInvalid},
		"title is a file":   {build(func(w *multipart.Writer) { w.CreateFormFile("title", "t") }), vstack.ErrFormInvalid},
		"unknown field after file": {build(func(w *multipart.Writer) {
			p, _ := w.CreateFormFile("video", "v.mp4")
			p.Write([]byte("x"))
			w.WriteField("colour", "red")
		}), vstack.ErrFormInvalid},
		"second file": {build(func(w *multipart.Writer) {
			w.CreateFormFile("video", "v.mp4")
			w.CreateFormFile("video", "w.mp4")
		}), vstack.ErrFormInvalid},
		"not multipart": {func(*testing.T) (io.Reader, string) {
			return strings.NewReader("a=b"), "application/x-www-form-urlencoded"
		}, vstack.ErrFormInvalid},
		"no boundary": {func(*testing.T) (io.Reader, string) { return strings.NewReader("a=b"), "multipart/form-data" }, vstack.ErrFormInvalid},
		"cut in the file": {func(t *testing.T) (io.Reader, string) {
			b, kind := body(t, file)
			return bytes.NewReader(b.Bytes()[:b.Len()/2]), kind
		}, vstack.ErrTruncated},
	} {
		t.Run(name, func(t *testing.T) {
			b, kind := tc.make(t)
			h.refused(t, tc.want, kind, b)
			nothingLeft(t)
		})
	}
}

func TestPathTricksInANameStayAName(t *testing.T) {
	c, dir := newCluster(), t.TempDir()
	h := startHost(t, c, dir, nil)
	data, err := os.ReadFile(clip(t, "h264.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, _ := w.CreateFormFile("video", `..\..\/../etc/-i;rm -rf $(x).mp4`)
	part.Write(data)
	w.Close()
	status, out := h.post(t, w.FormDataContentType(), &b)
	if status != http.StatusAccepted {
		t.Fatalf("%d %s", status, out)
	}
	waitFor(t, "the job has ended", func() bool { return h.load() == 0 })
	for _, up := range c.all() {
		if up.State != vstack.UploadPublished || strings.ContainsAny(up.Source.Name, "/\\") {
			t.Errorf("%s, name %q", up.State, up.Source.Name)
		}
	}
	wantEmptySpool(t, dir)
}

// dial opens a bare TLS connection and sends the head of an upload.
func dial(t *testing.T, h *host, length int, kind string) net.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", h.Addr(), &tls.Config{RootCAs: h.client.Transport.(*http.Transport).TLSClientConfig.RootCAs, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", kind, length)
	return conn
}

func TestDisconnectHalfWayLeavesNothing(t *testing.T) {
	c, dir := newCluster(), t.TempDir()
	h := startHost(t, c, dir, nil)
	b, kind := body(t, clip(t, "h264.mp4"))
	conn := dial(t, h, b.Len(), kind)
	conn.Write(b.Bytes()[:b.Len()/2])
	waitFor(t, "the body is being spooled", func() bool { return len(files(t, dir)) > 0 })
	conn.Close()
	wantEmptySpool(t, dir)
	waitFor(t, "the place is free", func() bool { return h.receiving.Used() == 0 })
	if s := c.states(); len(s) != 0 {
		t.Errorf("uploads were opened: %v", s)
	}
}

func TestSlowBodyIsCutOff(t *testing.T) {
	c, dir := newCluster(), t.TempDir()
	h := startHost(t, c, dir, func(cfg *Config) { cfg.RateWindow = time.Second })
	b, kind := body(t, clip(t, "h264.mp4"))
	conn := dial(t, h, b.Len(), kind)
	defer conn.Close()
	conn.Write(b.Bytes()[:300])
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	answer, err := io.ReadAll(conn)
	if err != nil || !bytes.Contains(answer, []byte(vstack.ErrTruncated.Code())) {
		t.Errorf("answer %q, %v", answer, err)
	}
	wantEmptySpool(t, dir)
}
