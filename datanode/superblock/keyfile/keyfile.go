package keyfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sync"

	"filippo.io/age"

	"github.com/vstack/vstack/datanode/superblock/seal"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

// File is the name of the key file in a store's directory, maxFile its bound in bytes.
const (
	File    = "key.age"
	maxFile = 128 << 10
)

// content is what is inside.
type content struct {
	Store      vstack.StoreID `json:"store"`
	Generation uint32         `json:"generation"`
	Key        []byte         `json:"key"`
}

// Keys makes and opens the key files of a host's stores. It may be used concurrently.
type Keys struct {
	wrapping Wrapping
	mu       sync.Mutex // one store at a time makes the identity, or asks for a passphrase
}

// New opens nothing yet.
func New(w Wrapping) *Keys { return &Keys{wrapping: w} }

// Make is of stamp.Keys: it draws a data key and keeps it in dir.
func (k *Keys) Make(fsys vfs.FS, dir string, id vstack.StoreID, rand io.Reader) (seal.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.wrapping.makeIdentity(); err != nil {
		return seal.Key{}, err
	}
	key, err := seal.NewKey(rand)
	if err != nil {
		return seal.Key{}, err
	}
	return key, k.wrapping.write(fsys, dir, id, key)
}

// Open is of stamp.Keys: it reads the data key in dir.
func (k *Keys) Open(fsys vfs.FS, dir string, id vstack.StoreID) (seal.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	path := filepath.Join(dir, File)
	b, err := vfs.ReadFile(fsys, path, maxFile)
	if err != nil {
		return seal.Key{}, fmt.Errorf("%s: %w: %w", path, vstack.ErrKeyMissing, err)
	}
	c, err := k.wrapping.open(b)
	switch {
	case err != nil:
		return seal.Key{}, fmt.Errorf("%s: %w", path, err)
	case c.Store != id:
		return seal.Key{}, fmt.Errorf("%s is of store %s, this is store %s: %w", path, c.Store, id, vstack.ErrKeyMissing)
	}
	return seal.Key{Generation: c.Generation, Secret: [seal.KeyLen]byte(c.Key)}, nil
}

// Rewrap has the key file in dir be opened by another wrapping from now on, and returns whose
// it is. A store that runs goes on: it has its key in memory.
func (k *Keys) Rewrap(fsys vfs.FS, dir string, to Wrapping) (vstack.StoreID, error) {
	path := filepath.Join(dir, File)
	b, err := vfs.ReadFile(fsys, path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return vstack.StoreID{}, fmt.Errorf("%s: the store is not encrypted: %w", dir, vstack.ErrNotFound)
	}
	if err != nil {
		return vstack.StoreID{}, err
	}
	c, err := k.wrapping.open(b)
	if err != nil {
		return vstack.StoreID{}, fmt.Errorf("%s: %w", path, err)
	}
	if err := to.makeIdentity(); err != nil {
		return c.Store, err
	}
	return c.Store, to.write(fsys, dir, c.Store, seal.Key{Generation: c.Generation, Secret: [seal.KeyLen]byte(c.Key)})
}

// write makes a key file and puts it in its place once it was opened as the next start will.
func (w Wrapping) write(fsys vfs.FS, dir string, id vstack.StoreID, key seal.Key) error {
	recipients, err := w.recipients()
	if err != nil {
		return err
	}
	body, err := json.Marshal(content{Store: id, Generation: key.Generation, Key: key.Secret[:]})
	if err != nil {
		return fmt.Errorf("encode data key: %w", err)
	}
	var out bytes.Buffer
	in, err := age.Encrypt(&out, recipients...)
	if err == nil {
		if _, err = in.Write(body); err == nil {
			err = in.Close()
		}
	}
	if err != nil {
		return fmt.Errorf("wrap data key by %s: %w", w, err)
	}
	if c, err := w.open(out.Bytes()); err != nil || !bytes.Equal(c.Key, key.Secret[:]) {
		return fmt.Errorf("wrap data key by %s: it does not open again: %w", w, errors.Join(err, vstack.ErrInvalid))
	}
	return vfs.WriteFile(fsys, filepath.Join(dir, File), out.Bytes(), 0o600)
}

// open reads a key file. Its errors are ErrKeyMissing.
func (w Wrapping) open(b []byte) (c content, err error) {
	ids, err := w.identities()
	if err != nil {
		return c, err
	}
	var none *age.NoIdentityMatchError
	r, err := age.Decrypt(bytes.NewReader(b), ids...)
	switch {
	case errors.As(err, &none):
		return c, fmt.Errorf("it is not wrapped by %s: %w", w, vstack.ErrKeyMissing)
	case err != nil:
		return c, fmt.Errorf("open by %s: %w: %w", w, vstack.ErrKeyMissing, err)
	}
	body, err := io.ReadAll(io.LimitReader(r, maxFile))
	if err == nil {
		err = json.Unmarshal(body, &c)
	}
	if err != nil || len(c.Key) != seal.KeyLen || c.Generation == 0 {
		return c, fmt.Errorf("it is damaged: %w", vstack.ErrKeyMissing) // what is inside is not told
	}
	return c, nil
}
