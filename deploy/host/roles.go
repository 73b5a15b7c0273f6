package host

import (
	"context"
	"errors"
	"syscall"

	"github.com/vstack/vstack/datanode"
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/deploy/datakey"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore"
	"github.com/vstack/vstack/metastore/standin"
	"github.com/vstack/vstack/quicclient"
	"github.com/vstack/vstack/quicclient/gateway"
	"github.com/vstack/vstack/uploader"
	"github.com/vstack/vstack/uploader/jail"
)

func (h *host) addMeta(ctx context.Context) error {
	cfg := metastore.Config{
		ID: h.cfg.Host, Dir: h.cfg.Meta.Dir, Join: h.cfg.Meta.Join, RoundTrip: h.cfg.Meta.RoundTrip, Identity: h.id,
		Version: h.version, Registry: h.registry(config.RoleMeta), Tracer: h.tracer, Logger: h.log.With("role", config.RoleMeta), DeadAfter: h.cfg.DeadAfter, RemoveAfter: h.cfg.RemoveAfter,
	}
	for _, p := range h.cfg.Meta.Peers {
		cfg.Peers = append(cfg.Peers, metastore.PeerConfig{ID: p.ID, Raft: p.Raft, API: p.API})
	}
	var err error
	if cfg.Key, err = datakey.Meta(h.cfg).Key(h.keys, h.cfg.Data.Encrypts()); errors.Is(err, vstack.ErrKeyMissing) {
		return h.standIn(ctx, cfg, err)
	}
	if err != nil {
		return err
	}
	if err := standin.Check(cfg.Dir, cfg.Key); errors.Is(err, vstack.ErrCorrupt) || errors.Is(err, vstack.ErrManifestsLost) || errors.Is(err, syscall.EIO) {
		return h.standIn(ctx, cfg, err)
	}
	srv, err := metastore.Open(ctx, cfg)
	if errors.Is(err, vstack.ErrKeyMissing) { // it says of itself that it is encrypted, and has no key file
		return h.standIn(ctx, cfg, err)
	}
	if err != nil {
		return err
	}
	h.parts = append(h.parts, part{name: config.RoleMeta, run: srv.Run, close: srv.Close})
	return nil
}

// standIn has the other roles go on without a member whose log is damaged, or lacks its key.
func (h *host) standIn(ctx context.Context, cfg metastore.Config, why error) error {
	if errors.Is(why, vstack.ErrKeyMissing) {
		h.log.Error("the metadata member is left out: its directory is encrypted, and its data key cannot be had; the other roles go on", "code", vstack.ErrKeyMissing.Code(), "err", why)
	}
	me := config.Peer{ID: h.cfg.Host}
	for _, p := range h.cfg.Meta.Peers {
		if p.ID == h.cfg.Host {
			me = p
		}
	}
	s, err := standin.Open(ctx, standin.Config{ID: me.ID, Raft: me.Raft, API: me.API, Dir: cfg.Dir, Why: why, Identity: h.id, Version: h.version,
		Logger: cfg.Logger, Members: len(h.cfg.Meta.Peers)})
	if err != nil {
		return err
	}
	h.parts = append(h.parts, part{name: config.RoleMeta, run: s.Run, close: s.Close})
	return nil
}

