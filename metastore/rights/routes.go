package rights

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/params"
)

// smallBody bounds a request's body, bytes.
const smallBody = 64 << 10

// Desk is a member that answers.
type Desk interface {
	View() *catalog.View
	// Commit proposes for who asks, and signs the answer.
	Commit(c echo.Context, t command.Type, payload any) error
	// Answer sends JSON.
	Answer(c echo.Context, v any) error
}

// Route joins a documented route to its handler.
type Route struct {
	wire.Route
	Readable bool  // as ?consistency says; else the leader
	Body     int64 // bytes
	Handle   func(Desk, echo.Context) error
}

// Routes is all of them.
func Routes() []Route {
	read := params.ReadErrors(vstack.ErrUnauthenticated, vstack.ErrForbidden)
	notFound := vstack.ErrNotFound
	return []Route{
		{wire.Route{Method: http.MethodGet, Path: "/v1/tickets", Summary: "List tickets to upload with, oldest first", Roles: vstack.RoleAdmin,
			Response: wire.List[vstack.Ticket]{}, Errors: read}, false, 0, listTickets},
		{wire.Route{Method: http.MethodPost, Path: "/v1/tickets", Summary: "Make a ticket to upload with; its token is said once", Roles: vstack.RoleAdmin,
			Request: wire.TicketRequest{}, Response: wire.TicketReply{}, Errors: params.WriteErrors()}, false, smallBody, createTicket},
		write(vstack.RoleAdmin, http.MethodDelete, "/v1/tickets/{id}", "Take a ticket back", nil, nil, params.WriteErrors(), dropTicket),
		write(vstack.RoleIngest|vstack.RoleAdmin, http.MethodPost, "/v1/tickets/{id}/use", "Take uses of a ticket, for an upload", wire.UseTicketRequest{}, nil, params.WriteErrors(), useTicket),
		{wire.Route{Method: http.MethodGet, Path: "/v1/revocations", Summary: "List certificates that are good no more", Roles: vstack.RolesHost | vstack.RoleAdmin, Params: params.Consistency(),
			Response: wire.Revocations{}, Errors: read}, true, 0, listRevocations},
		write(vstack.RoleAdmin, http.MethodPost, "/v1/revocations", "Revoke certificates", wire.RevokeRequest{}, vstack.Revocation{}, params.WriteErrors(), revoke),
		write(vstack.RoleAdmin, http.MethodDelete, "/v1/revocations/{key}", "Take a revocation back", nil, nil, params.WriteErrors(notFound), restoreCertificates),
		{wire.Route{Method: http.MethodGet, Path: "/v1/keys", Summary: "Get the public keys of playback tokens, as a JSON Web Key Set", Heeds: wire.HeedsNothing, Params: params.Consistency(),
			Response: wire.JWKS{}, Errors: params.ReadErrors()}, true, 0, getKeys},
		write(vstack.RoleAdmin, http.MethodPost, "/v1/keys", "Add a public key of playback tokens", wire.TokenKeyRequest{}, nil, params.WriteErrors(vstack.ErrAlreadyExists), addKey),
		write(vstack.RoleAdmin, http.MethodDelete, "/v1/keys/{id}", "Remove a key: no token of it is good any more", nil, nil, params.WriteErrors(notFound), dropKey),
		write(vstack.RoleAdmin, http.MethodPost, "/v1/keys/{id}/revoke", "Take their rights from the tokens that a key signed until now", wire.RevokeTokensRequest{}, nil, params.WriteErrors(notFound), revokeKey),
		{wire.Route{Method: http.MethodGet, Path: "/v1/apikeys", Summary: "List API keys, oldest first", Roles: vstack.RoleAdmin,
			Response: wire.List[vstack.APIKey]{}, Errors: read}, false, 0, listAPIKeys},
		{wire.Route{Method: http.MethodPost, Path: "/v1/apikeys", Summary: "Make an API key, which is said once", Roles: vstack.RoleAdmin,
			Request: wire.APIKeyRequest{}, Response: wire.APIKeyReply{}, Errors: params.WriteErrors(vstack.ErrAlreadyExists)}, false, smallBody, createAPIKey},
		write(vstack.RoleAdmin, http.MethodDelete, "/v1/apikeys/{name}", "Remove an API key", nil, nil, params.WriteErrors(notFound), dropAPIKey),
		write(vstack.RoleIngest|vstack.RoleAdmin, http.MethodPost, "/v1/apikeys/use", "Say whose an API key is, and count what it uploads", wire.UseAPIKeyRequest{}, vstack.APIKey{},
			params.WriteErrors(vstack.ErrQuota), useAPIKey),
	}
}

func write(roles vstack.Roles, method, path, summary string, request, response any, errs []*vstack.Sentinel, h func(Desk, echo.Context) error) Route {
	body := int64(smallBody)
	if request == nil {
		body = 0
	}
	return Route{wire.Route{Method: method, Path: path, Summary: summary, Params: params.RequestID(), Request: request, Response: response, Errors: errs, Roles: roles}, false, body, h}
}
