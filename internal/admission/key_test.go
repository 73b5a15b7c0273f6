package admission

import "testing"

func TestKeyOfAddr(t *testing.T) {
	for remote, want := range map[string]Key{
		"10.1.2.3:4":               "10.1.2.3",
		"[::ffff:10.1.2.3]:4":      "10.1.2.3",
		"[2001:db8:1:2:3:4:5:6]:7": "2001:db8:1:2::/64",
		"[2001:db8:1:2:ffff::]:7":  "2001:db8:1:2::/64",
		"[fe80::1%eth0]:7":         "fe80::/64",
		"@":                        "unknown",
		"":                         "unknown",
	} {
		if got := KeyOfAddr(remote); got != want {
			t.Errorf("%q: %q, want %q", remote, got, want)
		}
	}
}
