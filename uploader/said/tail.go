package said

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// Tail keeps the first and the last bytes that a child wrote, within a bound.
type Tail struct {
	Max int // bytes

	mu    sync.Mutex
	first []byte
	last  []byte
}

func (t *Tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if room := t.Max/2 - len(t.first); room > 0 {
		t.first = append(t.first, p[:min(room, len(p))]...)
	}
	t.last = append(t.last, p...)
	if over := len(t.last) - t.Max; over > 0 {
		t.last = append(t.last[:0], t.last[over:]...)
	}
	return len(p), nil
}

// Head is the first of it.
func (t *Tail) Head() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.first)
}

var (
	// address is where FFmpeg keeps what it speaks of, in its own memory.
	address     = regexp.MustCompile(` @ 0x[0-9a-f]+`)
	jailedInput = regexp.MustCompile(`(crypto:)?(file:)?/proc/self/fd/[0-9]+`)
	whitelist   = regexp.MustCompile(`^\[([a-z0-9_,]+)\] Format not on whitelist`)
)

// insecure is what libgcrypt, which FFmpeg brings for streams that are not taken, says where it
// may lock no memory: in the jail of a service without privileges, each time.
const insecure = "Warning: using insecure memory!"

// clean takes out of FFmpeg's lines what is of use to nobody: addresses, the list of
// what it may read, a warning about keys that it does not have, and its repetitions.
func clean(lines []string) []string {
	out := lines[:0]
	for _, l := range lines {
		if strings.TrimSpace(l) == insecure {
			continue
		}
		l = address.ReplaceAllString(l, "")
		if m := whitelist.FindStringSubmatch(l); m != nil {
			l = fmt.Sprintf("files of the form %q are not taken", m[1])
		}
		if len(out) == 0 || out[len(out)-1] != l {
			out = append(out, l)
		}
	}
	return out
}

// Text is the last few lines, cleaned for an error message: the spool's path is of no
// use to a client.
func (t *Tail) Text(file string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.last
	if file != "" {
		b = bytes.ReplaceAll(b, []byte("crypto:file:"+file), []byte("input"))
		b = bytes.ReplaceAll(b, []byte("file:"+file), []byte("input"))
		b = bytes.ReplaceAll(b, []byte(file), []byte("input"))
		b = jailedInput.ReplaceAll(b, []byte("input"))
	}
	lines := clean(strings.Split(strings.TrimSpace(strings.ToValidUTF8(string(b), "?")), "\n"))
	if len(lines) > 4 {
		lines = lines[len(lines)-4:]
	}
	s := strings.Join(lines, "; ")
	if len(s) > 600 {
		s = "…" + strings.ToValidUTF8(s[len(s)-600:], "")
	}
	return s
}
