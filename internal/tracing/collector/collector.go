package collector

import (
	"cmp"
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	v1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// maxRequest bounds one request, after gzip.
const maxRequest = 64 << 20

// Span is one span as it came.
type Span struct {
	Trace, ID, Parent string // hexadecimal
	Name, Host        string
	Start             time.Time
	Took              time.Duration
	Attrs             map[string]string
	Failed            bool
}

// Collector is an http.Handler for POST /v1/traces.
type Collector struct {
	mu    sync.Mutex
	spans []Span
}

// ServeHTTP is of http.Handler.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != "/v1/traces" {
		http.NotFound(w, r)
		return
	}
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	raw, err := io.ReadAll(io.LimitReader(body, maxRequest))
	var req tracepb.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(raw, &req)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rs := range req.GetResourceSpans() {
		host := ""
		for _, a := range rs.GetResource().GetAttributes() {
			if a.GetKey() == "host.name" {
				host = a.GetValue().GetStringValue()
			}
		}
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				c.spans = append(c.spans, spanOf(s, host))
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func spanOf(s *v1.Span, host string) Span {
	out := Span{
		Trace: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()), Parent: hex.EncodeToString(s.GetParentSpanId()),
		Name: s.GetName(), Host: host, Start: time.Unix(0, int64(s.GetStartTimeUnixNano())),
		Took: time.Duration(s.GetEndTimeUnixNano() - s.GetStartTimeUnixNano()), Attrs: map[string]string{},
		Failed: s.GetStatus().GetCode() == v1.Status_STATUS_CODE_ERROR,
	}
	for _, a := range s.GetAttributes() {
		v := a.GetValue()
		switch x := v.GetValue().(type) {
		case nil:
		default:
			_ = x
			out.Attrs[a.GetKey()] = strings.Trim(strings.TrimSpace(v.String()[strings.Index(v.String(), ":")+1:]), `"`)
		}
	}
	return out
}

// Spans are those of a trace, or all for "", by their start.
func (c *Collector) Spans(trace string) []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Span
	for _, s := range c.spans {
		if trace == "" || s.Trace == trace {
			out = append(out, s)
		}
	}
	slices.SortStableFunc(out, func(a, b Span) int { return cmp.Or(a.Start.Compare(b.Start), -cmp.Compare(a.Took, b.Took)) })
	return out
}

// Tree draws a trace: each span with its host, when it began since the first, and how long it
// took. Of spans of one name below one parent the first few are drawn.
func (c *Collector) Tree(trace string, few int) string {
	spans := c.Spans(trace)
	known := map[string]bool{}
	below := map[string][]Span{}
	for _, s := range spans {
		known[s.ID] = true
	}
	for _, s := range spans {
		parent := s.Parent
		if !known[parent] {
			parent = ""
		}
		below[parent] = append(below[parent], s)
	}
	var out strings.Builder
	var draw func(parent, indent string)
	draw = func(parent, indent string) {
		seen := map[string]int{}
		for _, s := range below[parent] {
			if seen[s.Name]++; seen[s.Name] > few {
				continue
			}
			mark := ""
			if s.Failed {
				mark = "  FAILED"
			}
			if why := s.Attrs["vstack.keep"]; why != "" {
				mark += "  " + why
			}
			fmt.Fprintf(&out, "%-58s %-4s %8.1f ms %+9.1f ms%s\n", indent+s.Name, s.Host, s.Took.Seconds()*1e3, s.Start.Sub(spans[0].Start).Seconds()*1e3, mark)
			draw(s.ID, indent+"  ")
		}
		for name, n := range seen {
			if n > few {
				fmt.Fprintf(&out, "%s… and %d more of %q\n", indent, n-few, name)
			}
		}
	}
	draw("", "")
	return out.String()
}
