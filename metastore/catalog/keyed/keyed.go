package keyed

import (
	"errors"
	"fmt"

	"github.com/hashicorp/go-memdb"
)

// ID is the name of the index by which a row is the only one.
const ID = "id"

// By indexes a row by bytes of fixed length, so that a lookup, which memdb does by
// prefix in an index that is not unique, never finds a neighbour.
type By[R any] func(R) []byte

func (k By[R]) FromObject(o any) (bool, []byte, error) {
	r, ok := o.(R)
	if !ok {
		return false, nil, fmt.Errorf("index: row is a %T", o)
	}
	return true, k(r), nil
}

func (k By[R]) FromArgs(args ...any) ([]byte, error) {
	if len(args) == 1 {
		if b, ok := args[0].([]byte); ok {
			return b, nil
		}
	}
	return nil, errors.New("index: want one []byte")
}

// Table is a table whose rows have an ID of their own, and other indexes.
func Table[R any](name string, id By[R], others map[string]By[R]) *memdb.TableSchema {
	t := &memdb.TableSchema{Name: name, Indexes: map[string]*memdb.IndexSchema{
		ID: {Name: ID, Unique: true, Indexer: id},
	}}
	for n, k := range others {
		t.Indexes[n] = &memdb.IndexSchema{Name: n, Indexer: k}
	}
	return t
}
