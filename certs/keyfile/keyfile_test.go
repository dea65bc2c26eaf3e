package keyfile_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"eaves/certs/keyfile"
)

// TestOrder: certificates and key may stand in any order, in one file or two, and the leaf is the one of the key.
func TestOrder(t *testing.T) {
	p := testPKI()
	leaf, middle, root, key := p.rsa.certPEM(), p.middle.certPEM(), p.root.certPEM(), p.rsa.keyPEM()
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for name, files := range map[string][2][]byte{
		"one file":                  {join(leaf, middle, root, key), nil},
		"one file, key first":       {join(key, root, middle, leaf), nil},
		"one file, key in between":  {join(root, key, leaf, middle), nil},
		"two files":                 {join(leaf, middle, root), key},
		"two files, root first":     {join(root, middle, leaf), key},
		"the same file twice":       {join(leaf, middle, root, key), join(leaf, middle, root, key)},
		"the wrong way round":       {key, join(leaf, middle, root)},
		"chain beside the key":      {leaf, join(key, middle, root)},
		"everything twice":          {join(leaf, leaf, middle, middle, root, root, key), nil},
		"with a stranger":           {join(p.ec.certPEM(), root, middle, leaf), key},
		"with a stranger's key too": {join(p.ec.keyPEM(), root, middle, leaf, key), nil},
		"text around":               {join([]byte("Bag Attributes\r\n    friendlyName: alice\r\n"), leaf, []byte("subject=CN\n"), middle, root), key},
		"CRLF":                      {bytes.ReplaceAll(join(leaf, middle, root, key), []byte("\n"), []byte("\r\n")), nil},
		"byte order mark":           {join([]byte("\xef\xbb\xbf"), leaf, middle, root), join([]byte("\xef\xbb\xbf"), key)},
		"UTF-16":                    {wide(join(leaf, middle, root, key)), nil},
	} {
		t.Run(name, func(t *testing.T) {
			pair, err := keyfile.ReadPEM(files[0], files[1], nil)
			wantPair(t, pair, err, p.rsa, p.middle)
			if len(pair.Roots) != 1 || !pair.Roots[0].Equal(p.root.cert) {
				t.Errorf("roots are %v", pair.Roots)
			}
			if w := pair.Check(time.Now()); len(w) != 0 {
				t.Errorf("warnings: %v", w)
			}
		})
	}
}

// wide is what PowerShell's > makes of a text.
func wide(b []byte) []byte {
	out := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(string(b))) {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return out
}

// TestSelfSignedLeaf: a certificate that is its own issuer is sent like any other.
func TestSelfSignedLeaf(t *testing.T) {
	self := issue("self", ecKey(), nil, nil)
	pair, err := keyfile.ReadPEM(append(testPKI().root.certPEM(), self.certPEM()...), self.keyPEM(), nil)
	wantPair(t, pair, err, self)
	if w := pair.Check(time.Now()); len(w) != 0 {
		t.Errorf("warnings: %v", w)
	}
}

// TestRekeyedIssuer: of two issuers with one name, the one whose key signed the leaf is sent.
func TestRekeyedIssuer(t *testing.T) {
	p := testPKI()
	noID := func(c *x509.Certificate) { authority(c) }
	old := issue("Twice", ecKey(), &p.root, noID)
	young := issue("Twice", ecKey(), &p.root, noID)
	who := issue("dave", ecKey(), &young, nil)
	pair, err := keyfile.ReadPEM(bytes.Join([][]byte{old.certPEM(), who.certPEM(), young.certPEM()}, nil), who.keyPEM(), nil)
	wantPair(t, pair, err, who, young)
}

// TestRenewed: of two certificates for one key the later one counts, wherever it stands.
func TestRenewed(t *testing.T) {
	p := testPKI()
	newer := issue("alice", p.rsa.key, &p.middle, func(c *x509.Certificate) { c.NotAfter = c.NotAfter.AddDate(1, 0, 0) })
	for _, files := range [][]byte{append(p.rsa.certPEM(), newer.certPEM()...), append(newer.certPEM(), p.rsa.certPEM()...)} {
		pair, err := keyfile.ReadPEM(files, p.rsa.keyPEM(), nil)
		wantPair(t, pair, err, newer)
	}
}

