package store

import (
	"testing"
	"time"

	"eaves/capture"
)

// handshake is an exchange whose connection had these certificates.
func handshake(s *Store, host, verdict string, sent *capture.Certificate, chain ...capture.Certificate) int64 {
	x := sample(1)
	x.Request.URL = "https://" + host + "/"
	r := s.Begin(x)
	r.Update(answer(200, "text/plain"))
	r.Finish(func(x *capture.Exchange) {
		done(x)
		x.TLS = &capture.TLS{Version: "TLS 1.3", ServerName: host, PeerCertificates: chain,
			ClientCertificate: &capture.ClientCertificate{Requested: sent != nil, Sent: sent, Verdict: verdict}}
		if verdict == "rejected" {
			x.TLS.ClientCertificate.Alert = "unknown_ca"
		}
	})
	return r.ID()
}

func cert(name string, ends time.Time) capture.Certificate {
	return capture.Certificate{Subject: "CN=" + name, Issuer: "CN=ca", Serial: "1", NotAfter: ends, DNSNames: []string{}, SHA256: "sha-of-" + name}
}

// TestCertificatesSeen: each certificate once, whoever ends first first; and what became of a client certificate last.
func TestCertificatesSeen(t *testing.T) {
	s := openStore(t, Config{Dir: t.TempDir()})
	now := time.Now().Truncate(time.Second).UTC()
	ca, alice := cert("ca", now.Add(3*time.Hour)), cert("alice", now.Add(time.Hour))
	handshake(s, "a.test", "accepted", &alice, cert("a.test", now.Add(2*time.Hour)), ca)
	first := handshake(s, "a.test", "accepted", &alice, cert("a.test", now.Add(2*time.Hour)), ca)
	rejected := handshake(s, "b.test", "rejected", &alice, cert("b.test", now.Add(4*time.Hour)), ca)
	handshake(s, "c.test", "not-requested", nil, cert("c.test", now.Add(5*time.Hour)), ca)
	flush(t, s)
	seen, err := s.Certificates(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range seen {
		got = append(got, c.Kind+" "+c.Certificate.Subject)
	}
	want := []string{"client CN=alice", "server CN=a.test", "ca CN=ca", "server CN=b.test", "server CN=c.test"}
	if len(got) != len(want) {
		t.Fatalf("got %q", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%d: %s, want %s", i, got[i], want[i])
		}
	}
	if seen[1].Host != "a.test" || seen[1].Exchange == 0 || seen[1].Time.IsZero() {
		t.Errorf("got %+v", seen[1])
	}
	yes, no, err := s.CertificateUse(testContext(t), alice.SHA256)
	if err != nil || yes == nil || no == nil {
		t.Fatalf("got %v %v %v", yes, no, err)
	}
	if yes.Exchange != first || yes.Host != "a.test:443" || yes.Alert != "" || no.Exchange != rejected || no.Alert != "unknown_ca" {
		t.Errorf("got %+v %+v", yes, no)
	}
	if yes, no, err := s.CertificateUse(testContext(t), "another"); yes != nil || no != nil || err != nil {
		t.Errorf("got %v %v %v", yes, no, err)
	}
}
