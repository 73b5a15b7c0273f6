package command

import (
	"fmt"
	"net"
	"slices"
	"unicode/utf8"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/manifest"
)

// MaxSourceText bounds each text that describes an uploaded file, in bytes.
const MaxSourceText = 1024

// MaxStores bounds the stores of a cluster, MaxHostStores those of one host.
const (
	MaxStores     = 1024
	MaxHostStores = 64
)

// MaxViews bounds what one add_views may add to one video.
const MaxViews = 1 << 30

// CheckOpen reports what is wrong with the fields of an open_upload.
func CheckOpen(p OpenUploadPayload) error {
	if err := CheckTitle(p.Title); err != nil {
		return err
	}
	if err := CheckPolicy(p.Policy); err != nil {
		return err
	}
	switch {
	case p.Owner.IsZero():
		return fmt.Errorf("open upload: %w: owner is missing", vstack.ErrInvalid)
	case p.Video.IsZero() || p.Upload.IsZero():
		return fmt.Errorf("open upload: %w: id is missing", vstack.ErrInvalid)
	case p.Source.Size < 0:
		return fmt.Errorf("open upload: %w: source size %d", vstack.ErrInvalid, p.Source.Size)
	case len(p.Source.Name) > MaxSourceText || len(p.Source.Container) > MaxSourceText:
		return fmt.Errorf("open upload: %w: source name or container over %d bytes", vstack.ErrInvalid, MaxSourceText)
	case !utf8.ValidString(p.Source.Name) || !utf8.ValidString(p.Source.Container):
		return fmt.Errorf("open upload: %w: source name or container is not UTF-8", vstack.ErrInvalid)
	}
	return nil
}

// CheckTitle wants 1 to vstack.MaxTitle bytes of UTF-8 without control characters.
func CheckTitle(s string) error {
	if len(s) == 0 || len(s) > vstack.MaxTitle || !utf8.ValidString(s) {
		return fmt.Errorf("title of %d bytes: %w: want 1 to %d bytes of UTF-8", len(s), vstack.ErrInvalid, vstack.MaxTitle)
	}
	for _, r := range s {
		if r < ' ' || r == 0x7f {
			return fmt.Errorf("title: %w: control character %U", vstack.ErrInvalid, r)
		}
	}
	return nil
}

// CheckPolicy wants one of the storage policies.
func CheckPolicy(p vstack.ClassPolicy) error {
	switch p {
	case vstack.PolicyAuto, vstack.PolicyHot, vstack.PolicyCold:
		return nil
	}
	return fmt.Errorf("storage policy %.40q: %w: want auto, hot or cold", p, vstack.ErrInvalid)
}

// CheckSource is what an upload's source is once it is published: what was said of it when
// it was opened, and its hash and size if they are said now.
func CheckSource(opened vstack.Source, now *wire.PublishedSource, level vstack.Level) (vstack.Source, error) {
	switch {
	case now == nil:
		return opened, nil
	case level < vstack.LevelFormats:
		return opened, fmt.Errorf("source: %w: it is said when an upload is opened, below feature level %d", vstack.ErrInvalid, vstack.LevelFormats)
	case now.SHA256.IsZero() || now.Size < 1:
		return opened, fmt.Errorf("source: %w: %d bytes, hash %s", vstack.ErrInvalid, now.Size, now.SHA256)
	case !opened.SHA256.IsZero() && (opened.SHA256 != now.SHA256 || opened.Size != now.Size):
		return opened, fmt.Errorf("source: %w: %d bytes with hash %s, the upload was opened for %d with %s", vstack.ErrInvalid, now.Size, now.SHA256, opened.Size, opened.SHA256)
	}
	opened.SHA256, opened.Size = now.SHA256, now.Size
	return opened, nil
}

// CheckManifest is manifest.Check at a feature level: below vstack.LevelFormats a member
// of the level before could not read version 2.
func CheckManifest(m *vstack.Manifest, video vstack.VideoID, level vstack.Level) (manifest.Stats, error) {
	if m.Version != vstack.ManifestFirst && level < vstack.LevelFormats {
		return manifest.Stats{}, fmt.Errorf("manifest: version %d, want 1: %w", m.Version, vstack.ErrManifestInvalid) // a frozen text
	}
	return manifest.Check(m, video)
}

