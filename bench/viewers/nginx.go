package viewers

import (
	"bytes"
	"context"
	"fmt"
	"github.com/vstack/vstack/internal/sleep"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// nginx serves a folder over TLS, as a person who knows it would have it: one worker a
// processor, sendfile, session tickets.
type nginx struct {
	addr string
	c    *exec.Cmd
	said bytes.Buffer
	done chan error
}

const nginxConf = `worker_processes auto;
daemon off;
pid %[1]s/nginx.pid;
error_log stderr warn;
events { worker_connections 4096; }
http {
	access_log off;
	sendfile on;
	tcp_nopush on;
	client_body_temp_path %[1]s/tmp; proxy_temp_path %[1]s/tmp; fastcgi_temp_path %[1]s/tmp; uwsgi_temp_path %[1]s/tmp; scgi_temp_path %[1]s/tmp;
	server {
		listen %[2]s ssl;
		ssl_certificate %[3]s/tls.crt;
		ssl_certificate_key %[3]s/tls.key;
		ssl_protocols TLSv1.3;
		ssl_session_cache shared:s:1m;
		root %[4]s;
	}
}
`

// startNginx serves root at a free port of addr, with the certificate in certs.
func startNginx(ctx context.Context, dir, root, addr, certs string) (*nginx, error) {
	program, err := exec.LookPath("nginx")
	if err != nil {
		if program = "/usr/sbin/nginx"; !isFile(program) {
			return nil, errNoNginx
		}
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(addr, "0"))
	if err != nil {
		return nil, err
	}
	n := &nginx{addr: ln.Addr().String(), done: make(chan error, 1)}
	if err := ln.Close(); err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir, n.addr, certs, root), 0o600); err != nil {
		return nil, err
	}
	n.c = exec.Command(program, "-p", dir, "-c", conf, "-g", "user root;")
	if os.Geteuid() != 0 {
		n.c.Args = n.c.Args[:5]
	}
	n.c.Stderr = &n.said
	if err := n.c.Start(); err != nil {
		return nil, fmt.Errorf("start nginx: %w", err)
	}
	go func() { n.done <- n.c.Wait() }()
	for ctx.Err() == nil {
		select {
		case err := <-n.done:
			n.done <- err
			return nil, fmt.Errorf("nginx ended: %w: %s", err, n.said.String())
		default:
		}
		if conn, err := net.DialTimeout("tcp", n.addr, time.Second); err == nil {
			return n, conn.Close()
		}
		sleep.For(ctx, 20*time.Millisecond)
	}
	return nil, n.close()
}

// close asks it to end and waits.
func (n *nginx) close() error {
	if err := n.c.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	<-n.done
	return nil
}

// export writes a film's segments as files below root, at their own paths.
func export(ctx context.Context, client *http.Client, f film, root, video string) error {
	for _, path := range f.segments {
		to := filepath.Join(root, "play", video, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		file, err := os.Create(to)
		if err != nil {
			return err
		}
		_, err = get(ctx, client, f.base+path, file)
		if e := file.Close(); err == nil {
			err = e
		}
		if err != nil {
			return fmt.Errorf("export %s: %w", path, err)
		}
	}
	return nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
