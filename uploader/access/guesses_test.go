package access

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// book knows one ticket and one API key, and counts the questions.
type book struct {
	ticket vstack.TicketID
	key    vstack.APIKey
	asked  int
}

func (b *book) UseTicket(_ context.Context, id vstack.TicketID, _ wire.UseTicketRequest) error {
	if b.asked++; id != b.ticket {
		return vstack.ErrUnauthenticated
	}
	return nil
}

func (b *book) UseAPIKey(_ context.Context, req wire.UseAPIKeyRequest) (vstack.APIKey, error) {
	if b.asked++; req.ID != b.key.ID {
		return vstack.APIKey{}, vstack.ErrUnauthenticated
	}
	return b.key, nil
}

// TestWhoGuessesDoesNotWorkTheCatalog: secrets that are none cost the catalog little, and who shows
// a good one from elsewhere nothing.
func TestWhoGuessesDoesNotWorkTheCatalog(t *testing.T) {
	token, key := vstack.NewTicketToken(), vstack.NewAPIKey()
	id, _ := vstack.APIKeyOf("Bearer " + key)
	for name, guess := range map[string]func() string{"tickets": vstack.NewTicketToken, "API keys": vstack.NewAPIKey} {
		t.Run(name, func(t *testing.T) {
			b := &book{ticket: vstack.TicketOf(token), key: vstack.APIKey{Name: "good", ID: id, Scopes: []vstack.Scope{vstack.ScopeUpload}}}
			g := New(false, b)
			show := func(from, secret string) error {
				r := httptest.NewRequest(http.MethodPost, "/upload", nil)
				r.RemoteAddr = from
				r.Header.Set("Authorization", "Bearer "+secret)
				return g.Create(r, 1)
			}
			refused, held := 0, 0
			for range 200 {
				switch err := show("192.0.2.1:1000", guess()); {
				case errors.Is(err, vstack.ErrUnauthenticated):
					refused++
				case errors.Is(err, vstack.ErrRateLimited):
					held++
				default:
					t.Fatal(err)
				}
			}
			if b.asked > 50 || b.asked != refused || held == 0 {
				t.Errorf("200 guesses: %d questions, %d refused, %d held", b.asked, refused, held)
			}
			for _, secret := range []string{token, key} {
				if err := show("192.0.2.2:1000", secret); err != nil {
					t.Errorf("somebody else's good one: %v", err)
				}
			}
		})
	}
}
