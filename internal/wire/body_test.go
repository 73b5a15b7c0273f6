package wire_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func TestReadJSON(t *testing.T) {
	type body struct {
		A string         `json:"a"`
		B map[string]any `json:"b"`
		C []any          `json:"c"`
	}
	for name, tc := range map[string]struct {
		text   string
		strict bool
		said   string // empty: it is taken
	}{
		"plain":                           {`{"a":"x","b":{"a":"y"},"c":[{"a":1},{"a":2}]}`, true, ""},
		"blanks around":                   {" \n{\"a\":\"x\"}\r\n\t", true, ""},
		"a value that looks like a key":   {`{"a":"a","b":{"x":"b","y":"{\"a\":1,\"a\":2}"}}`, true, ""},
		"a key twice":                     {`{"a":"x","a":"y"}`, false, `"a" stands twice`},
		"a key twice in other letters":    {`{"a":"x","A":"y"}`, false, `"A" stands twice`},
		"a key twice by an escape":        {`{"a":"x","\u0061":"y"}`, false, `"a" stands twice`},
		"a key twice, deep":               {`{"c":[[{"b":{"k":1,"l":2,"k":3}}]]}`, false, `"k" stands twice`},
		"an unknown key":                  {`{"d":1}`, true, "unknown field"},
		"an unknown key of a newer party": {`{"d":1}`, false, ""},
		"two values":                      {`{"a":"x"}{"a":"y"}`, false, "after the value"},
		"torn":                            {`{"a":"x"`, false, "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			err := wire.ReadJSON(strings.NewReader(tc.text), &body{}, tc.strict)
			if tc.said == "" && err != nil || tc.said != "" && (!errors.Is(err, vstack.ErrInvalid) || !strings.Contains(err.Error(), tc.said)) {
				t.Errorf("got %v", err)
			}
		})
	}
	if err := wire.ReadJSON(strings.NewReader(""), &body{}, true); !errors.Is(err, io.EOF) || !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("nothing: %v", err)
	}
	long := http.MaxBytesReader(httptest.NewRecorder(), io.NopCloser(strings.NewReader(`{"a":"`+strings.Repeat("x", 99)+`"}`)), 64)
	if err := wire.ReadJSON(long, &body{}, true); !errors.Is(err, vstack.ErrTooLarge) || !strings.Contains(err.Error(), "64 bytes") {
		t.Errorf("too long: %v", err)
	}
}

// FuzzReadJSON: whatever comes, a key that stands twice is found wherever it stands.
func FuzzReadJSON(f *testing.F) {
	f.Add(`{"a":[1,{"b":"}"}]}`, "k")
	f.Fuzz(func(t *testing.T, text, key string) {
		var v any
		if wire.ReadJSON(strings.NewReader(text), &v, false) != nil || strings.ContainsAny(key, "\"\\\x00") {
			return
		}
		if wire.ReadJSON(strings.NewReader(`{"k":1,"v":`+text+`,"k":2}`), &v, false) == nil {
			t.Errorf("a key twice around %q was taken", text)
		}
	})
}
