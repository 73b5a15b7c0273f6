package catalog

import (
	"encoding/binary"
	"fmt"

	"github.com/hashicorp/go-memdb"

	"github.com/vstack/vstack/metastore/catalog/keyed"
)

const (
	tableVideos  = "videos"
	tableUploads = "uploads"
	tableViews   = "views"
	tableStores  = "stores"
	tableGroups  = "groups"
	tableEvents  = "events"
	tableMeta    = "meta"

	byID      = keyed.ID
	byCreated = "created" // Raft index that created the row
	byChanged = "changed" // Raft index of the last change that the feed shows
	bySource  = "source"  // SHA-256 of the uploaded file
)

func newDB() (*memdb.MemDB, error) {
	tables := []*memdb.TableSchema{
		keyed.Table(tableVideos, (*videoRow).key, map[string]keyed.By[*videoRow]{
			byCreated: func(r *videoRow) []byte { return u64(r.Created) },
			byChanged: func(r *videoRow) []byte { return u64(r.Video.Index) },
		}),
		keyed.Table(tableUploads, (*uploadRow).key, map[string]keyed.By[*uploadRow]{
			byCreated: func(r *uploadRow) []byte { return u64(r.Created) },
			byChanged: func(r *uploadRow) []byte { return u64(r.Changed) },
			bySource:  func(r *uploadRow) []byte { return r.Upload.Source.SHA256[:] },
		}),
		keyed.Table(tableViews, (*viewsRow).key, nil),
		keyed.Table(tableStores, (*storeRow).key, nil),
		keyed.Table(tableGroups, (*groupsRow).key, nil),
		keyed.Table(tableEvents, (*eventRow).key, nil),
		keyed.Table(tableMeta, (*metaRow).key, nil),
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
