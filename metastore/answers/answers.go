package answers

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// JSON sends v.
func JSON(c echo.Context, v any) error { return JSONAs(c, http.StatusOK, v) }

// Packed is JSON for what is long and waited for: compressed where the one who asks takes that.
func Packed(c echo.Context, v any) error {
	return send(c, http.StatusOK, v, func(b []byte) []byte { return wire.Packed(c.Response().Header(), c.Request(), b) })
}

// JSONAs is JSON with a status.
func JSONAs(c echo.Context, status int, v any) error {
	return send(c, status, v, func(b []byte) []byte { return b })
}

func send(c echo.Context, status int, v any, form func([]byte) []byte) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	b = form(b)
	if c.Response().Header().Get(echo.HeaderCacheControl) == "" {
		c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	}
	return c.Blob(status, echo.MIMEApplicationJSON, b)
}

// Errors answers with errors, which nothing else does; what is the program's own fault is logged.
func Errors(log *slog.Logger) echo.HTTPErrorHandler {
	return func(err error, c echo.Context) {
		if c.Response().Committed {
			return // the answer is under way; the client sees it end short
		}
		var he *echo.HTTPError
		if errors.As(err, &he) && vstack.SentinelOf(err) == vstack.ErrInternal {
			what := c.Request().Method + " " + c.Request().URL.Path
			switch he.Code {
			case http.StatusMethodNotAllowed: // echo has set Allow
				err = fmt.Errorf("%.200s: %w", what, vstack.ErrMethod)
			case http.StatusNotFound:
				err = fmt.Errorf("%.200s: no such route: %w", what, vstack.ErrNotFound)
			default:
				err = fmt.Errorf("%.200s: %w: %v", what, vstack.ErrInvalid, he.Message)
			}
		}
		if vstack.SentinelOf(err) == vstack.ErrInternal {
			log.Error("request", "method", c.Request().Method, "path", c.Request().URL.Path, "err", err)
		}
		wire.WriteError(c.Response(), err)
	}
}

// QuietLog takes the lines that net/http writes about broken clients.
func QuietLog(l *slog.Logger) *log.Logger {
	return slog.NewLogLogger(l.Handler(), slog.LevelDebug)
}
