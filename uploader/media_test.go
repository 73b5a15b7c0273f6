package uploader

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/sleep"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	enterJail()
	dir, err := os.MkdirTemp("", "vstack-uploader-test-")
	if err != nil {
		panic(err)
	}
	clips.dir = dir
	code := m.Run()
	os.RemoveAll(dir)
	if code == 0 {
		if err := goleak.Find(
			// It ends with its timer, a second after its request.
			goleak.IgnoreAnyFunction("github.com/tus/tusd/v2/pkg/handler.newDelayedContext.func1")); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			code = 1
		}
	}
	os.Exit(code)
}

// clips are generated once a test binary, each on first use.
var clips struct {
	dir string
	mu  sync.Mutex
}

const picture, tone = "testsrc2=s=320x180:r=25:d=3", "sine=f=440:d=3"

// recipes are ffmpeg arguments before the output's name.
var recipes = map[string][]string{
	"h264.mp4":      {"-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone, "-c:v", "libx264", "-g", "25", "-bf", "2", "-pix_fmt", "yuv420p", "-c:a", "aac"},
	"vp8.webm":      {"-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone, "-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libvorbis"},
	"faststart.mp4": {"-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", "-movflags", "+faststart"},
	"wide.mkv":      {"-f", "lavfi", "-i", "color=s=16384x16:r=5:d=0.4", "-c:v", "ffv1"},
	"tone.m4a":      {"-f", "lavfi", "-i", "sine=d=5:r=8000", "-c:a", "aac", "-b:a", "12k"},
	"subtitles.mp4": {"-f", "srt", "-i", "data:text/plain,1%0A00:00:01,000%20-->%2000:00:02,000%0AHello%0A%0A", "-c:s", "mov_text"},
	// Noise at 6 Mbit/s: several chunks a second apart.
	"large.mp4": {"-f", "lavfi", "-i", "testsrc2=s=640x360:r=25:d=12,noise=alls=60:allf=t", "-f", "lavfi", "-i", "sine=d=12", "-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-b:v", "8M", "-pix_fmt", "yuv420p", "-c:a", "aac"},
}

// clip returns the path of a generated file.
func clip(t testing.TB, name string) string {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("SKIPPED: ffmpeg is not installed")
	}
	clips.mu.Lock()
	defer clips.mu.Unlock()
	path := filepath.Join(clips.dir, name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	args := append([]string{"-v", "error", "-nostdin", "-y"}, recipes[name]...)
	out, err := exec.Command("ffmpeg", append(args, path)...).CombinedOutput()
	if err != nil {
		t.Fatalf("make %s: %v: %s", name, err, out)
	}
	return path
}

// testIdentity is a self-signed certificate for 127.0.0.1.
type testIdentity struct {
	cert tls.Certificate
	pool *x509.CertPool
}

func newIdentity(t testing.TB) *testIdentity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &testIdentity{cert: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool: pool}
}

func (*testIdentity) Guard(next http.Handler, _ func(http.ResponseWriter, error)) http.Handler {
	return next
}

func (i *testIdentity) ServerTLS(protos ...string) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{i.cert}, NextProtos: []string{"h2", "http/1.1"}}
}

// waitFor polls a condition; it is for what has no event to wait on.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	for !ok() {
		if !sleep.For(ctx, 5*time.Millisecond) {
			t.Fatalf("timed out waiting until %s", what)
		}
	}
}
