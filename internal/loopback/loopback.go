package loopback

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Subnets are taken from 127.180.0 to 127.249.255, which no default of the product touches.
const (
	lowest  = 180
	highest = 249
)

// claim is where the owner of a subnet listens for as long as it is its own: the kernel
// grants that once, whichever test or process asks.
const claim = "%s.254:7079"

// Subnet is the first three numbers of addresses that only this test uses until it ends,
// among all tests that ask here, of this run and of others on the machine. Hosts 1 to 253
// are free to use, on any port.
func Subnet(t testing.TB) string {
	t.Helper()
	var err error
	for range 1000 {
		subnet := fmt.Sprintf("127.%d.%d", lowest+rand.IntN(highest-lowest+1), rand.IntN(256))
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprintf(claim, subnet)); err == nil {
			t.Cleanup(func() { _ = l.Close() })
			return subnet
		}
	}
	t.Fatalf("no free subnet of loopback: %v", err)
	return ""
}
