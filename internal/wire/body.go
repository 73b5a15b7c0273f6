package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
)

// ReadJSON reads a request's body, which the caller has bounded, into v: one value and nothing
// behind it. An object that has a key twice is refused, in whatever letters, since one of the
// two would silently be lost. strict refuses fields that v does not have, as well: a misspelt
// one would silently do nothing.
func ReadJSON(r io.Reader, v any, strict bool) error {
	body, err := io.ReadAll(r)
	if err == nil {
		err = decode(body, v, strict)
	}
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &large):
		return fmt.Errorf("request body: %w: more than %d bytes", vstack.ErrTooLarge, large.Limit)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("request body: %w: %w", vstack.ErrInvalid, io.EOF) // there was none
	}
	return fmt.Errorf("request body: %w: %v", vstack.ErrInvalid, err)
}

func decode(body []byte, v any, strict bool) error {
	d := json.NewDecoder(bytes.NewReader(body))
	if strict {
		d.DisallowUnknownFields()
	}
	if err := d.Decode(v); err != nil {
		return err
	}
	if rest := bytes.TrimLeft(body[d.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return errors.New("data after the value")
	}
	if key, twice := twice(body); twice {
		return fmt.Errorf("key %.80q stands twice", key)
	}
	return nil
}

// twice finds a key that an object of valid JSON has twice.
func twice(body []byte) (string, bool) {
	type object struct {
		keys  map[string]bool // nil in an array
		value bool            // behind a colon
	}
	var open []object
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '{':
			open = append(open, object{keys: map[string]bool{}})
		case '[':
			open = append(open, object{})
		case '}', ']':
			open = open[:len(open)-1]
		case ':':
			open[len(open)-1].value = true
		case ',':
			open[len(open)-1].value = false
		case '"':
			end := i + 1
			for ; body[end] != '"'; end++ {
				if body[end] == '\\' {
					end++
				}
			}
			text := body[i : end+1]
			i = end
			if len(open) == 0 || open[len(open)-1].keys == nil || open[len(open)-1].value {
				continue
			}
			key := string(text[1 : len(text)-1])
			if bytes.IndexByte(text, '\\') >= 0 && json.Unmarshal(text, &key) != nil {
				continue
			}
			folded := strings.ToLower(strings.ToUpper(key)) // as encoding/json finds fields
			if open[len(open)-1].keys[folded] {
				return key, true
			}
			open[len(open)-1].keys[folded] = true
		}
	}
	return "", false
}
