package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
)

// Load is what clients do during a drill.
type Load string

const (
	// LoadMeta writes to the catalog and reads it at every member.
	LoadMeta Load = "meta"
	// LoadUpload uploads one short file after the other.
	LoadUpload Load = "upload"
	// LoadPlay has two viewers watch a film.
	LoadPlay Load = "play"
	// LoadStrangers is of the drill in which strangers attack, and of no other.
	LoadStrangers Load = "strangers"
)

// ParseLoads reads "upload,play,meta"; "none" is no load.
func ParseLoads(s string) ([]Load, error) {
	out := []Load{}
	if s == "none" {
		return out, nil
	}
	for _, word := range strings.Split(s, ",") {
		l := Load(strings.TrimSpace(word))
		if l != LoadMeta && l != LoadUpload && l != LoadPlay {
			return nil, fmt.Errorf("load %.20q: %w: want meta, upload, play or none", word, vstack.ErrInvalid)
		}
		if !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	return out, nil
}
