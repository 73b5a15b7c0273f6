package program

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
)

// Program is a vstack executable and what it was built from.
type Program struct {
	Exe    string // its file
	Commit string // full hash, or the file's name where it was given as a file
}

// Build returns the program of a commit of the repository that this directory is in, or of
// a file that is named by a path with a slash in it.
func Build(ctx context.Context, rev string) (Program, error) {
	if strings.ContainsRune(rev, filepath.Separator) {
		return given(rev)
	}
	commit, err := run(ctx, "", "git", "rev-parse", "--verify", "--quiet", "--end-of-options", rev+"^{commit}")
	if err != nil {
		return Program{}, fmt.Errorf("program of %.60q: %w: no commit of the repository here; run it in one that has it, or name a file: %w", rev, vstack.ErrNotFound, err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return Program{}, fmt.Errorf("program of %s: %w", commit, err)
	}
	dir := filepath.Join(cache, "vstack", "programs")
	p := Program{Exe: filepath.Join(dir, commit), Commit: commit}
	if _, err := os.Stat(p.Exe); err == nil {
		return p, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Program{}, fmt.Errorf("program of %s: %w", commit, err)
	}
	tmp, err := os.MkdirTemp(dir, ".build-")
	if err != nil {
		return Program{}, fmt.Errorf("program of %s: %w", commit, err)
	}
	err = build(ctx, tmp, p)
	if err := errors.Join(err, os.RemoveAll(tmp)); err != nil {
		return Program{}, fmt.Errorf("program of %s: %w", commit, err)
	}
	return p, nil
}

func given(file string) (Program, error) {
	file, err := filepath.Abs(file)
	if err != nil {
		return Program{}, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return Program{}, fmt.Errorf("program: %w", err)
	}
	if !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return Program{}, fmt.Errorf("program %s: %w: no executable file", file, vstack.ErrInvalid)
	}
	return Program{Exe: file, Commit: filepath.Base(file)}, nil
}

// build unpacks the commit into tmp and builds it; only a whole program gets its name.
func build(ctx context.Context, tmp string, p Program) error {
	src := filepath.Join(tmp, "src")
	if err := checkOut(ctx, p.Commit, src); err != nil {
		return err
	}
	exe := filepath.Join(tmp, "vstack")
	// The stamp of the version control would be that of a repository around the cache.
	stamp := fmt.Sprintf("-X main.version=%.12s -X main.commit=%.12s", p.Commit, p.Commit)
	if _, err := run(ctx, src, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", stamp, "-o", exe, "./cmd/vstack"); err != nil {
		return err
	}
	return os.Rename(exe, p.Exe)
}

// checkOut writes a commit's files into dir.
func checkOut(ctx context.Context, commit, dir string) (err error) {
	top, err := run(ctx, "", "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "git", "-C", top, "archive", "--format=tar", commit)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = unpack(out, dir)
	_, _ = io.Copy(io.Discard, out) // so that it can end; what matters of its output was read
	if werr := cmd.Wait(); werr != nil {
		err = errors.Join(err, fmt.Errorf("git archive %s: %w: %s", commit, werr, strings.TrimSpace(complaint.String())))
	}
	return err
}

// unpack writes the directories and files of an archive; links are not followed, and none
// is made.
func unpack(r io.Reader, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir) // no name of the archive leads out of it
	if err != nil {
		return err
	}
	defer root.Close()
	for in := tar.NewReader(r); ; {
		head, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
		switch head.Typeflag {
		case tar.TypeDir:
			err = root.Mkdir(filepath.Clean(head.Name), 0o755)
			if errors.Is(err, fs.ErrExist) {
				err = nil
			}
		case tar.TypeReg:
			err = write(root, head.Name, in)
		}
		if err != nil {
			return fmt.Errorf("unpack %s: %w", head.Name, err)
		}
	}
}

func write(root *os.Root, name string, r io.Reader) error {
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

func run(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, args[0], err, strings.TrimSpace(complaint.String()))
	}
	return strings.TrimSpace(string(out)), nil
}
