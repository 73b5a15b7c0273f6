package cmcd

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxBytes bounds what is read of one request.
const maxBytes = 2 << 10

// maxSession bounds a session's id, as the specification does.
const maxSession = 64

// headers carry the data, sorted by how often they change.
var headers = []string{"CMCD-Object", "CMCD-Request", "CMCD-Session", "CMCD-Status"}

// Headers are what a page of another origin has to be allowed to send.
func Headers() []string { return headers }

// Said is what one request says. Zero fields are not said.
type Said struct {
	Object  string        // ot: "v" picture, "a" sound, "av", "i" init, "c" caption, "m" playlist, "tt" …
	Format  string        // sf: "h" HLS, "d" DASH, "o" other
	Session string        // sid
	Bitrate int64         // br, of what is asked for, bits a second
	Rate    int64         // mtp, measured throughput, bits a second
	Buffer  time.Duration // bl, with HasBuffer
	Starved bool          // bs: the buffer ran empty since the request before
	Startup bool          // su: needed urgently, for a start or a seek

	HasBuffer bool
}

// Of reads a request; false if nothing is said.
func Of(r *http.Request) (Said, bool) {
	text := ""
	if q := r.URL.RawQuery; len(q) <= maxBytes && strings.Contains(q, "CMCD=") {
		text = r.URL.Query().Get("CMCD")
	}
	for _, h := range headers {
		if v := r.Header.Get(h); v != "" && len(text)+len(v) < maxBytes {
			text += "," + v
		}
	}
	if text == "" {
		return Said{}, false
	}
	var s Said
	for _, pair := range split(text) {
		key, value, has := strings.Cut(strings.TrimSpace(pair), "=")
		if !has {
			value = "?1" // a key alone is true
		}
		s.set(key, value)
	}
	return s, s != Said{}
}

// split cuts at commas outside quotes.
func split(s string) []string {
	var out []string
	quoted, from := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			out, from = append(out, s[from:i]), i+1
		}
	}
	return append(out, s[from:])
}

func (s *Said) set(key, value string) {
	switch key {
	case "ot":
		s.Object = token(value)
	case "sf":
		s.Format = token(value)
	case "sid":
		if value = strings.Trim(value, `"`); len(value) <= maxSession {
			s.Session = value
		}
	case "br":
		s.Bitrate = kilobits(value)
	case "mtp":
		s.Rate = kilobits(value)
	case "bl":
		if ms, ok := number(value); ok {
			s.Buffer, s.HasBuffer = time.Duration(ms)*time.Millisecond, true
		}
	case "bs":
		s.Starved = value == "?1" || value == "true"
	case "su":
		s.Startup = value == "?1" || value == "true"
	}
}

// token is one or two small letters, else nothing: it becomes the label of a figure.
func token(v string) string {
	v = strings.Trim(v, `"`)
	if len(v) == 0 || len(v) > 2 {
		return ""
	}
	for _, c := range []byte(v) {
		if c < 'a' || c > 'z' {
			return ""
		}
	}
	return v
}

// number reads a whole number, of version 2 also the first of an inner list "(1200;v 900;a)".
func number(v string) (int64, bool) {
	v, _, _ = strings.Cut(strings.Trim(v, "()"), " ")
	v, _, _ = strings.Cut(v, ";")
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil {
		return 0, false
	}
	return int64(n), true
}

func kilobits(v string) int64 {
	n, _ := number(v)
	return n * 1000
}
