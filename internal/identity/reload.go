package identity

import (
	"context"
	"log/slog"
	"os"
	"time"
)

// pollInterval is how often Run looks at the files. Three stat calls cost nothing,
// and polling also sees files on mounts that send no change events.
const pollInterval = 2 * time.Second

// stamp is how Run tells that a file changed.
type stamp struct {
	size  int64
	mtime time.Time
}

// OnReload sets what Run calls after each attempt to reload: with nil when new files
// are in use, or with what is wrong with them (once for each state of the files).
// Set it before Run.
func (i *Identity) OnReload(f func(error)) { i.onReload = f }

// LogReloads has log told what became of files that were replaced while the process
// runs: new ones that cannot be used would else show only when the old ones expire. It
// takes the place of OnReload.
func (i *Identity) LogReloads(log *slog.Logger) {
	i.OnReload(func(err error) {
		if err != nil {
			log.Error("new certificates are not used, the old ones stay", "err", err)
			return
		}
		log.Info("new certificates are in use", "file", i.certPath)
	})
}

// Run reloads whenever a file changes, until ctx ends. Files that make no valid
// identity, for example because only one of certificate and key was replaced yet, are
// tried again at every change while the old ones stay in use.
func (i *Identity) Run(ctx context.Context) error {
	seen := i.stamps()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := i.stamps()
		if now == seen {
			continue
		}
		seen = now
		if err := i.Reload(); i.onReload != nil {
			i.onReload(err)
		}
	}
}

func (i *Identity) stamps() (s [3]stamp) {
	for n, path := range []string{i.caPath, i.certPath, i.keyPath} {
		if path == "" {
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			s[n] = stamp{size: -1}
			continue
		}
		s[n] = stamp{size: info.Size(), mtime: info.ModTime()}
	}
	return s
}
