package wire

import (
	"errors"
	"fmt"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

func TestOutwardKeepsTheReasonAndDropsTheWay(t *testing.T) {
	remote := &RemoteError{URL: "https://10.1.2.3:8080/v1/uploads/x?consistency=default", Problem: Problem{Status: 404, Code: vstack.ErrNotFound.Code(), Detail: "upload x: not found"}}
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"another process's answer": {fmt.Errorf("upload: %w", remote), "upload: NOT_FOUND: upload x: not found"},
		"joined":                   {fmt.Errorf("upload: %w", errors.Join(vstack.ErrUnavailable, remote)), "upload: unavailable, try again\nNOT_FOUND: upload x: not found"},
		"a call that broke": {fmt.Errorf(`resume: %w: Get "https://127.0.0.1:8080/v1/uploads/x?a=b": dial tcp 127.0.0.1:8080: connect: connection refused`, vstack.ErrUnavailable),
			"resume: unavailable, try again: dial tcp a host: connect: connection refused"},
		"IPv6":                 {fmt.Errorf("%w: read tcp [::1]:33->[fe80::1]:8081: reset", vstack.ErrUnavailable), "unavailable, try again: read tcp a host->a host: reset"},
		"an address in a word": {fmt.Errorf("%w: see https://h1:8084/v1/jobs/7.", vstack.ErrTimeout), "timed out: see the cluster."},
		"nothing to hide":      {fmt.Errorf("field \"x\": %w", vstack.ErrFormInvalid), "field \"x\": form fields are not as documented"},
	} {
		t.Run(name, func(t *testing.T) {
			if p := Outward(tc.err); p.Detail != tc.want || p.Code != vstack.SentinelOf(tc.err).Code() {
				t.Errorf("%s %q, want %q", p.Code, p.Detail, tc.want)
			}
		})
	}
}
