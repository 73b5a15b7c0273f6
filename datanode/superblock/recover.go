package superblock

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/datanode/superblock/ahead"
	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/datanode/superblock/meter"
	"github.com/vstack/vstack/datanode/superblock/scan"
	"github.com/vstack/vstack/datanode/superblock/stamp"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

// footersAtOnce is how many files are read in parallel; footers of that many are in
// memory at a time.
const footersAtOnce = 16

// recover locks the directory and brings the index to what the files say.
func (s *Store) recover(ctx context.Context) (err error) {
	fsys, dir := s.cfg.FS, s.cfg.Dir
	if err := fsys.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	if s.lock, err = fsys.Lock(filepath.Join(dir, lockName)); err != nil {
		return fmt.Errorf("another process may have the store open: %w", err)
	}
	ids, err := s.listFiles()
	if err != nil {
		return err
	}
	if err := s.identify(len(ids)); err != nil {
		return err
	}
	if err := s.findings.ReadSettled(fsys, dir); err != nil {
		s.cfg.Logger.Warn("the list of lost records cannot be read; all count as new", "dir", dir, "err", err)
	}
	s.metrics = meter.New(s.cfg.Registry, s.id)
	if err := s.metrics.Register(); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	var open []*superblock // not sealed, ascending
	for len(ids) > 0 {
		n := min(len(ids), footersAtOnce)
		loaded, err := s.loadAll(ctx, ids[:n])
		if err != nil {
			return err
		}
		for _, b := range loaded {
			if b != nil && !b.sealed {
				open = append(open, b)
			}
		}
		ids = ids[n:]
	}
	if err := s.recoverTails(open); err != nil {
		return err
	}
	s.ix.Settle()
	s.restoreLSN()
	return nil
}

// identify reads who the store is, or has it be somebody, and opens its data key.
func (s *Store) identify(files int) error {
	st, err := s.home().Open(files, s.cfg.Encrypt)
	if err != nil {
		return err
	}
	s.id = st.ID
	s.version.Store(uint32(st.Version))
	s.box.Store(st.Box)
	return s.begin()
}

// home is where the store's stamp is.
func (s *Store) home() stamp.Place {
	return stamp.Place{FS: s.cfg.FS, Dir: s.cfg.Dir, Rand: s.cfg.Rand, Keys: s.cfg.Keys}
}

