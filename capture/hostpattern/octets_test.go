package hostpattern

import "testing"

func TestOctets(t *testing.T) {
	for pattern, want := range map[string]string{
		"10.0.0.0/8": "10.", "10.1.2.3/8": "10.", "192.0.2.0/24": "192.0.2.", "192.0.2.0/25": "192.0.2.", "172.16.0.0/12": "172.", "192.0.2.7/32": "192.0.2.7",
		"8.0.0.0/6": "", "[2001:db8::/32]": "", "[::ffff:10.0.0.0/104]": "10.", "192.0.2.7": "", "a.test": "", "*": "", "*.a.test": "",
	} {
		p, err := Parse(pattern)
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			continue
		}
		if got := p.Octets(); got != want {
			t.Errorf("%s: got %q, want %q", pattern, got, want)
		}
	}
}
