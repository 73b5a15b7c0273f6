package rows

import (
	"encoding/binary"
	"fmt"

	"github.com/hashicorp/go-memdb"

	"github.com/vstack/vstack/metastore/catalog/keyed"
)

// Tables, and indexes of theirs.
const (
	TableVideos  = "videos"
	TableUploads = "uploads"
	TableViews   = "views"
	TableStores  = "stores"
	TableGroups  = "groups"
	TableEvents  = "events"
	TableMeta    = "meta"

	ByID      = keyed.ID
	ByCreated = "created" // Raft index that created the row
	ByChanged = "changed" // Raft index of the last change that the feed shows
	BySource  = "source"  // SHA-256 of the uploaded file
)

// NewDB makes empty tables, but for the one row of Meta.
func NewDB() (*memdb.MemDB, error) {
	tables := []*memdb.TableSchema{
		keyed.Table(TableVideos, (*Video).Key, map[string]keyed.By[*Video]{
			ByCreated: func(r *Video) []byte { return Key64(r.Created) },
			ByChanged: func(r *Video) []byte { return Key64(r.Video.Index) },
		}),
		keyed.Table(TableUploads, (*Upload).Key, map[string]keyed.By[*Upload]{
			ByCreated: func(r *Upload) []byte { return Key64(r.Created) },
			ByChanged: func(r *Upload) []byte { return Key64(r.Changed) },
			BySource:  func(r *Upload) []byte { return r.Upload.Source.SHA256[:] },
		}),
		keyed.Table(TableViews, (*Views).Key, nil),
		keyed.Table(TableStores, (*Store).Key, nil),
		keyed.Table(TableGroups, (*Groups).Key, nil),
		keyed.Table(TableEvents, (*Event).Key, nil),
		keyed.Table(TableMeta, (*Meta).Key, nil),
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
	if err := txn.Insert(TableMeta, &Meta{}); err != nil {
		return nil, fmt.Errorf("make catalog tables: %w", err)
	}
	txn.Commit()
	return db, nil
}

// Key64 is big-endian, so that byte order is number order.
func Key64(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

// Get reads one row by id; the zero R when there is none. memdb's only errors here are
// unknown tables and indexes, which the tests of the schema rule out.
func Get[R any](txn *memdb.Txn, table string, key []byte) (r R) {
	o, err := txn.First(table, ByID, key)
	if err != nil {
		panic(fmt.Sprintf("catalog: read %s: %v", table, err))
	}
	if o != nil {
		r = o.(R)
	}
	return r
}

// Each walks rows in the order of an index.
func Each[R any](txn *memdb.Txn, table, index string, f func(R), args ...any) {
	it, err := txn.Get(table, index, args...)
	if err != nil {
		panic(fmt.Sprintf("catalog: walk %s by %s: %v", table, index, err))
	}
	for o := it.Next(); o != nil; o = it.Next() {
		f(o.(R))
	}
}
