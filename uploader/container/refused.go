package container

import (
	"bytes"
	"regexp"
	"unicode/utf8"
)

// magics are beginnings that no film or sound has, with what begins so.
var magics = []struct {
	at    int
	magic string
	what  string
}{
	{0, "GIF87a", "GIF pictures"}, {0, "GIF89a", "GIF pictures"},
	{0, "\x89PNG\r\n\x1a\n", "PNG pictures"}, {0, "\x8aMNG\r\n\x1a\n", "MNG pictures"},
	{0, "\xff\xd8\xff", "JPEG pictures"}, {0, "\xff\x0a", "JPEG XL pictures"}, {4, "JXL \r\n\x87\n", "JPEG XL pictures"},
	{4, "jP  \r\n\x87\n", "JPEG 2000 pictures"},
	{8, "WEBP", "WebP pictures"}, {0, "II*\x00", "TIFF pictures"}, {0, "MM\x00*", "TIFF pictures"},
	{0, "8BPS", "Photoshop pictures"}, {0, "\x00\x00\x01\x00", "icons"},
	{4, "ftypheic", "HEIF pictures"}, {4, "ftypheix", "HEIF pictures"}, {4, "ftypmif1", "HEIF pictures"}, {4, "ftypavif", "AVIF pictures"},
	{0, "\x1f\x8b", "gzip archives"}, {0, "PK\x03\x04", "ZIP archives"}, {0, "PK\x05\x06", "ZIP archives"},
	{0, "7z\xbc\xaf\x27\x1c", "7-Zip archives"}, {0, "Rar!\x1a\x07", "RAR archives"}, {0, "\xfd7zXZ\x00", "xz archives"},
	{0, "BZh", "bzip2 archives"}, {0, "\x28\xb5\x2f\xfd", "zstd archives"}, {257, "ustar", "tar archives"},
	{0, "!<arch>\n", "archives"}, {32769, "CD001", "disc images"},
	{0, "%PDF-", "PDF documents"}, {0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Office documents"}, {0, "{\\rtf", "RTF documents"},
	{0, "\x7fELF", "programs"}, {0, "MZ", "programs"}, {0, "\xca\xfe\xba\xbe", "programs"}, {0, "\xcf\xfa\xed\xfe", "programs"},
	{0, "MThd", "MIDI scores"}, {0, "FWS", "Flash programs"}, {0, "CWS", "Flash programs"}, {0, "ZWS", "Flash programs"},
	{0, "IMPM", "tracker modules"}, {0, "Extended Module", "tracker modules"}, {0, "SQLite format 3", "databases"},
	{0, "wOFF", "fonts"}, {0, "OTTO", "fonts"}, {0, "\x00\x01\x00\x00\x00", "fonts"},
}

// texts are forms of text, looked for once the beginning has turned out to be text.
var texts = []struct {
	form *regexp.Regexp
	what string
}{
	{regexp.MustCompile(`^#EXTM3U`), "playlists (M3U, HLS)"},
	{regexp.MustCompile(`(?s)^(<\?xml.*?\?>)?\s*(<!--.*?-->\s*)*<MPD`), "playlists (DASH)"},
	{regexp.MustCompile(`(?i)^\[playlist\]`), "playlists (PLS)"},
	{regexp.MustCompile(`^ffconcat version`), "lists of other files"},
	{regexp.MustCompile(`^WEBVTT`), "subtitles (WebVTT) without a film"},
	{regexp.MustCompile(`^\d+\s*\r?\n\d+:\d\d:\d\d[,.]\d+ --> `), "subtitles (SubRip) without a film"},
	{regexp.MustCompile(`(?i)^\[script info\]`), "subtitles (ASS) without a film"},
	{regexp.MustCompile(`^\{\d+\}\{\d+\}`), "subtitles (MicroDVD) without a film"},
	{regexp.MustCompile(`(?i)^(<!doctype html|<html)`), "web pages"},
	{regexp.MustCompile(`(?is)^(<\?xml.*?\?>)?\s*(<!--.*?-->\s*)*(<!doctype svg.*?>\s*)?<svg`), "SVG pictures"},
	{regexp.MustCompile(`^<\?xml`), "XML files"},
	{regexp.MustCompile(`^#!`), "scripts"},
	{regexp.MustCompile(``), "text files"},
}

func startsWith(head []byte, at int, magic string) bool {
	return len(head) >= at+len(magic) && string(head[at:at+len(magic)]) == magic
}

// refused says what a file is that cannot be a film or a sound, "" if it may be one.
func refused(head []byte) string {
	for _, m := range magics {
		if startsWith(head, m.at, m.magic) {
			return m.what
		}
	}
	text := bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	if !isText(text) {
		return ""
	}
	text = bytes.TrimLeft(text, " \t\r\n")
	for _, t := range texts {
		if t.form.Match(text) {
			return t.what
		}
	}
	return ""
}

// isText allows for a last letter that the end of the head cuts apart.
func isText(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	whole := len(b) < headSize
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == utf8.RuneError && n == 1:
			return !whole && !utf8.FullRune(b)
		case r < ' ' && r != '\n' && r != '\r' && r != '\t' && r != '\f':
			return false
		}
		b = b[n:]
	}
	return true
}
