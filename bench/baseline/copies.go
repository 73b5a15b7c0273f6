package baseline

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/quic-go/quic-go/http3"
	"golang.org/x/sys/unix"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
)

// A copies host does for a chunk's copy what nobody who keeps it durable, checked and encrypted
// can leave out, on net/http and os.File alone: TLS; one SHA-256 while the bytes arrive; one pass
// of AES-256-GCM, in place; one write and one fdatasync. A read is one pread and one pass of the
// same cipher. There is no admission, vote, group commit, checksum beside the cipher's tags, nor
// an index that outlives the process.

// copiesSetup is the standard input of a copies host.
type copiesSetup struct {
	TLS   string            `json:"tls"`   // directory of the host's identity
	Files map[string]string `json:"files"` // the file by HOST:PORT
}

// sealedBlock is what is encrypted at once; its tag goes behind the chunk's last block.
const (
	sealedBlock = vstack.BlockSize
	tagLen      = 16
	copyLen     = vstack.ChunkSize + vstack.ChunkSize/sealedBlock*tagLen
)

// copies is one file of chunks, all of ChunkSize.
type copies struct {
	f    *os.File
	aead cipher.AEAD
	end  atomic.Int64
	bufs sync.Pool
	at   sync.Map // vstack.ChunkID: int64
}

// serveCopies runs a copies host until ctx ends.
func serveCopies(ctx context.Context, conf copiesSetup, ready func()) (err error) {
	id, err := identity.Load(conf.TLS)
	if err != nil {
		return err
	}
	var ends []func() error
	defer func() {
		for _, end := range ends {
			err = errors.Join(err, end())
		}
	}()
	for addr, name := range conf.Files {
		c, err := newCopies(name)
		if err != nil {
			return err
		}
		ends = append(ends, c.f.Close)
		tcp, err := net.Listen("tcp", addr)
		if err != nil {
			return err
		}
		h1 := &http.Server{Handler: c, TLSConfig: id.ServerTLS("http/1.1"), ErrorLog: log.New(io.Discard, "", 0)}
		ends = append(ends, h1.Close)
		udp, err := net.ListenPacket("udp", addr)
		if err != nil {
			return err
		}
		h3 := &http3.Server{Handler: c, TLSConfig: http3.ConfigureTLSConfig(id.ServerTLS())}
		ends = append(ends, h3.Close, udp.Close)
		go func() { _ = h1.ServeTLS(tcp, "", "") }() // a client that is not answered says so
		go func() { _ = h3.Serve(udp) }()
	}
	ready()
	<-ctx.Done()
	return nil
}

func newCopies(name string) (*copies, error) {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	c := &copies{bufs: sync.Pool{New: func() any { return new([copyLen]byte) }}}
	if c.aead, err = cipher.NewGCM(block); err != nil {
		return nil, err
	}
	if c.f, err = os.Create(name); err != nil {
		return nil, fmt.Errorf("create baseline file: %w", err)
	}
	return c, nil
}

func (c *copies) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, err := vstack.ParseChunkID(path.Base(r.URL.Path))
	if err == nil && r.Method == http.MethodPut {
		err = c.put(r, id)
	} else if err == nil {
		err = c.get(w, id)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (c *copies) put(r *http.Request, want vstack.ChunkID) error {
	buf := c.bufs.Get().(*[copyLen]byte)
	defer c.bufs.Put(buf)
	hash := sha256.New()
	const step = 256 << 10 // it is hashed while it lies in the processor's cache
	for off := 0; off < vstack.ChunkSize; off += step {
		p := buf[off:min(off+step, vstack.ChunkSize)]
		if _, err := io.ReadFull(r.Body, p); err != nil {
			return err
		}
		hash.Write(p)
	}
	if vstack.ChunkID(hash.Sum(nil)) != want {
		return vstack.ErrHashMismatch
	}
	at := c.end.Add(copyLen) - copyLen
	for i := range vstack.ChunkSize / sealedBlock {
		p := buf[i*sealedBlock:]
		next := [tagLen]byte(p[sealedBlock:]) // where the tag lands for a moment
		c.aead.Seal(p[:0], nonceOf(at, i), p[:sealedBlock], nil)
		copy(buf[vstack.ChunkSize+i*tagLen:], p[sealedBlock:sealedBlock+tagLen])
		copy(p[sealedBlock:], next[:])
	}
	if _, err := c.f.WriteAt(buf[:], at); err != nil {
		return err
	}
	if err := unix.Fdatasync(int(c.f.Fd())); err != nil {
		return fmt.Errorf("fdatasync %s: %w", c.f.Name(), err)
	}
	c.at.Store(want, at)
	return nil
}

func (c *copies) get(w http.ResponseWriter, id vstack.ChunkID) error {
	at, ok := c.at.Load(id)
	if !ok {
		return vstack.ErrNotFound
	}
	buf := c.bufs.Get().(*[copyLen]byte)
	defer c.bufs.Put(buf)
	if _, err := c.f.ReadAt(buf[:], at.(int64)); err != nil {
		return err
	}
	tags := [vstack.ChunkSize / sealedBlock * tagLen]byte(buf[vstack.ChunkSize:])
	for i := range vstack.ChunkSize / sealedBlock {
		p := buf[i*sealedBlock:]
		next := [tagLen]byte(p[sealedBlock:])
		copy(p[sealedBlock:], tags[i*tagLen:(i+1)*tagLen])
		if _, err := c.aead.Open(p[:0], nonceOf(at.(int64), i), p[:sealedBlock+tagLen], nil); err != nil {
			return err
		}
		copy(p[sealedBlock:], next[:])
	}
	w.Header().Set("Content-Length", strconv.Itoa(vstack.ChunkSize))
	_, err := w.Write(buf[:vstack.ChunkSize])
	return err
}

// nonceOf is a block's, no two of a file: the key is the process's.
func nonceOf(at int64, block int) []byte {
	var n [12]byte
	binary.LittleEndian.PutUint64(n[:], uint64(at))
	binary.LittleEndian.PutUint32(n[8:], uint32(block))
	return n[:]
}
