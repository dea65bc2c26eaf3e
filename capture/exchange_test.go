package capture

import "testing"

func TestDecided(t *testing.T) {
	for want, r := range map[string]Route{
		"direct":                     {Source: "direct"},
		"direct: no system proxy":    {Source: "direct", Reason: "no system proxy"},
		"rule 1: *.localhost":        {Source: "rule", Reason: "rule 1: *.localhost"},
		"PAC proxy.pac: DIRECT":      {Source: "pac", Reason: "PAC proxy.pac: DIRECT"},
		"bypass <local>":             {Source: "pac", Reason: "bypass <local>"},
		"system: HTTPS_PROXY":        {Source: "system", Reason: "HTTPS_PROXY"},
		"custom: http://p.test:3128": {Source: "custom", Reason: "http://p.test:3128"},
	} {
		if got := r.Decided(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