// CheckRegistration reports what is wrong with a registration's fields.
func CheckRegistration(p RegisterStoresPayload) error {
	if _, err := vstack.ParseHostID(string(p.Host)); err != nil {
		return err
	}
	if len(p.Stores) == 0 || len(p.Stores) > MaxHostStores {
		return fmt.Errorf("register %d stores of host %s: %w: want 1 to %d", len(p.Stores), p.Host, vstack.ErrInvalid, MaxHostStores)
	}
	seen := make(map[vstack.StoreID]bool, len(p.Stores))
	for _, s := range p.Stores {
		if s.ID.IsZero() || seen[s.ID] || s.Capacity < 0 {
			return fmt.Errorf("register store %s of host %s: %w: id is zero or listed twice, or capacity is negative", s.ID, p.Host, vstack.ErrInvalid)
		}
		seen[s.ID] = true
		if _, _, err := net.SplitHostPort(s.Addr); err != nil || len(s.Addr) > 270 {
			return fmt.Errorf("register store %s: address %.80q: %w: want HOST:PORT", s.ID, s.Addr, vstack.ErrInvalid)
		}
	}
	return nil
}

// CheckActivation reports what is wrong with an activation's fields.
func CheckActivation(p ActivateEpochsPayload) error {
	if len(p.Changes) == 0 || len(p.Changes) > vstack.PlacementGroups {
		return fmt.Errorf("activate epochs: %w: %d changes, want 1 to %d", vstack.ErrInvalid, len(p.Changes), vstack.PlacementGroups)
	}
	for _, c := range p.Changes {
		if c.PG >= vstack.PlacementGroups || c.Epoch == 0 || c.Attempt == 0 {
			return fmt.Errorf("activate epoch %d of group %d, attempt %d: %w: no such attempt is ever issued", c.Epoch, c.PG, c.Attempt, vstack.ErrInvalid)
		}
	}
	return nil
}

// CheckLoss reports what is wrong with giving up votes, of groups as they are.
func CheckLoss(p AcceptLossPayload, level vstack.Level, groups []vstack.PGTargets) error {
	switch {
	case level < vstack.LevelPolicy:
		return fmt.Errorf("accept a loss: %w: there is no such order below feature level %d", vstack.ErrInvalid, vstack.LevelPolicy)
	case len(p.Groups) == 0 || len(p.Groups) > vstack.PlacementGroups:
		return fmt.Errorf("accept the loss of %d groups: %w: want 1 to %d", len(p.Groups), vstack.ErrInvalid, vstack.PlacementGroups)
	}
	seen := map[vstack.PG]bool{}
	for _, l := range p.Groups {
		if int(l.PG) >= len(groups) || seen[l.PG] {
			return fmt.Errorf("accept the loss of group %d: %w: it does not exist, or is named twice", l.PG, vstack.ErrInvalid)
		}
		seen[l.PG] = true
		g := groups[l.PG]
		if next := g.Next; g.Epoch != l.From || l.To <= l.From || next != nil && l.To <= next.Epoch {
			return fmt.Errorf("accept the loss of group %d, from epoch %d to %d: %w: it is at epoch %d", l.PG, l.From, l.To, vstack.ErrEpochStale, g.Epoch)
		}
	}
	return nil
}

// CheckStep reports what is wrong with the fields of a step_class.
func CheckStep(p StepClassPayload) error {
	switch {
	case !slices.Contains(p.From.Next(), p.To):
		return fmt.Errorf("step video %s from %.20q to %.20q: %w: that is no step", p.Video, p.From, p.To, vstack.ErrInvalid)
	case p.From != vstack.ClassHot && (!p.Layout.IsZero() || p.HostsCanFail != 0):
		return fmt.Errorf("step video %s from %s: %w: its layout was decided when it left hot", p.Video, p.From, vstack.ErrInvalid)
	case p.From != vstack.ClassHot:
		return nil
	case p.HostsCanFail < 0:
		return fmt.Errorf("step video %s: %w: %d hosts can fail", p.Video, vstack.ErrInvalid, p.HostsCanFail)
	}
	return p.Layout.Check()
}

// ViewsOf is the command that adds what a member counted.
func ViewsOf(batch wire.ViewsBatch) AddViewsPayload {
	p := AddViewsPayload{Views: make([]VideoViews, len(batch.Views)), Source: batch.Source}
	for i, v := range batch.Views {
		p.Views[i] = VideoViews(v)
	}
	return p
}
