package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
)

// Joined is what Join made of a bundle.
type Joined struct {
	Config *config.Server
	// Fresh says that the directory was no host before.
	Fresh bool
	// Changed and Kept say, for people, what the bundle replaced of a host that was there, and
	// what of it stays although the bundle has something else.
	Changed, Kept []string
	// Restart says that a host that runs takes Changed at its next start only.
	Restart bool
}

// Join unpacks a bundle into dir. Where dir is that host already, it gives it the
// certificate of the bundle, and what the authority's side decides: the host's address, the
// members, roles that its certificate gained or lost. Whatever else its configuration says
// stays, and so does all data. A bundle of another host, of another cluster, or older than
// what is there changes nothing.
func Join(bundle, dir string) (Joined, error) {
	j, err := join(bundle, dir)
	if err != nil {
		return j, fmt.Errorf("join: bundle %s, directory %s: %w", bundle, dir, err)
	}
	return j, nil
}

func join(bundle, dir string) (Joined, error) {
	files, err := readBundle(bundle)
	if err != nil {
		return Joined{}, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Joined{}, err
	}
	aside, err := os.MkdirTemp(dir, ".join-")
	if err != nil {
		return Joined{}, err
	}
	defer os.RemoveAll(aside)
	b, err := unpack(files, aside)
	if err != nil {
		return Joined{}, fmt.Errorf("the bundle is not good: %w", err)
	}
	_, err = os.Stat(filepath.Join(dir, config.File))
	if errors.Is(err, fs.ErrNotExist) {
		if b.expired != nil {
			return Joined{}, b.late()
		}
		return b.first(files, dir)
	}
	if err != nil {
		return Joined{}, err
	}
	return b.renew(files, dir)
}

// unpacked is a bundle that was found good.
type unpacked struct {
	dir    string
	config *config.Server
	seen   identity.Seen
	// expired is set where its certificate is good no more. That matters not to a host which
	// has renewed itself since.
	expired error
}

// unpack writes the bundle's files into dir and reads them as the host would.
func unpack(files map[string][]byte, dir string) (*unpacked, error) {
	for name, body := range files {
		if err := place(filepath.Join(dir, name), body, 0o600); err != nil {
			return nil, err
		}
	}
	c, err := config.LoadServer(filepath.Join(dir, config.File), nil, nil, nil)
	if err != nil {
		return nil, err
	}
	seen, err := identity.Look(filepath.Join(dir, tlsDir))
	if err != nil {
		return nil, err
	}
	_, expired := identity.Load(filepath.Join(dir, tlsDir))
	if expired != nil && !errors.Is(expired, identity.ErrExpired) {
		return nil, expired
	}
	if seen.Peer.Role != identity.RoleHost || seen.Peer.ID != c.Host {
		return nil, fmt.Errorf("%w: its certificate is of %s %q, its configuration of host %q", vstack.ErrInvalid, seen.Peer.Role, seen.Peer.ID, c.Host)
	}
	return &unpacked{dir: dir, config: c, seen: seen, expired: expired}, nil
}

// first makes dir the host's. The configuration goes last: a directory is a host's once it
// is there.
func (b *unpacked) first(files map[string][]byte, dir string) (Joined, error) {
	if err := b.note(filepath.Join(dir, tlsDir)); err != nil {
		return Joined{}, err
	}
	if err := placeIssuing(files, filepath.Join(dir, tlsDir)); err != nil {
		return Joined{}, err
	}
	for i := range bundleFiles {
		name := bundleFiles[len(bundleFiles)-1-i]
		if err := place(filepath.Join(dir, name), files[name], 0o600); err != nil {
			return Joined{}, err
		}
	}
	c, err := config.LoadServer(filepath.Join(dir, config.File), nil, nil, nil)
	return Joined{Config: c, Fresh: true}, err
}

