package lab

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/vstack"
)

// A bundle is what one host's machine needs: a gzipped tar of exactly these files.
// It holds the host's private key.
var bundleFiles = []string{config.File, tlsDir + "/ca.crt", tlsDir + "/tls.crt", tlsDir + "/tls.key"}

// issuingFiles are those of a member's bundle besides, where the cluster has an issuing key.
var issuingFiles = []string{tlsDir + "/issuing.crt", tlsDir + "/issuing.key"}

// maxBundleFile bounds one file of a bundle.
const maxBundleFile = 1 << 20

// Pack writes the host's bundle to path, readable by its owner alone.
func (h *Host) Pack(path string) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("pack host %s: %w", h.ID, err)
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = fmt.Errorf("pack host %s: %w", h.ID, err)
		}
	}()
	zip := gzip.NewWriter(f)
	out := tar.NewWriter(zip)
	for _, name := range slices.Concat(bundleFiles, issuingFiles) {
		body, err := os.ReadFile(filepath.Join(h.Dir, name))
		if errors.Is(err, fs.ErrNotExist) && slices.Contains(issuingFiles, name) {
			continue
		}
		if err != nil {
			return err
		}
		if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(body)), Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		if _, err := out.Write(body); err != nil {
			return err
		}
	}
	return errors.Join(out.Close(), zip.Close(), f.Sync())
}

func readBundle(path string) (map[string][]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseBundle(f)
}

// parseBundle reads exactly the files of a bundle; a name beyond them is refused, so
// no archive can write elsewhere.
func parseBundle(r io.Reader) (map[string][]byte, error) {
	zip, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", vstack.ErrInvalid, err)
	}
	defer zip.Close()
	files := map[string][]byte{}
	in := tar.NewReader(zip)
	for {
		head, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %v", vstack.ErrInvalid, err)
		}
		_, twice := files[head.Name]
		if !slices.Contains(slices.Concat(bundleFiles, issuingFiles), head.Name) || head.Typeflag != tar.TypeReg || twice {
			return nil, fmt.Errorf("%w: unexpected entry %.80q", vstack.ErrInvalid, head.Name)
		}
		body, err := io.ReadAll(io.LimitReader(in, maxBundleFile+1))
		if err != nil {
			return nil, fmt.Errorf("%w: %v", vstack.ErrInvalid, err)
		}
		if len(body) > maxBundleFile {
			return nil, fmt.Errorf("%w: %s is larger than %d bytes", vstack.ErrTooLarge, head.Name, maxBundleFile)
		}
		files[head.Name] = body
	}
	for _, name := range bundleFiles {
		if files[name] == nil {
			return nil, fmt.Errorf("%w: %s is missing", vstack.ErrInvalid, name)
		}
	}
	return files, nil
}
