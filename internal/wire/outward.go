package wire

import (
	"errors"
	"regexp"
	"strings"
)

// What an error's text may hold that is of no use to a client: where inside the cluster
// a call went. The log has it.
var (
	innerCall = regexp.MustCompile(`\b(?:Get|Head|Post|Put|Patch|Delete) "https?://[^"]*":? ?`)
	innerURL  = regexp.MustCompile(`https?://[^\s"]*[^\s":;,.]`)
	innerAddr = regexp.MustCompile(`(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:.]+\]):\d+`)
)

// Outward describes err to a client from outside the cluster: as ProblemOf does, without
// the addresses and queries of calls that were made on its behalf.
func Outward(err error) Problem {
	p := ProblemOf(err)
	p.Detail = outwardText(err)
	return p
}

func outwardText(err error) string {
	text := err.Error()
	for _, e := range remotes(err) {
		text = strings.ReplaceAll(text, e.Error(), strings.TrimSuffix(string(e.Code)+": "+e.Detail, ": "))
	}
	text = innerCall.ReplaceAllString(text, "")
	text = innerURL.ReplaceAllString(text, "the cluster")
	return innerAddr.ReplaceAllString(text, "a host")
}

// remotes are the answers of other processes in err's tree.
func remotes(err error) []*RemoteError {
	var r *RemoteError
	if e, ok := err.(*RemoteError); ok {
		r = e
	}
	var below []*RemoteError
	switch x := err.(type) {
	case interface{ Unwrap() []error }:
		for _, e := range x.Unwrap() {
			below = append(below, remotes(e)...)
		}
	default:
		if e := errors.Unwrap(err); e != nil {
			below = remotes(e)
		}
	}
	if r != nil {
		return append([]*RemoteError{r}, below...)
	}
	return below
}