// listFiles lists the superblocks, ascending, and removes what creating one left behind.
func (s *Store) listFiles() ([]uint32, error) {
	names, err := s.cfg.FS.ReadDir(s.cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("list directory: %w", err)
	}
	var ids []uint32
	for _, name := range names {
		if strings.HasSuffix(name, tempSuffix) {
			if err := s.cfg.FS.Remove(filepath.Join(s.cfg.Dir, name)); err != nil {
				return nil, fmt.Errorf("remove leftover: %w", err)
			}
		}
		if id, ok := fileID(name); ok {
			ids = append(ids, id)
			s.nextID = max(s.nextID, id+1)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// loadAll opens files and takes the footers of the sealed ones into the index. The
// result holds nil for a file whose header is rotten.
func (s *Store) loadAll(ctx context.Context, ids []uint32) ([]*superblock, error) {
	loaded := make([]*superblock, len(ids))
	footers := make([][]byte, len(ids))
	g, ctx := errgroup.WithContext(ctx)
	for i, id := range ids {
		g.Go(func() (err error) {
			if err := ctx.Err(); err != nil {
				return err
			}
			loaded[i], footers[i], err = s.loadFile(id)
			return err
		})
	}
	err := g.Wait()
	for i, b := range loaded {
		if b == nil {
			continue
		}
		s.files[b.id] = b // also after an error: releaseAll closes them
		if err == nil && b.sealed {
			err = s.applyFooter(b, footers[i])
		}
	}
	return loaded, err
}

// loadFile opens one file and reads its footer, if it is sealed.
func (s *Store) loadFile(id uint32) (*superblock, []byte, error) {
	path := filepath.Join(s.cfg.Dir, fileName(id))
	f, err := s.cfg.FS.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("open superblock: %w", err)
	}
	b, footer, err := s.readEnds(f, id, path)
	if err != nil || b == nil {
		err = errors.Join(err, f.Close())
	}
	return b, footer, err
}

// readEnds reads a file's header and, if it is sealed, its footer. A sealed file whose
// footer is rotten comes back as not sealed, with rewrite set.
func (s *Store) readEnds(f vfs.File, id uint32, path string) (*superblock, []byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, nil, fmt.Errorf("size of %s: %w", path, err)
	}
	var h format.FileHeader
	var b [64]byte
	if size >= format.FileHeaderLen {
		if _, err := f.ReadAt(b[:], 0); err != nil {
			return nil, nil, fmt.Errorf("read header of %s: %w", path, err)
		}
	}
	switch err := h.Decode(b[:]); {
	case errors.Is(err, errors.ErrUnsupported):
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	case err != nil:
		s.found(Finding{Kind: FindLostRecords, File: path, Length: size, Err: err})
		return nil, nil, nil
	case uint32(h.Version) > s.version.Load():
		return nil, nil, fmt.Errorf("%s has format version %d, %s says at most %d: %w", path, h.Version, stamp.File, s.version.Load(), vstack.ErrCorrupt)
	case h.ID != id || h.Store != s.id:
		return nil, nil, fmt.Errorf("%s is file %d of store %s, this is store %s: %w", path, h.ID, h.Store, s.id, vstack.ErrInvalid)
	}
	sb := newSuperblock(f, path, h, s.box.Load())
	sb.size = size
	if size < format.FileHeaderLen+format.TrailerLen {
		return sb, nil, nil
	}
	if _, err := f.ReadAt(b[:], size-format.TrailerLen); err != nil {
		return nil, nil, fmt.Errorf("read trailer of %s: %w", path, err)
	}
	var t format.Trailer
	if t.Decode(b[:], h.Version, size) != nil || t.Salt != h.Salt || t.ID != id {
		return sb, nil, nil
	}
	footer := make([]byte, int(t.Count)*h.Version.EntryLen())
	if _, err := f.ReadAt(footer, t.Footer); err != nil {
		return nil, nil, fmt.Errorf("read footer of %s: %w", path, err)
	}
	if format.CRC(footer) != t.EntriesCRC {
		sb.rewrite = true
		return sb, nil, nil
	}
	sb.sealed, sb.first, sb.last = true, t.First, t.Last
	return sb, footer, nil
}

// applyFooter takes a sealed file's records into the index.
func (s *Store) applyFooter(b *superblock, footer []byte) error {
	var h format.Header
	for i := range len(footer) / b.version.EntryLen() {
		off, err := format.DecodeEntry(footer, i, &h, b.version)
		if err == nil {
			err = s.mayKeep(&h)
		}
		if err != nil { // its CRC was right: not rot, but a program's mistake
			return fmt.Errorf("%s: %w", b.path, err)
		}
		b.note(&h, off)
		s.ix.Apply(&h, b.id, off)
	}
	return nil
}

// mayKeep refuses a store that holds what this program does not look after, since
// compaction would drop it, and what files of the version do not have.
func (s *Store) mayKeep(h *format.Header) error {
	fragment := h.Kind == KindFragment || h.Kind == KindDropFragment
	foreign := h.KeyGeneration != 0 || h.Tagged
	if box := s.box.Load(); foreign && h.Version >= format.V4 && box != nil {
		foreign = h.KeyGeneration != box.Generation()
	}
	if fragment && h.Version < format.V3 || foreign {
		return fmt.Errorf("a %s record, key generation %d, in format version %d: %w: start the newer vstack, which wrote it",
			h.Kind, h.KeyGeneration, h.Version, errors.ErrUnsupported)
	}
	return nil
}

// recoverTails scans the files without a footer, newest first since what a newer one
// holds says how to judge an older. The newest of all goes on as the active one.
func (s *Store) recoverTails(open []*superblock) error {
	var newest uint32
	records := map[uint32]bool{}
	for id, b := range s.files {
		newest = max(newest, id)
		records[id] = b.sealed
	}
	for _, b := range slices.Backward(open) {
		later := false
		for id, has := range records {
			later = later || (id > b.id && has)
		}
		if err := s.recoverTail(b, later); err != nil {
			return err
		}
		records[b.id] = b.count > 0
		switch {
		case b.damaged: // kept as it is, and found again by every Open
		case b.id == newest && !b.rewrite && b.size <= s.cfg.SuperblockSize && b.version == s.appends():
			if err := s.continueFile(b); err != nil {
				return err
			}
		default:
			if err := b.seal(); err != nil {
				return err
			}
			b.size = b.sealedSize()
			b.sealed, b.entries = true, nil
		}
	}
	return nil
}

// recoverTail takes in the records of a file without a footer and cuts off its torn
// tail. It works on what the disk holds: a process that died of a failed sync may have
// left pages in memory that the disk never took.
func (s *Store) recoverTail(b *superblock, later bool) error {
	if err := b.f.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", b.path, err)
	}
	if err := b.f.Evict(); err != nil {
		return fmt.Errorf("evict %s: %w", b.path, err)
	}
	sc, err := scan.File(b.f, b.path, b.version, b.salt, b.size)
	if err != nil {
		return err
	}
	sealing := later || b.rewrite // a seal had begun: all records were durable
	if sealing && sc.Dirty {
		if sc.Dirty, err = sc.FooterMissing(b.f, b.path, b.version, b.size, b.rewrite); err != nil {
			return err
		}
		if !sc.Dirty {
			kind := FindRot
			if !later {
				kind = FindTornTail // of the seal
			}
			s.found(Finding{Kind: kind, File: b.path, Offset: b.size - format.TrailerLen, Length: format.TrailerLen, Err: format.ErrMalformed})
		}
	}
	v, err := sc.Judge(b.size, b.version, sealing, b.dataRight)
	if err != nil {
		return err
	}
	for _, g := range v.Lost {
		b.damaged = true
		s.found(Finding{Kind: FindLostRecords, File: b.path, Offset: g.From, Length: g.To - g.From, Err: format.ErrMalformed})
	}
	if v.Cut > 0 {
		s.found(Finding{Kind: FindTornTail, File: b.path, Offset: v.Cut, Length: b.size - v.Cut, Err: format.ErrMalformed})
		if err := b.cutTail(v.Cut); err != nil {
			return err
		}
	}
	var h format.Header
	for i := range sc.Records[:v.Keep] {
		rec := &sc.Records[i]
		if err := h.DecodeFixed(rec.Entry[:], b.version); err != nil {
			return err
		}
		if err := s.mayKeep(&h); err != nil {
			return fmt.Errorf("%s: %w", b.path, err)
		}
		b.add(rec.Entry[:], &h, rec.Off)
		s.ix.Apply(&h, b.id, rec.Off)
	}
	return nil
}

