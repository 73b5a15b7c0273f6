package arch

import (
	"go/ast"
	"slices"
	"testing"
)

// openers are the functions and types of net and crypto/tls that open sockets.
var openers = []string{
	"net.Listen", "net.ListenPacket", "net.ListenTCP", "net.ListenUDP", "net.ListenUnix", "net.ListenConfig",
	"net.Dial", "net.DialTimeout", "net.DialTCP", "net.DialUDP", "net.Dialer", "tls.Dial", "tls.DialWithDialer", "tls.Dialer", "tls.Listen",
	"quic.DialAddr", "quic.DialAddrEarly", "quic.ListenAddr", "quic.ListenAddrEarly",
}

// TestRolesOpenSocketsThroughTheirNetwork holds the roles to internal/network, so that they
// run on a virtual network as they run on a real one.
func TestRolesOpenSocketsThroughTheirNetwork(t *testing.T) {
	looked := 0
	for _, f := range readSource(t) {
		if f.test || !slices.ContainsFunc([]string{"quicclient", "datanode", "metastore", "uploader", "internal/metaclient"}, func(role string) bool { return within(f.dir, role) }) {
			continue
		}
		looked++
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := sel.X.(*ast.Ident); ok && slices.Contains(openers, pkg.Name+"."+sel.Sel.Name) {
				t.Errorf("%s: %s.%s: open it through the Config's Network", f.fset.Position(n.Pos()), pkg.Name, sel.Sel.Name)
			}
			return true
		})
	}
	if looked < 100 {
		t.Errorf("looked at %d files only: is the walk broken?", looked)
	}
}
