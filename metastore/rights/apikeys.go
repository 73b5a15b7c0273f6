package rights

import (
	"fmt"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/apikeys"
	"github.com/vstack/vstack/metastore/asked"
	"github.com/vstack/vstack/metastore/catalog/command"
)

func listAPIKeys(d Desk, c echo.Context) error {
	return d.Answer(c, wire.List[vstack.APIKey]{Items: append([]vstack.APIKey{}, d.View().APIKeys()...)})
}

// createAPIKey draws the key here: the log and the catalog have its hash alone.
func createAPIKey(d Desk, c echo.Context) error {
	var req wire.APIKeyRequest
	if err := asked.Body(c.Request(), &req, false); err != nil {
		return err
	}
	k, key, err := apikeys.Make(req, time.Now().UTC())
	if err != nil {
		return err
	}
	c.Request().Header.Del(wire.HeaderRequestID) // a repeat makes another
	return change(d, c, vstack.LevelKeys, command.ChangeAPIKeys, command.ChangeAPIKeysPayload{Add: &k}, wire.APIKeyReply{APIKey: k, Key: key})
}

func dropAPIKey(d Desk, c echo.Context) error {
	return change(d, c, vstack.LevelKeys, command.ChangeAPIKeys, command.ChangeAPIKeysPayload{Drop: c.Param("name")}, nil)
}

// useAPIKey tells an uploader whose key it was shown.
func useAPIKey(d Desk, c echo.Context) error {
	var req wire.UseAPIKeyRequest
	if err := asked.Body(c.Request(), &req, false); err != nil {
		return err
	}
	if (req.ID == vstack.APIKeyID{}) { // of no key: the asker's fault, and not of who showed it
		return fmt.Errorf("use of an API key: %w: want its id", vstack.ErrInvalid)
	}
	k, err := apikeys.Find(d.View().APIKeys(), req.ID, time.Now())
	if err != nil || req.Films == 0 {
		return answerOr(d, c, k, err)
	}
	if !k.Roles().Has(vstack.RoleUpload | vstack.RoleAdmin) {
		return fmt.Errorf("API key %s: %w: it is not to upload", k.Name, vstack.ErrForbidden)
	}
	use := command.APIKeyUse{Name: k.Name, Films: req.Films, Bytes: req.Bytes}
	return change(d, c, vstack.LevelKeys, command.ChangeAPIKeys, command.ChangeAPIKeysPayload{Use: &use}, k)
}

func answerOr(d Desk, c echo.Context, v any, err error) error {
	if err != nil {
		return err
	}
	return d.Answer(c, v)
}
