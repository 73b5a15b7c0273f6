package catalog

import (
	"errors"
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/blobs"
	"github.com/vstack/vstack/metastore/catalog/rows"
)

// manifest reads the manifest of a row; nil for one without. A view may be older than the
// deletion of a video whose manifest was dropped since: ErrNotFound. Where the manifest should be
// there, and is not, the member ends.
func (v *View) manifest(r *rows.Video) (*vstack.Manifest, error) {
	if !r.Published() {
		return nil, nil
	}
	m, err := readBlob(v.blobs, r.ManifestDigest())
	return m, v.explain(r, err)
}

// blob is the manifest as it is kept.
func (v *View) blob(r *rows.Video) ([]byte, error) {
	b, err := v.blobs.Get(r.ManifestDigest())
	return b, v.explain(r, err)
}

// explain says what it means that the manifest of a row could not be read.
func (v *View) explain(r *rows.Video, err error) error {
	if err == nil || errors.Is(err, vstack.ErrClosed) || v.of == nil {
		return err
	}
	now := rows.Get[*rows.Video](v.of.db.Load().Txn(false), rows.TableVideos, r.Key())
	if now == nil || now.ManifestDigest() != r.ManifestDigest() {
		return fmt.Errorf("manifest of video %s: %w: it was deleted meanwhile", r.Video.ID, vstack.ErrNotFound)
	}
	v.of.lose(err)
	return fmt.Errorf("manifest of video %s: %w", r.Video.ID, err)
}

// manifest reads one that the catalog names, while it applies a command.
func (c *Catalog) manifest(d blobs.Digest) (*vstack.Manifest, error) {
	m, err := readBlob(c.blobs, d)
	if err != nil && !errors.Is(err, vstack.ErrClosed) {
		c.lose(err)
	}
	return m, err
}

// lose marks what is on the disk, so that the next process does not begin with it, and ends
// this one.
func (c *Catalog) lose(err error) {
	c.lost.Do(func() {
		err = errors.Join(err, c.blobs.Damaged(err))
		c.cfg.Logger.Error("a manifest cannot be read: this member must not go on", "code", vstack.ErrManifestsLost.Code(), "err", err)
		c.cfg.Fatal(err)
	})
}

func readBlob(from *blobs.Store, d blobs.Digest) (*vstack.Manifest, error) {
	b, err := from.Get(d)
	if err != nil {
		return nil, err
	}
	m, err := rows.DecodeBlob(b, d)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", vstack.ErrManifestsLost, err)
	}
	return m, nil
}
