package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestEachExampleIsTakenByItsProgram gives each example to the check of its program, with a
// certificate in place of the public one.
func TestEachExampleIsTakenByItsProgram(t *testing.T) {
	for _, tc := range []struct {
		program, file string
		args          func(dir, file string) []string
	}{
		{"nginx", "nginx.conf", func(dir, file string) []string {
			return []string{"-t", "-p", dir, "-c", file, "-g", "pid " + dir + "/pid; error_log stderr;"}
		}},
		{"haproxy", "haproxy.cfg", func(_, file string) []string { return []string{"-c", "-f", file} }},
		{"caddy", "Caddyfile", func(_, file string) []string {
			return []string{"validate", "--adapter", "caddyfile", "--config", file}
		}},
	} {
		t.Run(tc.program, func(t *testing.T) {
			program, err := exec.LookPath(tc.program)
			if err != nil {
				if program = filepath.Join("/usr/sbin", tc.program); !exists(program) {
					t.Skipf("SKIPPED: %s is not installed", tc.program)
				}
			}
			dir := t.TempDir()
			cert := certificate(t, dir)
			text, err := os.ReadFile(tc.file)
			if err != nil {
				t.Fatal(err)
			}
			own := strings.NewReplacer("/etc/letsencrypt/live/films.example.org/fullchain.pem", cert, "/etc/letsencrypt/live/films.example.org/privkey.pem", cert,
				"/etc/haproxy/films.example.org.pem", cert).Replace(string(text))
			if tc.program != "caddy" && own == string(text) {
				t.Fatal("the example names no certificate")
			}
			file := filepath.Join(dir, tc.file)
			if err := os.WriteFile(file, []byte(own), 0o600); err != nil {
				t.Fatal(err)
			}
			c := exec.Command(program, tc.args(dir, file)...)
			c.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
			for _, wanted := range []string{"127.0.0.1:8887", "X-Forwarded-For"} {
				if !strings.Contains(own, wanted) {
					t.Errorf("%s does not say %s", tc.file, wanted)
				}
			}
		})
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// certificate writes a certificate and its key into one file.
func certificate(t *testing.T, dir string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"films.example.org"}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	out := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	path := filepath.Join(dir, "films.pem")
	if err := os.WriteFile(path, out, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
