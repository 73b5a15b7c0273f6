package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/identity"
)

// mendIdentity is what mends the files of an identity in dir that cannot be used; renew is how
// new ones come there.
func mendIdentity(err error, dir, renew string) string {
	switch {
	case errors.Is(err, identity.ErrKeyExposed):
		return "chmod 600 " + filepath.Join(dir, "tls.key")
	case errors.Is(err, fs.ErrPermission):
		return "run this as the owner of " + dir + ", or: sudo vstack doctor"
	}
	return renew
}

// owners checks that what the host reads and writes belongs to one account: that of its
// directory. root reads all, so what is wrong shows at the next start only.
func owners(h *config.Server) Finding {
	check, home := "owners "+h.Host, filepath.Dir(h.TLS)
	want, ok := ownerOf(home)
	if !ok {
		return finding(check, OK, "", "%s is not there yet", home)
	}
	var wrong []string
	for _, path := range ownedPaths(h) {
		if got, ok := ownerOf(path); ok && got != want {
			wrong = append(wrong, fmt.Sprintf("%s is %s's", path, nameOf(got)))
		}
	}
	if len(wrong) > 0 {
		return finding(check, Fail, "sudo chown -R "+nameOf(want)+": "+home, "the directory is %s's, and %s", nameOf(want), strings.Join(wrong, ", "))
	}
	return finding(check, OK, "", "everything is %s's", nameOf(want))
}

func ownedPaths(h *config.Server) []string {
	out := []string{filepath.Join(filepath.Dir(h.TLS), config.File), h.TLS}
	for _, name := range []string{"ca.crt", "tls.crt", "tls.key"} {
		out = append(out, filepath.Join(h.TLS, name))
	}
	for _, d := range hostDirs(h) {
		out = append(out, d.path)
		entries, err := os.ReadDir(d.path)
		if err != nil {
			continue // the check of the disk says so
		}
		for _, e := range entries {
			if e.Name() != "lost+found" { // root's, of a file system that is mounted there
				out = append(out, filepath.Join(d.path, e.Name()))
			}
		}
	}
	return out
}

func ownerOf(path string) (uint32, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return st.Uid, true
}

func nameOf(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "user " + id
}

// Client checks the files of a client bundle in dir.
func Client(dir string) []Finding {
	check, renew := "client bundle", "vstack lab renew LAB where the authority is kept; then take LAB/client in place of "+dir
	c, err := config.LoadClient(dir, nil, nil)
	if err != nil {
		return []Finding{finding(check, Fail, renew, "%v", err)}
	}
	id, err := identity.Load(c.TLS)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err = identity.LoadRoots(filepath.Join(c.TLS, "ca.crt")); err == nil {
			return []Finding{finding(check, OK, "", "%s: reads only, it has no certificate", dir)}
		}
	}
	if err != nil {
		return []Finding{finding(check, Fail, mendIdentity(err, c.TLS, renew), "%v", err)}
	}
	if owner, ok := ownerOf(filepath.Join(c.TLS, "tls.key")); ok && int(owner) != os.Geteuid() && os.Geteuid() != 0 {
		return []Finding{finding(check, Warn, "sudo chown -R "+nameOf(uint32(os.Geteuid()))+" "+dir, "its key is %s's", nameOf(owner))}
	}
	p, left := id.Peer(), time.Until(id.NotAfter())
	if left < expiresSoon {
		return []Finding{finding(check, Warn, renew, "%s: the certificate of %s %s expires in %d days", dir, p.Role, p.ID, int(left.Hours()/24))}
	}
	return []Finding{finding(check, OK, "", "%s: %s %s, valid until %s", dir, p.Role, p.ID, id.NotAfter().Format(time.DateOnly))}
}
