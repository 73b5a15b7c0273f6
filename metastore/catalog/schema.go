package catalog

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/hashicorp/go-memdb"
)

const (
	tableVideos  = "videos"
	tableUploads = "uploads"
	tableViews   = "views"
	tableStores  = "stores"
	tableGroups  = "groups"
	tableMeta    = "meta"

	byID      = "id"
	byCreated = "created" // Raft index that created the row
	byChanged = "changed" // Raft index of the last change that the feed shows
	bySource  = "source"  // SHA-256 of the uploaded file
)

// keyed indexes a row by bytes of fixed length, so that a lookup, which memdb does by
// prefix in an index that is not unique, never finds a neighbour.
type keyed[R any] func(R) []byte

func (k keyed[R]) FromObject(o any) (bool, []byte, error) {
	r, ok := o.(R)
	if !ok {
		return false, nil, fmt.Errorf("index: row is a %T", o)
	}
	return true, k(r), nil
}

func (k keyed[R]) FromArgs(args ...any) ([]byte, error) {
	if len(args) == 1 {
		if b, ok := args[0].([]byte); ok {
			return b, nil
		}
	}
	return nil, errors.New("index: want one []byte")
}

func table[R any](name string, id keyed[R], others map[string]keyed[R]) *memdb.TableSchema {
	t := &memdb.TableSchema{Name: name, Indexes: map[string]*memdb.IndexSchema{
		byID: {Name: byID, Unique: true, Indexer: id},
	}}
	for n, k := range others {
		t.Indexes[n] = &memdb.IndexSchema{Name: n, Indexer: k}
	}
	return t
}

func newDB() (*memdb.MemDB, error) {
	tables := []*memdb.TableSchema{
		table(tableVideos, (*videoRow).key, map[string]keyed[*videoRow]{
			byCreated: func(r *videoRow) []byte { return u64(r.Created) },
			byChanged: func(r *videoRow) []byte { return u64(r.Video.Index) },
		}),
		table(tableUploads, (*uploadRow).key, map[string]keyed[*uploadRow]{
			byCreated: func(r *uploadRow) []byte { return u64(r.Created) },
			byChanged: func(r *uploadRow) []byte { return u64(r.Changed) },
			bySource:  func(r *uploadRow) []byte { return r.Upload.Source.SHA256[:] },
		}),
		table(tableViews, (*viewsRow).key, nil),
		table(tableStores, (*storeRow).key, nil),
		table(tableGroups, (*groupsRow).key, nil),
		table(tableMeta, (*metaRow).key, nil),
	}
	schema := &memdb.DBSchema{Tables: map[string]*memdb.TableSchema{}}
	for _, t := range tables {
		schema.Tables[t.Name] = t
	}
	db, err := memdb.NewMemDB(schema)
	if err != nil {
		return nil, fmt.Errorf("make catalog tables: %w", err)
	}
	txn := db.Txn(true)
	defer txn.Abort()
	if err := txn.Insert(tableMeta, &metaRow{}); err != nil {
		return nil, fmt.Errorf("make catalog tables: %w", err)
	}
	txn.Commit()
	return db, nil
}

// u64 is big-endian, so that byte order is number order.
func u64(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }
