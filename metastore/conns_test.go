package metastore

import (
	"crypto/tls"
	"testing"
	"time"
)

func TestAMemberDoesNotWaitForAConnectionThatAsksNothing(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	c.leader()
	conn, err := tls.Dial("tcp", c.peers[0].API, c.admin.ClientTLS())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	start := time.Now()
	c.stop(0)
	if d := time.Since(start); d > 4*time.Second {
		t.Errorf("the member took %s to stop", d)
	}
}
