package stores

import (
	"crypto/tls"
	"testing"
)

func TestATicketIsGivenOutOnce(t *testing.T) {
	var list tickets
	if _, ok := list.Get("store"); ok {
		t.Error("a ticket that nobody gave")
	}
	var made []*tls.ClientSessionState
	for range maxTickets + 2 {
		made = append(made, &tls.ClientSessionState{})
		list.Put("store", made[len(made)-1])
	}
	list.Put("store", nil)
	for i := range maxTickets {
		if got, ok := list.Get("store"); !ok || got != made[len(made)-1-i] {
			t.Errorf("ticket %d is not the newest that is left", i)
		}
	}
	if _, ok := list.Get("store"); ok {
		t.Error("a ticket was given out twice, or more were kept than the bound")
	}
}
