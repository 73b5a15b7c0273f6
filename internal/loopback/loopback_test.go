package loopback

import (
	"fmt"
	"net"
	"testing"
)

func TestASubnetHasOneOwnerUntilItsTestEnds(t *testing.T) {
	var mine string
	t.Run("held", func(t *testing.T) {
		mine = Subnet(t)
		if l, err := net.Listen("tcp", fmt.Sprintf(claim, mine)); err == nil {
			_ = l.Close()
			t.Errorf("%s could be claimed twice", mine)
		}
		others := map[string]bool{mine: true}
		for range 800 { // of 17,920: without the claim one comes twice; files stay below 1,024
			s := Subnet(t)
			if others[s] {
				t.Fatalf("%s was given to two", s)
			}
			others[s] = true
		}
	})
	l, err := net.Listen("tcp", fmt.Sprintf(claim, mine))
	if err != nil {
		t.Fatalf("not given back: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
