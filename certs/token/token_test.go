//go:build cgo

package token

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"eaves/certs/keyfile"
)

const pin = "geheim1234"

// lab is a folder with SoftHSM's tokens: "study" with alice (RSA), bob (ECDSA), a certificate beside the wrong key, and
// a certificate without a key; "other" with carol twice; and "empty".
type lab struct {
	module            string
	root              *x509.Certificate
	alice, bob, carol *x509.Certificate
	dir, skip         string
	err               error
}

// SoftHSM reads its configuration once in a process, so all tests share one lab.
var theLab = sync.OnceValue(makeLab)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "eaves-token-")
	if err != nil {
		panic(err)
	}
	os.Setenv("SOFTHSM2_CONF", filepath.Join(dir, "softhsm2.conf"))
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := theLab()
	if l.skip != "" {
		t.Skip("needs " + l.skip)
	}
	if l.err != nil {
		t.Fatal(l.err)
	}
	return l
}

func makeLab() *lab {
	l := &lab{dir: filepath.Dir(os.Getenv("SOFTHSM2_CONF"))}
	for _, program := range []string{"softhsm2-util", "pkcs11-tool"} {
		if _, err := exec.LookPath(program); err != nil {
			l.skip = program
			return l
		}
	}
	for _, pattern := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/*/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so", "/opt/homebrew/lib/softhsm/libsofthsm2.so"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 && l.module == "" {
			l.module = found[0]
		}
	}
	if l.module == "" {
		l.skip = "libsofthsm2.so"
		return l
	}
	l.write("softhsm2.conf", []byte("directories.tokendir = "+filepath.Join(l.dir, "tokens")+"\nobjectstore.backend = file\nlog.level = ERROR\n"))
	if l.err == nil {
		l.err = os.Mkdir(filepath.Join(l.dir, "tokens"), 0o700)
	}
	for _, token := range []string{"study", "other", "empty"} {
		l.run("softhsm2-util", "--init-token", "--free", "--label", token, "--pin", pin, "--so-pin", "12345678")
	}
	rootKey, middleKey := newKey(elliptic.P256()), newKey(elliptic.P256())
	l.root = issue("Token Root", rootKey, nil, rootKey, true)
	middle := issue("Token Intermediate", middleKey, l.root, rootKey, true)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	bobKey, carolKey, wrongKey := newKey(elliptic.P256()), newKey(elliptic.P384()), newKey(elliptic.P256())
	l.alice = issue("alice", rsaKey, middle, middleKey, false)
	l.bob = issue("bob", bobKey, middle, middleKey, false)
	l.carol = issue("carol", carolKey, l.root, rootKey, false)
	l.put("study", "alice", "a1", rsaKey, l.alice)
	l.put("study", "bob", "b1", bobKey, l.bob)
	l.put("study", "wrong", "c1", wrongKey, l.alice)
	l.put("study", "another", "c2", wrongKey, l.bob)
	l.put("study", "", "d1", nil, middle)
	l.put("other", "carol", "a1", carolKey, l.carol)
	l.put("other", "carol", "a2", carolKey, l.carol)
	return l
}

func newKey(curve elliptic.Curve) crypto.Signer {
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
}

func issue(name string, key crypto.Signer, parent *x509.Certificate, signer crypto.Signer, ca bool) *x509.Certificate {
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		BasicConstraintsValid: true, IsCA: ca, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, DNSNames: []string{"localhost"},
	}
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		panic(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		panic(err)
	}
	return c
}

// put writes a key and a certificate to a token.
func (l *lab) put(token, label, id string, key crypto.Signer, cert *x509.Certificate) {
	if key != nil {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			panic(err)
		}
		l.write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
		l.run("softhsm2-util", "--import", filepath.Join(l.dir, "key.pem"), "--token", token, "--label", label, "--id", id, "--pin", pin)
	}
	l.write("cert.der", cert.Raw)
	l.run("pkcs11-tool", "--module", l.module, "--token-label", token, "--login", "--pin", pin, "--write-object", filepath.Join(l.dir, "cert.der"), "--type", "cert", "--id", id, "--label", label)
}

func (l *lab) write(name string, b []byte) {
	if l.err == nil {
		l.err = os.WriteFile(filepath.Join(l.dir, name), b, 0o600)
	}
}

func (l *lab) run(name string, args ...string) {
	if l.err != nil {
		return
	}
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		l.err = fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
}

func (l *lab) uri(path string) string { return "pkcs11:" + path + "?module-path=" + l.module }

func openToken(t *testing.T, uri string) *Token {
	t.Helper()
	token, err := Open(uri, []byte(pin))
	if err != nil {
		t.Fatalf("%s: %v", uri, err)
	}
	t.Cleanup(func() { token.Close() })
	return token
}

// handshake shows cert to a server that demands one of root, and returns what the server saw.
func handshake(l *lab, cert *tls.Certificate, version uint16) ([]*x509.Certificate, error) {
	key := newKey(elliptic.P256())
	server := issue("localhost", key, nil, key, true)
	roots, clients := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(server)
	clients.AddCert(l.root)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	s := tls.Server(a, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{server.Raw}, PrivateKey: key}}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients, SessionTicketsDisabled: true})
	done := make(chan error, 1)
	go func() {
		err := s.HandshakeContext(ctx)
		if err != nil {
			a.Close()
		}
		done <- err
	}()
	c := tls.Client(b, &tls.Config{ServerName: "localhost", RootCAs: roots, MinVersion: version, MaxVersion: version,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }})
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	if err := <-done; err != nil {
		return nil, err
	}
	return s.ConnectionState().PeerCertificates, nil
}

// TestHandshakes: RSA and ECDSA keys, TLS 1.2 and 1.3, several at once.
func TestHandshakes(t *testing.T) {
	l := newLab(t)
	for name, test := range map[string]struct {
		uri     string
		want    *x509.Certificate
		issuers int // on the token
	}{
		"RSA by name":        {"token=study;object=alice", l.alice, 1},
		"RSA by id":          {"token=study;id=%A1", l.alice, 1},
		"ECDSA by name":      {"token=study;object=bob;type=private", l.bob, 1},
		"ECDSA P-384 by id":  {"token=other;id=%A2", l.carol, 0},
		"ECDSA by full name": {"model=SoftHSM%20v2;manufacturer=SoftHSM%20project;token=study;id=%b1;object=bob;type=cert", l.bob, 1},
	} {
		t.Run(name, func(t *testing.T) {
			token := openToken(t, l.uri(test.uri))
			if !token.Certificate().Leaf.Equal(test.want) {
				t.Fatalf("it is %v", token.Certificate().Leaf.Subject)
			}
			var wg sync.WaitGroup
			for i := range 8 {
				version := uint16(tls.VersionTLS12 + i%2)
				wg.Go(func() {
					saw, err := handshake(l, token.Certificate(), version)
					if err == nil && (len(saw) != 1+test.issuers || !saw[0].Equal(test.want)) {
						err = fmt.Errorf("the server saw %d certificates", len(saw))
					}
					if err != nil {
						t.Errorf("%s: %v", tls.VersionName(version), err)
					}
				})
			}
			wg.Wait()
		})
	}
}

// TestSignatures: each kind that TLS may ask for verifies.
func TestSignatures(t *testing.T) {
	l := newLab(t)
	alice, bob := openToken(t, l.uri("token=study;object=alice")), openToken(t, l.uri("token=study;object=bob"))
	rsaKey, ecKey := l.alice.PublicKey.(*rsa.PublicKey), l.bob.PublicKey.(*ecdsa.PublicKey)
	sign := func(token *Token, digest []byte, opts crypto.SignerOpts) []byte {
		t.Helper()
		signature, err := token.Certificate().PrivateKey.(crypto.Signer).Sign(rand.Reader, digest, opts)
		if err != nil {
			t.Errorf("%v: %v", opts, err)
		}
		return signature
	}
	for _, h := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.MD5SHA1} {
		digest := bytes.Repeat([]byte{7}, h.Size())
		if err := rsa.VerifyPKCS1v15(rsaKey, h, digest, sign(alice, digest, h)); err != nil {
			t.Errorf("PKCS#1 with %v: %v", h, err)
		}
		if h == crypto.MD5SHA1 {
			continue
		}
		if !ecdsa.VerifyASN1(ecKey, digest, sign(bob, digest, h)) {
			t.Errorf("ECDSA with %v does not verify", h)
		}
		for _, salt := range []int{rsa.PSSSaltLengthEqualsHash, rsa.PSSSaltLengthAuto, 20} {
			opts := &rsa.PSSOptions{Hash: h, SaltLength: salt}
			if err := rsa.VerifyPSS(rsaKey, h, digest, sign(alice, digest, opts), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto}); err != nil {
				t.Errorf("PSS with %v, salt %d: %v", h, salt, err)
			}
		}
	}
	if _, err := alice.Certificate().PrivateKey.(crypto.Signer).Sign(rand.Reader, []byte("short"), crypto.SHA256); err == nil {
		t.Error("a digest of the wrong length is signed")
	}
}

func wantError(t *testing.T, err error, kind keyfile.Kind, words string) *keyfile.Error {
	t.Helper()
	var e *keyfile.Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %v, want a *keyfile.Error", err)
	}
	if e.Kind != kind || !strings.Contains(e.What, words) || e.Hint == "" {
		t.Errorf("error is %q (%s), hint %q, want %q (%s)", e.What, e.Kind, e.Hint, words, kind)
	}
	if strings.Contains(e.What+e.Hint, pin) || strings.Contains(e.What+e.Hint, "wrong-pin") {
		t.Errorf("the PIN stands in the error %q, hint %q", e.What, e.Hint)
	}
	return e
}

func TestWhatCannotBeOpened(t *testing.T) {
	l := newLab(t)
	for name, test := range map[string]struct {
		uri, pin string
		kind     keyfile.Kind
		words    string
	}{
		"no PIN":            {l.uri("token=study;object=alice"), "", keyfile.NeedsPassphrase, `the token "study" wants a PIN and none was given`},
		"wrong PIN":         {l.uri("token=study;object=alice"), "wrong-pin", keyfile.WrongPassphrase, `the PIN is not the one of the token "study"`},
		"short PIN":         {l.uri("token=study;object=alice"), "1", keyfile.WrongPassphrase, "the PIN is not the one"},
		"no such token":     {l.uri("token=none;object=alice"), pin, keyfile.NoKey, `no token fits the URI; there is "`},
		"several tokens":    {l.uri("object=alice"), pin, keyfile.Unsupported, "the URI fits several tokens"},
		"no such object":    {l.uri("token=study;object=none"), pin, keyfile.NoKey, "there are certificates id=%D1, object=alice;id=%A1, object=another;id=%C2, object=bob;id=%B1"},
		"several objects":   {l.uri("token=study"), pin, keyfile.Unsupported, "the URI fits several certificates"},
		"two of one name":   {l.uri("token=other;object=carol"), pin, keyfile.Unsupported, "object=carol;id=%A1, object=carol;id=%A2"},
		"certificate alone": {l.uri("token=study;id=%D1"), pin, keyfile.NoKey, "no certificate with a key on the token fits"},
		"key of another":    {l.uri("token=study;object=another"), pin, keyfile.Mismatch, `the key on the token does not fit the certificate "bob"`},
		"key of a kind":     {l.uri("token=study;object=wrong"), pin, keyfile.Mismatch, `the key on the token does not fit the certificate "alice"`},
		"empty token":       {l.uri("token=empty"), pin, keyfile.NoKey, "holds no private key"},
		"no module":         {"pkcs11:token=study?module-path=/not/there.so", pin, keyfile.Unsupported, "module cannot be read"},
		"not a module":      {"pkcs11:token=study?module-path=" + filepath.Join(l.dir, "softhsm2.conf"), pin, keyfile.Unsupported, "is no PKCS#11 module"},
		"PIN in the URI":    {l.uri("token=study") + "&pin-value=" + pin, "", keyfile.Unsupported, "the PIN stands in the PKCS#11 URI"},
	} {
		t.Run(name, func(t *testing.T) {
			token, err := Open(test.uri, []byte(test.pin))
			if err == nil {
				token.Close()
			}
			wantError(t, err, test.kind, test.words)
		})
	}
}

func TestPINFromItsFile(t *testing.T) {
	l := newLab(t)
	path := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(path, []byte(pin+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	token, err := Open(l.uri("token=study;object=bob")+"&pin-source=file:"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := handshake(l, token.Certificate(), tls.VersionTLS13); err != nil {
		t.Error(err)
	}
	if err := token.Close(); err != nil {
		t.Error(err)
	}
	if err := token.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	_, err = handshake(l, token.Certificate(), tls.VersionTLS13)
	if err == nil || !strings.Contains(err.Error(), "the token is no longer in use") {
		t.Errorf("closed: %v", err)
	}
}

// TestSessionLost: a card that was taken out and put in again is found again.
func TestSessionLost(t *testing.T) {
	l := newLab(t)
	token := openToken(t, l.uri("token=study;object=alice"))
	if err := token.module.CloseAllSessions(token.slot); err != nil {
		t.Fatal(err)
	}
	digest := sha512.Sum512([]byte("x"))
	signature, err := token.Certificate().PrivateKey.(crypto.Signer).Sign(rand.Reader, digest[:], crypto.SHA512)
	if err != nil {
		t.Fatal(err)
	}
	if err := rsa.VerifyPKCS1v15(l.alice.PublicKey.(*rsa.PublicKey), crypto.SHA512, digest[:], signature); err != nil {
		t.Error(err)
	}
}

// TestAPINThatIsRefusedIsNotTriedAgain: each handshake would take the card a step nearer to being locked.
func TestAPINThatIsRefusedIsNotTriedAgain(t *testing.T) {
	l := newLab(t)
	token := openToken(t, l.uri("token=study;object=bob"))
	token.pin = []byte("changed")
	if err := token.module.CloseAllSessions(token.slot); err != nil {
		t.Fatal(err)
	}
	sign := func() error {
		digest := sha512.Sum512([]byte("x"))
		_, err := token.Certificate().PrivateKey.(crypto.Signer).Sign(rand.Reader, digest[:], crypto.SHA512)
		return err
	}
	wantError(t, sign(), keyfile.WrongPassphrase, `the PIN is not the one of the token "study"`)
	token.pin = []byte(pin) // it would be right now, if it were tried
	wantError(t, sign(), keyfile.WrongPassphrase, `the PIN is not the one of the token "study"`)
}

// TestSchemes: a token that knows PSS is not held to what older cards can do.
func TestSchemes(t *testing.T) {
	l := newLab(t)
	for _, uri := range []string{"token=study;object=alice", "token=study;object=bob"} {
		if s := openToken(t, l.uri(uri)).Certificate().SupportedSignatureAlgorithms; slices.Contains(s, tls.PKCS1WithSHA256) {
			t.Errorf("%s is kept from PSS: %v", uri, s)
		}
	}
}