// TestWhatIsMissing is said in words.
func TestWhatIsMissing(t *testing.T) {
	p, f := testPKI(), newFolder(t)
	f.write("key", p.ec.keyPEM())
	f.run("openssl", "req", "-new", "-key", "key", "-subj", "/CN=x", "-out", "csr")
	f.run("openssl", "pkey", "-in", "key", "-pubout", "-out", "pub")
	f.write("cert", p.ec.certPEM())
	f.run("openssl", "pkcs12", "-export", "-in", "cert", "-inkey", "key", "-passout", "pass:x", "-out", "pfx")
	cert, key := p.ec.certPEM(), p.ec.keyPEM()
	both := append(append([]byte{}, p.ec.certPEM()...), p.rsa.certPEM()...)
	keys := append(append([]byte{}, p.ec.keyPEM()...), p.rsa.keyPEM()...)
	for name, test := range map[string]struct {
		cert, key []byte
		kind      keyfile.Kind
		words     string
	}{
		"no key":            {cert, nil, keyfile.NoKey, "the file holds no private key but certificates only"},
		"certificate twice": {cert, cert, keyfile.NoKey, "the key file holds no private key but certificates only"},
		"public key":        {cert, f.read("pub"), keyfile.NoKey, "the key file holds no private key but a public key"},
		"key only":          {key, nil, keyfile.NoCertificate, "the file holds no certificate but a private key"},
		"key twice":         {key, key, keyfile.NoCertificate, "the certificate file holds no certificate but a private key"},
		"request":           {f.read("csr"), key, keyfile.NoCertificate, "but a certificate request"},
		"empty":             {nil, key, keyfile.Unreadable, "the certificate file is empty"},
		"empty key":         {cert, []byte(" \n"), keyfile.Unreadable, "the key file is empty"},
		"nonsense":          {[]byte("hello"), key, keyfile.Unreadable, "the certificate file is neither PEM nor DER"},
		"cut off":           {cert[:len(cert)-50], key, keyfile.Unreadable, "the certificate file has a PEM block that is damaged or cut off"},
		"damaged":           {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.ec.cert.Raw[:300]}), key, keyfile.Unreadable, "the certificate file holds a certificate (number 1) that cannot be read"},
		"PFX":               {f.read("pfx"), nil, keyfile.Unsupported, "is a PKCS#12 file"},
		"another's key":     {cert, testPKI().middle.keyPEM(), keyfile.Mismatch, `the certificate "bob" is for another key of the kind ECDSA P-256`},
		"another kind":      {p.rsa.certPEM(), key, keyfile.Mismatch, `the key is ECDSA P-256, the certificate "alice" is for RSA 2048`},
		"two identities":    {both, keys, keyfile.Unsupported, `it holds two identities, "bob" and "alice"`},
		"too large":         {make([]byte, 9<<20), nil, keyfile.Unreadable, "the file is larger than 8 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := keyfile.ReadPEM(test.cert, test.key, nil)
			wantError(t, err, test.kind, test.words)
		})
	}
}

// TestCertificates reads what is to be trusted.
func TestCertificates(t *testing.T) {
	p, f := testPKI(), newFolder(t)
	f.write("both", p.root.certPEM(), p.middle.certPEM())
	f.write("root", p.root.certPEM())
	f.run("openssl", "crl2pkcs7", "-nocrl", "-certfile", "both", "-out", "p7.pem")
	f.run("openssl", "crl2pkcs7", "-nocrl", "-certfile", "both", "-outform", "DER", "-out", "p7.der")
	f.run("openssl", "x509", "-in", "root", "-outform", "DER", "-out", "root.der")
	f.run("openssl", "x509", "-in", "root", "-trustout", "-addtrust", "clientAuth", "-out", "trusted")
	for name, want := range map[string]int{"both": 2, "root": 1, "p7.pem": 2, "p7.der": 2, "root.der": 1, "trusted": 1} {
		certs, err := keyfile.Certificates(f.read(name))
		if err != nil || len(certs) != want || !slices.ContainsFunc(certs, p.root.cert.Equal) {
			t.Errorf("%s: %d certificates (%v), want %d", name, len(certs), err, want)
		}
	}
	_, err := keyfile.Certificates(p.ec.keyPEM())
	wantError(t, err, keyfile.NoCertificate, "holds no certificate but a private key")
	_, err = keyfile.Certificates(append(p.root.certPEM(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.root.cert.Raw[:99]})...))
	wantError(t, err, keyfile.Unreadable, "it holds a certificate (number 2) that cannot be read")
}