// cutTail removes a torn tail durably, before anything is written in its place.
func (b *superblock) cutTail(at int64) error {
	if err := b.f.Truncate(at); err != nil {
		return fmt.Errorf("cut torn tail of %s: %w", b.path, err)
	}
	if err := b.f.Sync(); err != nil {
		return fmt.Errorf("sync %s after cutting its tail: %w", b.path, err)
	}
	b.size = at
	return nil
}

// continueFile makes an unsealed file the active one.
func (s *Store) continueFile(b *superblock) error {
	if b.size < s.cfg.SuperblockSize {
		err := ahead.Reserve(b.f, s.cfg.SuperblockSize)
		if errors.Is(err, syscall.ENOSPC) {
			return nil // reads go on; the next append makes a file or tells that the disk is full
		}
		if err != nil {
			return fmt.Errorf("reserve space for %s: %w", b.path, err)
		}
		if err := b.f.Sync(); err != nil {
			return fmt.Errorf("sync %s: %w", b.path, err)
		}
		b.size = s.cfg.SuperblockSize
	}
	s.active = b
	return nil
}

// restoreLSN finds the last LSN: every file's base counts too, since compaction may
// have removed the record that held it.
func (s *Store) restoreLSN() {
	var last vstack.LSN
	for _, b := range s.files {
		last = max(last, b.base, b.last)
	}
	s.lsn.Store(uint64(last))
}
