package main

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// TestThePageUploadsWithATicket has a person without a certificate, whose files no uploader takes,
// read why on the page, and upload with a ticket from the page's field, then with one from a link.
func TestThePageUploadsWithATicket(t *testing.T) {
	needPages(t)
	s := newScenario(t)
	b := s.chromium()
	ticket := func() string {
		var made wire.TicketReply
		s.vstackJSON(&made, "tickets", "new", "a publisher")
		return made.Token
	}
	b.do(chromedp.Navigate(s.consoleOf(s.stranger())))
	b.do(chromedp.Click(chromedp.Search(`nav a[href="/upload"]`)))
	b.until(`document.querySelector(".drop") !== null`)
	b.do(chromedp.SetUploadFiles(chromedp.Search(`input[type="file"]`), []string{clip(t, "4", "1")}))
	b.until(`document.querySelector(".jobs [role=alert]")?.textContent.includes("vstack tickets new") && document.querySelector(".ticket").open`)
	b.accessible(axeCore(t), "upload, refused")
	b.shot("upload-refused")
	s.step("the page says why not")
	first := ticket()
	b.do(chromedp.Click(chromedp.Search(`.ticket input`)), chromedp.SendKeys(chromedp.Search(`.ticket input`), first+kb.Tab))
	b.until(`document.querySelector(".cmd code").textContent.endsWith(" --ticket TICKET")`)
	b.do(chromedp.Click(chromedp.Search(`//button[.="Go on"]`)))
	b.until(`document.querySelectorAll('.jobs a[href^="/watch/"]').length === 1 && document.querySelector(".jobs [role=alert]") === null`)
	b.shot("upload-ticket")
	b.do(chromedp.Click(chromedp.Search(`header .segments button:nth-child(3)`)), chromedp.EmulateViewport(360, 800))
	b.until(`document.documentElement.dataset.theme === "dark" && innerWidth === 360`)
	b.accessible(axeCore(t), "upload with a ticket, dark and narrow")
	b.shot("upload-ticket-narrow-dark")
	b.do(chromedp.EmulateViewport(1280, 900))
	s.step("a ticket from the field is taken")

	// The one that is used up is worth nothing more; a link brings another, which leaves the address.
	b.do(chromedp.SetUploadFiles(chromedp.Search(`input[type="file"]`), []string{clip(t, "4", "2")}))
	b.until(`document.querySelectorAll(".jobs [role=alert]").length === 1`)
	link := ticket()
	b.do(chromedp.Navigate(ask[string](b, `location.origin`) + "/upload?ticket=" + url.QueryEscape(link)))
	b.do(chromedp.WaitVisible(chromedp.Search(`.ticket input`)))
	b.until(`location.search === "" && document.querySelector(".ticket input")?.value === "` + link + `"`)
	b.do(chromedp.SetUploadFiles(chromedp.Search(`input[type="file"]`), []string{clip(t, "4", "2")}))
	b.until(`document.querySelectorAll('.jobs a[href^="/watch/"]').length === 2 && document.querySelector(".jobs [role=alert]") === null`)
	s.step("a ticket from a link is taken")
	var left wire.List[vstack.Ticket]
	if s.vstackJSON(&left, "tickets", "ls"); len(left.Items) != 0 {
		t.Errorf("tickets that are left: %+v", left.Items)
	}
	if at := ask[string](b, `JSON.stringify({...sessionStorage, ...localStorage})`); strings.Contains(at, link) || strings.Contains(at, first) {
		t.Error("the browser keeps a ticket:", at)
	}
}

// stranger is the cluster for a bundle without a certificate, whose uploads come, as the uploader
// sees it, from elsewhere: a proxy says that it asks for others.
func (s *scenario) stranger() *cluster.Cluster {
	s.Helper()
	client, err := config.LoadClient(s.lab.Client, nil, nil)
	if err != nil {
		s.Fatal(err)
	}
	bundle, host := s.TempDir(), filepath.Join(s.lab.Hosts[0].Dir, "tls")
	ca, err := os.ReadFile(filepath.Join(client.TLS, "ca.crt"))
	if err == nil {
		err = os.WriteFile(filepath.Join(bundle, "ca.crt"), ca, 0o600)
	}
	if err != nil {
		s.Fatal(err)
	}
	roots, err := identity.LoadRoots(filepath.Join(bundle, "ca.crt"))
	if err != nil {
		s.Fatal(err)
	}
	cert, err := tls.LoadX509KeyPair(filepath.Join(host, "tls.crt"), filepath.Join(host, "tls.key"))
	if err != nil {
		s.Fatal(err)
	}
	to := &http.Transport{TLSClientConfig: roots.ClientTLS()}
	srv := httptest.NewUnstartedServer(&httputil.ReverseProxy{Transport: to, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "https", Host: s.ingest(0)})
		r.Out.Host = s.ingest(0)
		r.SetXForwarded()
	}})
	ip, _, _ := net.SplitHostPort(s.ingest(0)) // the certificate is for it
	_ = srv.Listener.Close()
	if srv.Listener, err = net.Listen("tcp", net.JoinHostPort(ip, "0")); err != nil {
		s.Fatal(err)
	}
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	srv.StartTLS()
	s.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
		to.CloseIdleConnections()
	})
	client.TLS, client.Uploaders = bundle, []string{strings.TrimPrefix(srv.URL, "https://")}
	c, err := cluster.Open(client, nil)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(c.Close)
	return c
}