// renew has the host at dir take what the bundle has for it.
func (b *unpacked) renew(files map[string][]byte, dir string) (Joined, error) {
	file := filepath.Join(dir, config.File)
	have, err := config.LoadServer(file, nil, nil, nil)
	if err != nil {
		return Joined{}, fmt.Errorf("the configuration that is there cannot be read: %w", err)
	}
	if have.Host != b.config.Host {
		return Joined{}, fmt.Errorf("%w: the directory is host %q, the bundle is of host %q", vstack.ErrInvalid, have.Host, b.config.Host)
	}
	was, err := identity.Look(have.TLS)
	lost := errors.Is(err, fs.ErrNotExist) || errors.Is(err, vstack.ErrInvalid)
	switch {
	case err != nil && !lost:
		return Joined{}, err
	case !lost && !was.SameCluster(b.seen):
		return Joined{}, fmt.Errorf("%w: the bundle is of another cluster, whose authority this host does not trust", identity.ErrWrongCA)
	}
	renewed, err := b.notOlder(have.TLS, was, lost)
	if err != nil {
		return Joined{}, err
	}
	// A bundle that moves a member has it come back as a new one.
	next := *b.config
	next.Meta.Dir = have.Meta.Dir
	if at, err := moved(&next); err != nil {
		return Joined{}, err
	} else if at != "" {
		if err := stopped(have.Meta.Dir); err != nil {
			return Joined{}, err
		}
	}
	j := Joined{}
	m := merge{j: &j, have: have, want: b.config}
	if !lost {
		m.rolesWere, m.rolesAre = was.Peer.Roles, b.seen.Peer.Roles
	}
	doc, err := m.apply(file)
	if err != nil {
		return j, err
	}
	if renewed {
		err = b.authorities(files, have.TLS, was, &j)
	} else {
		err = b.certificate(files, have.TLS, was, lost, &j)
	}
	if err := errors.Join(err, b.note(have.TLS)); err != nil {
		return j, err
	}
	if doc.Changed() {
		body, err := doc.Bytes()
		if err != nil {
			return j, err
		}
		old, err := os.ReadFile(file)
		if err != nil {
			return j, err
		}
		if err := errors.Join(place(file+".old", old, 0o600), place(file, body, 0o600)); err != nil {
			return j, err
		}
		j.Restart = true
		j.Kept = append(j.Kept, "the configuration as it was: "+file+".old")
	}
	if j.Config, err = config.LoadServer(file, nil, nil, nil); err != nil {
		return j, err
	}
	return j, moveAside(&j)
}

// stamp is how times of certificates are shown.
const stamp = "2006-01-02 15:04"

// certificate puts the bundle's into dir, the key before what it belongs to. Authorities that
// are trusted already stay so: somebody may be replacing one.
func (b *unpacked) certificate(files map[string][]byte, dir string, was identity.Seen, lost bool, j *Joined) error {
	before := "nothing that can be read"
	if !lost {
		before = "the one until " + was.NotAfter.Format(stamp)
	}
	if err := placeIssuing(files, dir); err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		body []byte
	}{{"ca.crt", b.seen.Authorities(was)}, {"tls.key", files[tlsDir+"/tls.key"]}, {"tls.crt", files[tlsDir+"/tls.crt"]}} {
		if err := place(filepath.Join(dir, f.name), f.body, 0o600); err != nil {
			return err
		}
	}
	j.Changed = append([]string{fmt.Sprintf("the certificate: good until %s, in place of %s", b.seen.NotAfter.Format(stamp), before)}, j.Changed...)
	return nil
}

// placeIssuing puts the issuing key into a directory of certificates, where the bundle has it.
func placeIssuing(files map[string][]byte, dir string) error {
	for _, name := range issuingFiles {
		if body := files[name]; body != nil {
			if err := place(filepath.Join(dir, filepath.Base(name)), body, 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// place replaces path by body. The file belongs to whom its directory belongs, whoever runs
// this, before it has its name: the host that reads it may be another user.
func place(path string, body []byte, mode fs.FileMode) (err error) {
	dir := filepath.Dir(path)
	if err := makeLike(dir); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(body)
	if err = errors.Join(err, f.Chmod(mode), own(f.Name(), dir), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeLike makes dir, for the owner of the directory that it lies in.
func makeLike(dir string) error {
	err := os.Mkdir(dir, 0o700)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil:
		return err
	}
	return own(dir, filepath.Dir(dir))
}

// own gives path to the owner of dir; root alone can.
func own(path, dir string) error {
	info, err := os.Stat(dir)
	if err != nil || os.Geteuid() != 0 {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return os.Chown(path, int(st.Uid), int(st.Gid))
	}
	return nil
}