// TestHandshake: what TLS returns is a client certificate that a server accepts.
func TestHandshake(t *testing.T) {
	p := testPKI()
	for _, who := range []person{p.rsa, p.ec, p.ed} {
		pair, err := keyfile.ReadPEM(append(p.middle.certPEM(), who.certPEM()...), who.keyPEM(), nil)
		wantPair(t, pair, err, who, p.middle)
		roots := x509.NewCertPool()
		roots.AddCert(p.root.cert)
		server := issue("localhost", ecKey(), &p.middle, func(c *x509.Certificate) {
			c.DNSNames = []string{"localhost"}
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		})
		a, b := net.Pipe()
		deadline := time.Now().Add(20 * time.Second)
		a.SetDeadline(deadline)
		b.SetDeadline(deadline)
		s := tls.Server(a, &tls.Config{
			Certificates: []tls.Certificate{{Certificate: [][]byte{server.cert.Raw, p.middle.cert.Raw}, PrivateKey: server.key}},
			ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: roots,
		})
		done := make(chan error, 1)
		go func() { done <- s.Handshake() }()
		c := tls.Client(b, &tls.Config{ServerName: "localhost", RootCAs: roots, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return pair.TLS(), nil
		}})
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		go c.Read(make([]byte, 1)) // what the server still sends has to go somewhere
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if got := s.ConnectionState().PeerCertificates; len(got) != 2 || !got[0].Equal(who.cert) {
			t.Errorf("the server saw %d certificates", len(got))
		}
		a.Close()
		b.Close()
	}
}

// TestCheck: each warning comes when it should, in words, and not otherwise.
func TestCheck(t *testing.T) {
	p, now := testPKI(), time.Now()
	certain := func(change func(*x509.Certificate)) []*x509.Certificate {
		return []*x509.Certificate{issue("eve", ecKey(), &p.middle, change).cert, p.middle.cert}
	}
	oldMiddle := issue("Old Intermediate", ecKey(), &p.root, func(c *x509.Certificate) { authority(c); c.NotAfter = now.Add(-50 * time.Hour) })
	for name, test := range map[string]struct {
		chain       []*x509.Certificate
		code, words string
	}{
		"good":         {certain(nil), "", ""},
		"no usages":    {certain(func(c *x509.Certificate) { c.ExtKeyUsage, c.KeyUsage = nil, 0 }), "", ""},
		"any usage":    {certain(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }), "", ""},
		"expired":      {certain(func(c *x509.Certificate) { c.NotAfter = now.Add(-25 * time.Hour) }), "expired", `the certificate "eve" expired on ` + now.Add(-25*time.Hour).UTC().Format("2006-01-02") + " (1 day ago)"},
		"soon":         {certain(func(c *x509.Certificate) { c.NotAfter = now.Add(10*24*time.Hour + time.Hour) }), "expires-soon", "(in 10 days)"},
		"today":        {certain(func(c *x509.Certificate) { c.NotAfter = now.Add(3*time.Hour + time.Minute) }), "expires-soon", "(in 3 hours)"},
		"not yet":      {certain(func(c *x509.Certificate) { c.NotBefore = now.Add(73 * time.Hour) }), "not-yet-valid", "(in 3 days)"},
		"servers only": {certain(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), "usage", "lacks clientAuth"},
		"unknown only": {certain(func(c *x509.Certificate) {
			c.ExtKeyUsage = nil
			c.UnknownExtKeyUsage = append(c.UnknownExtKeyUsage, []int{1, 2, 3})
		}), "usage", "lacks clientAuth"},
		"no signing":   {certain(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }), "usage", "lacks digitalSignature"},
		"leaf only":    {certain(nil)[:1], "chain", `what would be sent ends at "eve", and its issuer "Keyfile Intermediate" is not in the file`},
		"wrong issuer": {[]*x509.Certificate{certain(nil)[0], oldMiddle.cert, p.root.cert}, "expired,chain", "ends at"},
		"intermediate": {[]*x509.Certificate{issue("eve", ecKey(), &oldMiddle, nil).cert, oldMiddle.cert}, "expired", `the intermediate certificate "Old Intermediate" expired`},
		"nothing":      {nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var codes, messages []string
			for _, w := range keyfile.Check(test.chain, now) {
				codes, messages = append(codes, w.Code), append(messages, w.Message)
			}
			if got := strings.Join(codes, ","); got != test.code || !strings.Contains(strings.Join(messages, "\n"), test.words) {
				t.Errorf("warnings %q: %q, want %q: %q", got, messages, test.code, test.words)
			}
		})
	}
	direct := issue("frank", ecKey(), &p.root, nil)
	pair, err := keyfile.ReadPEM(append(direct.certPEM(), p.root.certPEM()...), direct.keyPEM(), nil)
	wantPair(t, pair, err, direct)
	if w := pair.Check(now); len(w) != 0 {
		t.Errorf("a leaf whose root is in the file: %v", w)
	}
	if w := keyfile.Check(pair.Chain, now); len(w) != 1 || w[0].Code != keyfile.Chain {
		t.Errorf("without its root: %v", w)
	}
}
