package metastore

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/answers"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/issuing"
	"github.com/vstack/vstack/metastore/params"
	"github.com/vstack/vstack/metastore/rights"
)

// accessRoutes are those of package rights, and the one that signs certificates.
func accessRoutes() []route {
	all := []route{{wire.Route{Method: http.MethodPost, Path: "/v1/certificates/renew", Summary: "Renew the certificate of the host that asks, at a member with the issuing key", Roles: vstack.RolesHost,
		Request: wire.RenewRequest{}, Response: wire.RenewReply{}, Errors: params.WriteErrors(vstack.ErrNotFound)}, anywhere, smallBody, (*Server).renewCertificate, false}}
	for _, r := range rights.Routes() {
		at := leader
		if r.Readable {
			at = readable
		}
		all = append(all, route{r.Route, at, r.Body, func(s *Server, c echo.Context) error { return r.Handle(desk{s}, c) }, false})
	}
	return all
}

// desk shows a member to package rights.
type desk struct{ s *Server }

func (d desk) View() *catalog.View                { return d.s.catalog.View() }
func (d desk) Answer(c echo.Context, v any) error { return answers.JSON(c, v) }
func (d desk) Commit(c echo.Context, t command.Type, payload any) error {
	_, err := d.s.commit(c, t, payload)
	return err
}

func (s *Server) renewCertificate(c echo.Context) error {
	out, err := issuing.Renew(c.Request(), s.cfg.Identity, time.Now())
	if err == nil {
		err = answers.JSON(c, out)
	}
	return err
}