func (h *host) addData(ctx context.Context) error {
	reg, log := h.registry(config.RoleData), h.log.With("role", config.RoleData)
	peers, err := quicclient.New(quicclient.Config{
		TLS: h.id.ClientTLS(), Placement: h.meta.RefreshPlacement, Logger: log, Registry: reg,
	})
	if err != nil {
		return err
	}
	h.parts = append(h.parts, part{name: "peer fetch", close: peers.Close})
	cfg := datanode.Config{
		Host: vstack.HostID(h.cfg.Host), Identity: h.id, Meta: h.meta, Peers: peers,
		CatalogDir: h.cfg.Data.Catalog, SuperblockSize: int64(h.cfg.Data.Superblock), Overhead: h.cfg.Data.Overhead, DropGrace: h.cfg.Data.DropGrace, ScrubEvery: h.cfg.Data.ScrubEvery, ScrubRate: int64(h.cfg.Data.ScrubRate), Grace: h.cfg.Grace / 2,
		Keys: h.keys, Encrypt: h.cfg.Data.Encrypts(),
		Browsers: !h.cfg.Data.NoBrowsers, Version: h.version, Registry: reg, Tracer: h.tracer, Logger: log,
	}
	if cfg.CatalogKey, err = datakey.View(h.cfg).Key(h.keys, cfg.Encrypt); errors.Is(err, vstack.ErrKeyMissing) {
		h.log.Warn("what the host knows of the catalog is encrypted, and its data key cannot be had: it is left as it is, and kept in memory", "code", vstack.ErrKeyMissing.Code(), "err", err)
		cfg.CatalogDir, err = "", nil
	}
	if err != nil {
		return err
	}
	for _, s := range h.cfg.Data.Stores {
		cfg.Stores = append(cfg.Stores, datanode.StoreConfig{Dir: s.Dir, Addr: s.Addr, Capacity: int64(s.Capacity)})
	}
	srv, err := datanode.Open(ctx, cfg)
	if errors.Is(err, vstack.ErrKeyMissing) { // which store and why was logged
		h.log.Error("role data is left out: no store could be opened without its data key; the other roles go on", "code", vstack.ErrKeyMissing.Code())
		return nil
	}
	if err != nil {
		return err
	}
	h.parts = append(h.parts, part{name: config.RoleData, run: srv.Run, close: srv.Close})
	return nil
}

func (h *host) addIngest(ctx context.Context) error {
	reg, log := h.registry(config.RoleIngest), h.log.With("role", config.RoleIngest)
	chunks, err := quicclient.New(quicclient.Config{
		TLS: h.id.ClientTLS(), Placement: h.meta.RefreshPlacement, Logger: log, Registry: reg,
		WriteTransport: quicclient.WriteTransport(h.cfg.WriteTransport),
	})
	if err != nil {
		return err
	}
	h.parts = append(h.parts, part{name: "chunk writes", close: chunks.Close})
	in := h.cfg.Ingest
	key, err := datakey.Spool(h.cfg).Key(h.keys, h.cfg.Data.Encrypts())
	if errors.Is(err, vstack.ErrKeyMissing) {
		h.log.Error("role ingest is left out: its spool is encrypted, and its data key cannot be had; what waits there is kept, and the other roles go on", "code", vstack.ErrKeyMissing.Code(), "err", err)
		return nil
	}
	if err != nil {
		return err
	}
	srv, err := uploader.Open(ctx, uploader.Config{
		Addr: in.Addr, Host: vstack.HostID(h.cfg.Host), Open: in.Open, Dir: in.Dir, Key: key, Identity: h.id, Catalog: h.meta, Chunks: chunks,
		FFmpeg: in.FFmpeg, FFprobe: in.FFprobe, Jail: jail.Jail{Helper: jail.Self, User: in.User}, MaxUpload: int64(in.MaxUpload), MaxJobs: in.MaxJobs, InFlight: in.InFlight,
		Version: h.version, Registry: reg, Tracer: h.tracer, Logger: log,
	})
	if err != nil {
		return err
	}
	h.parts = append(h.parts, part{name: config.RoleIngest, run: srv.Run, close: srv.Close})
	return nil
}

func (h *host) addGateway(ctx context.Context) error {
	reg, log := h.registry(config.RoleGateway), h.log.With("role", config.RoleGateway)
	chunks, err := quicclient.New(quicclient.Config{TLS: h.id.ClientTLS(), Placement: h.meta.RefreshPlacement, Logger: log, Registry: reg})
	if err != nil {
		return err
	}
	h.parts = append(h.parts, part{name: "chunk reads", close: chunks.Close})
	c := h.cfg.Gateway
	srv, err := gateway.Open(ctx, gateway.Config{
		Catalog: h.meta, Chunks: chunks, CacheBytes: int64(c.Cache), Name: h.cfg.Host, Pathways: pathways(c.Pathways), PathwayClient: h.pathwayClient(), Version: h.version, Registry: reg, Tracer: h.tracer, Logger: log,
	}, gateway.Listeners{Addr: c.Addr, TLS: h.id.ServerTLS("h2", "http/1.1"), Certificate: c.Cert, Key: c.Key, Plain: c.Plain, Consensus: c.Consensus})
	if err != nil {
		return err
	}
	h.parts = append(h.parts, part{name: config.RoleGateway, run: srv.Run, close: srv.Close})
	return nil
}
