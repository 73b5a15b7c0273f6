package baseline

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
)

const (
	etcdClientPort = "2379"
	etcdPeerPort   = "2380"
	etcdStart      = 30 * time.Second
)

// Etcd is a three-member etcd beside the lab: its own directories on the same disk,
// the lab's addresses, certificates of the lab's authority on every connection.
type Etcd struct {
	dir    string
	procs  []*exec.Cmd
	tls    *tls.Config
	leader string // HOST:PORT of the leader's client listener
}

// StartEtcd starts the members and waits until they have a leader.
func (s Site) StartEtcd(ctx context.Context, program string) (_ *Etcd, err error) {
	e := &Etcd{dir: filepath.Join(s.Dir, "etcd"), tls: s.TLS.Clone()}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	ca, err := identity.LoadCA(filepath.Join(s.Lab.Dir, "ca"))
	if err != nil {
		return nil, err
	}
	var ips, members []string
	for i, h := range s.Lab.Hosts {
		ip, _, _ := strings.Cut(h.Config.Data.Stores[0].Addr, ":")
		ips = append(ips, ip)
		members = append(members, fmt.Sprintf("e%d=https://%s:%s", i+1, ip, etcdPeerPort))
	}
	// Connections between loopback addresses come from 127.0.0.1, which etcd holds
	// against the certificate.
	certs := filepath.Join(e.dir, "tls")
	if err := ca.Issue(certs, identity.Spec{ID: "etcd", Role: identity.RoleHost, Addrs: append(ips, "127.0.0.1")}); err != nil {
		return nil, err
	}
	for i, ip := range ips {
		if err := e.start(program, fmt.Sprintf("e%d", i+1), ip, certs, strings.Join(members, ",")); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, etcdStart)
	defer cancel()
	for {
		if e.leader, err = e.findLeader(ctx, ips); err == nil {
			return e, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for etcd's leader: %w: %w", vstack.ErrTimeout, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (e *Etcd) start(program, name, ip, certs, members string) error {
	client, peer := "https://"+ip+":"+etcdClientPort, "https://"+ip+":"+etcdPeerPort
	ca, crt, key := filepath.Join(certs, "ca.crt"), filepath.Join(certs, "tls.crt"), filepath.Join(certs, "tls.key")
	cmd := exec.Command(program, "--name", name, "--data-dir", filepath.Join(e.dir, name),
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
		"--initial-cluster", members, "--initial-cluster-state", "new",
		"--client-cert-auth", "--trusted-ca-file", ca, "--cert-file", crt, "--key-file", key,
		"--peer-client-cert-auth", "--peer-trusted-ca-file", ca, "--peer-cert-file", crt, "--peer-key-file", key,
		"--logger", "zap", "--log-level", "error")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := os.Create(filepath.Join(e.dir, name+".log"))
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start etcd: %w", err)
	}
	e.procs = append(e.procs, cmd)
	return nil
}

// PIDs are the members' processes.
func (e *Etcd) PIDs() (out []int) {
	for _, p := range e.procs {
		out = append(out, p.Process.Pid)
	}
	return out
}

// findLeader asks each member whether it leads, by etcd's JSON gateway.
func (e *Etcd) findLeader(ctx context.Context, ips []string) (string, error) {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: e.tls}, Timeout: time.Second}
	defer client.CloseIdleConnections()
	err := fmt.Errorf("etcd: %w", vstack.ErrNoLeader)
	for _, ip := range ips {
		addr := ip + ":" + etcdClientPort
		req, rerr := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+addr+"/v3/maintenance/status", strings.NewReader("{}"))
		if rerr != nil {
			return "", rerr
		}
		resp, rerr := client.Do(req)
		if rerr != nil {
			err = rerr
			continue
		}
		var status struct {
			Header struct {
				Member string `json:"member_id"`
			} `json:"header"`
			Leader string `json:"leader"`
		}
		rerr = errors.Join(json.NewDecoder(resp.Body).Decode(&status), resp.Body.Close())
		if rerr == nil && status.Leader != "" && status.Leader == status.Header.Member {
			return addr, nil
		}
	}
	return "", err
}

// Close ends the members and removes their data.
func (e *Etcd) Close() error {
	for _, p := range e.procs {
		_ = p.Process.Kill()
		_ = p.Wait() // it was killed; that is its exit status
	}
	return os.RemoveAll(e.dir)
}

// EtcdClient speaks etcd's own gRPC over one HTTP/2 connection: framing and the one
// message that is needed are written here, so that both sides of the comparison have
// the same HTTP client, TLS and Go.
type EtcdClient struct {
	url  string
	http *http.Client
}

// Client makes a client of the leader, with a connection of its own.
func (e *Etcd) Client() *EtcdClient {
	p := new(http.Protocols)
	p.SetHTTP2(true)
	return &EtcdClient{url: "https://" + e.leader + "/etcdserverpb.KV/Put",
		http: &http.Client{Transport: &http.Transport{TLSClientConfig: e.tls.Clone(), Protocols: p}}}
}

// Close ends the connection.
func (c *EtcdClient) Close() { c.http.CloseIdleConnections() }

// Put stores a value and returns once etcd has committed it.
func (c *EtcdClient) Put(ctx context.Context, key, value string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(putRequest(key, value)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("TE", "trailers")
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("put to etcd: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("put to etcd: %w", err)
	}
	status := resp.Trailer.Get("Grpc-Status")
	if status == "" {
		status = resp.Header.Get("Grpc-Status") // an error without a message
	}
	if resp.StatusCode != http.StatusOK || status != "0" || len(body) < grpcHeader {
		return fmt.Errorf("put to etcd: %w: HTTP status %d, gRPC status %q, %d bytes", vstack.ErrUnavailable, resp.StatusCode, status, len(body))
	}
	return nil
}

// grpcHeader is a byte of flags and the message's length.
const grpcHeader = 5

// putRequest is a gRPC frame with etcdserverpb.PutRequest{key: 1, value: 2}.
func putRequest(key, value string) []byte {
	b := make([]byte, grpcHeader, grpcHeader+len(key)+len(value)+8)
	for field, s := range []string{key, value} {
		b = append(b, byte(field+1)<<3|2)
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	binary.BigEndian.PutUint32(b[1:], uint32(len(b)-grpcHeader))
	return b
}
