package store

import (
	"testing"

	"eaves/capture"
)

// Receipts of one connection that differ by what the server made of a client certificate are kept apart; those that are the
// same are known without being encoded again.
func TestReceiptsOfClientCertificates(t *testing.T) {
	sent := &capture.Certificate{Subject: "CN=alice", Serial: "1", DNSNames: []string{}}
	base := capture.TLS{Version: "TLS 1.3", PeerCertificates: []capture.Certificate{{Subject: "CN=a", DNSNames: []string{"a"}}}, Policy: "*.test", Trust: "--insecure",
		ClientCertificate: &capture.ClientCertificate{Requested: true, AcceptableCAs: []string{"CN=ca"}, SignatureSchemes: []string{"ed25519"}, Sent: sent, Rule: "a:443", Verdict: "unknown"}}
	with := func(edit func(*capture.TLS)) *capture.TLS {
		t := cloneTLS(&base)
		edit(t)
		return t
	}
	all := []*capture.TLS{
		with(func(*capture.TLS) {}),
		with(func(t *capture.TLS) { t.ClientCertificate.Verdict = "accepted" }),
		with(func(t *capture.TLS) {
			t.ClientCertificate.Verdict, t.ClientCertificate.Alert = "rejected", "unknown_ca"
		}),
		with(func(t *capture.TLS) { t.ClientCertificate.Explanation = "x" }),
		with(func(t *capture.TLS) { t.ClientCertificate.Note = "n" }),
		with(func(t *capture.TLS) { t.ClientCertificate.Rule = "b:443" }),
		with(func(t *capture.TLS) { t.ClientCertificate.Sent = &capture.Certificate{Subject: "CN=bob"} }),
		with(func(t *capture.TLS) { t.ClientCertificate.AcceptableCAs = []string{"CN=cb"} }),
		with(func(t *capture.TLS) { t.ClientCertificate.AcceptableCAs = nil }),
		with(func(t *capture.TLS) { t.ClientCertificate.SignatureSchemes = nil }),
		with(func(t *capture.TLS) { t.ClientCertificate.Requested = false }),
		with(func(t *capture.TLS) { t.ClientCertificate = nil }),
		with(func(t *capture.TLS) { t.Policy = "" }),
		with(func(t *capture.TLS) { t.Trust = "" }),
	}
	s := openStore(t, Config{})
	var ids []int64
	for range 3 {
		for i := range all {
			r := s.Begin(sample(i))
			r.Update(func(x *capture.Exchange) { x.TLS = all[i] })
			r.Finish(done)
			ids = append(ids, r.ID())
		}
	}
	flush(t, s)
	for i, id := range ids {
		x, err := s.Get(testContext(t), id)
		if err != nil {
			t.Fatal(err)
		}
		want := all[i%len(all)]
		got, expected := x.TLS.ClientCertificate, want.ClientCertificate
		if x.TLS.Policy != want.Policy || x.TLS.Trust != want.Trust || (got == nil) != (expected == nil) {
			t.Errorf("receipt %d: got %+v", i, x.TLS)
			continue
		}
		if got != nil && (got.Verdict != expected.Verdict || got.Alert != expected.Alert || got.Explanation != expected.Explanation || got.Note != expected.Note || got.Rule != expected.Rule ||
			got.Sent.Subject != expected.Sent.Subject || len(got.AcceptableCAs) != len(expected.AcceptableCAs) || len(got.SignatureSchemes) != len(expected.SignatureSchemes) || got.Requested != expected.Requested) {
			t.Errorf("receipt %d: got %+v", i, got)
		}
	}
	for i := range all {
		k := known{*cloneTLS(all[i]), 1}
		for j := range all {
			if other := cloneTLS(all[j]); k.same(other) != (i == j) {
				t.Errorf("receipts %d and %d: %v", i, j, i != j)
			}
		}
		other := cloneTLS(all[i])
		if n := testing.AllocsPerRun(10, func() { k.same(other) }); n > 0 {
			t.Errorf("comparing allocates %v times", n)
		}
	}
}
