package keyfile_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"eaves/certs/keyfile"
)

const pass = "geheim pâss€"

// TestEncryptedKeys: every way of encrypting a key that openssl knows and people have.
func TestEncryptedKeys(t *testing.T) {
	p := testPKI()
	pkcs8 := func(args ...string) []string {
		return append([]string{"pkcs8", "-topk8", "-in", "plain.key", "-out", "out.key", "-passout", "pass:" + pass, "-provider", "legacy", "-provider", "default"}, args...)
	}
	traditional := func(kind, cipher string) []string {
		return []string{kind, "-traditional", "-in", "plain.key", "-out", "out.key", "-passout", "pass:" + pass, cipher, "-provider", "legacy", "-provider", "default"}
	}
	for name, test := range map[string]struct {
		who  person
		args []string
	}{
		"PBES2 AES-256":             {p.rsa, pkcs8()},
		"PBES2 AES-128":             {p.rsa, pkcs8("-v2", "aes-128-cbc")},
		"PBES2 AES-192":             {p.ec, pkcs8("-v2", "aes-192-cbc")},
		"PBES2 3DES":                {p.rsa, pkcs8("-v2", "des3")},
		"PBES2 DES":                 {p.ec, pkcs8("-v2", "des-cbc")},
		"PBES2 SHA-1":               {p.rsa, pkcs8("-v2prf", "hmacWithSHA1")},
		"PBES2 SHA-224":             {p.ec, pkcs8("-v2prf", "hmacWithSHA224")},
		"PBES2 SHA-384":             {p.ec, pkcs8("-v2prf", "hmacWithSHA384")},
		"PBES2 SHA-512":             {p.rsa, pkcs8("-v2prf", "hmacWithSHA512")},
		"PBES2 scrypt":              {p.rsa, pkcs8("-scrypt")},
		"PBES2 Ed25519":             {p.ed, pkcs8()},
		"PBES1 SHA1-3DES":           {p.rsa, pkcs8("-iter", "1", "-v1", "PBE-SHA1-3DES")},
		"PBES1 SHA1-2DES":           {p.ec, pkcs8("-iter", "1", "-v1", "PBE-SHA1-2DES")},
		"PBES1 MD5-DES":             {p.rsa, pkcs8("-iter", "1", "-v1", "PBE-MD5-DES")},
		"PBES1 SHA1-DES":            {p.ec, pkcs8("-iter", "1", "-v1", "PBE-SHA1-DES")},
		"PBES1 MD5-RC2":             {p.ec, pkcs8("-iter", "1", "-v1", "PBE-MD5-RC2-64")},
		"PBES1 SHA1-RC2":            {p.ec, pkcs8("-iter", "1", "-v1", "PBE-SHA1-RC2-128")},
		"PBES1 SHA1-RC2-40":         {p.ec, pkcs8("-iter", "1", "-v1", "PBE-SHA1-RC2-40")},
		"PBES1 SHA1-RC4":            {p.ec, pkcs8("-iter", "1", "-v1", "PBE-SHA1-RC4-128")},
		"DER":                       {p.rsa, pkcs8("-outform", "DER")},
		"traditional RSA AES-256":   {p.rsa, traditional("rsa", "-aes256")},
		"traditional RSA AES-192":   {p.rsa, traditional("rsa", "-aes192")},
		"traditional RSA 3DES":      {p.rsa, traditional("rsa", "-des3")},
		"traditional RSA DES":       {p.rsa, traditional("rsa", "-des")},
		"traditional ECDSA AES-128": {p.ec, []string{"ec", "-in", "plain.key", "-out", "out.key", "-passout", "pass:" + pass, "-aes128"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t)
			f.write("plain.key", test.who.keyPEM())
			f.run("openssl", test.args...)
			key, cert := f.read("out.key"), test.who.certPEM()

			pair, err := keyfile.ReadPEM(cert, key, []byte(pass))
			wantPair(t, pair, err, test.who)
			_, err = keyfile.ReadPEM(cert, key, nil)
			wantError(t, err, keyfile.NeedsPassphrase, "the key is encrypted and no passphrase was given")
			// About one wrong passphrase in 256 passes the check of the padding.
			tries := 400
			if strings.Contains(name, "PBES2") || name == "DER" {
				tries = 1 // each takes long
			}
			for i := range tries {
				wrong := fmt.Sprintf("wrong-%d", i)
				_, err = keyfile.ReadPEM(cert, key, []byte(wrong))
				wantError(t, err, keyfile.WrongPassphrase, "the passphrase is not the one of the key", wrong, pass)
			}
		})
	}
}

// TestPlainKeys: PKCS#8, PKCS#1 and SEC1, as PEM and as DER, with a passphrase that nobody asked for.
func TestPlainKeys(t *testing.T) {
	p := testPKI()
	for name, test := range map[string]struct {
		who  person
		args []string
	}{
		"PKCS#8 RSA":       {p.rsa, []string{"pkey"}},
		"PKCS#8 ECDSA":     {p.ec, []string{"pkey"}},
		"PKCS#8 Ed25519":   {p.ed, []string{"pkey"}},
		"PKCS#1":           {p.rsa, []string{"rsa", "-traditional"}},
		"SEC1":             {p.ec, []string{"ec"}},
		"PKCS#8 DER":       {p.rsa, []string{"pkey", "-outform", "DER"}},
		"PKCS#1 DER":       {p.rsa, []string{"rsa", "-traditional", "-outform", "DER"}},
		"SEC1 DER":         {p.ec, []string{"ec", "-outform", "DER"}},
		"Ed25519 DER":      {p.ed, []string{"pkey", "-outform", "DER"}},
		"with its text":    {p.rsa, []string{"pkey", "-text"}},
		"explicit is none": {p.ec, []string{"ec", "-param_enc", "named_curve"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t)
			f.write("plain.key", test.who.keyPEM())
			f.run("openssl", append(test.args, "-in", "plain.key", "-out", "out.key")...)
			pair, err := keyfile.ReadPEM(test.who.certPEM(), f.read("out.key"), []byte("not needed"))
			wantPair(t, pair, err, test.who)
			if want := map[string]string{"alice": "RSA 2048", "bob": "ECDSA P-256", "carol": "Ed25519"}[test.who.cert.Subject.CommonName]; pair.KeyName() != want {
				t.Errorf("key is %s, want %s", pair.KeyName(), want)
			}
		})
	}
}

// TestKeysOfOtherKinds are named, with what to do.
func TestKeysOfOtherKinds(t *testing.T) {
	cert := testPKI().ec.certPEM()
	for name, test := range map[string]struct {
		args  []string
		words string
	}{
		"DSA":            {[]string{"genpkey", "-genparam", "-algorithm", "DSA", "-pkeyopt", "dsa_paramgen_bits:1024", "-out", "dsa.params"}, "of the kind DSA"},
		"Ed448":          {[]string{"genpkey", "-algorithm", "ED448", "-out", "out.key"}, "of the kind Ed448"},
		"X25519":         {[]string{"genpkey", "-algorithm", "X25519", "-out", "out.key"}, "cannot sign"},
		"RSA-PSS":        {[]string{"genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:1024", "-out", "out.key"}, "restricted to PSS"},
		"RSA 512":        {[]string{"genrsa", "-out", "out.key", "512"}, "512 bits is too short"},
		"secp256k1":      {[]string{"ecparam", "-name", "secp256k1", "-genkey", "-noout", "-out", "out.key"}, "curve (OID 1.3.132.0.10)"},
		"brainpool":      {[]string{"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1", "-out", "out.key"}, "curve (OID 1.3.36.3.3.2.8.1.1.7)"},
		"explicit curve": {[]string{"ecparam", "-name", "prime256v1", "-param_enc", "explicit", "-genkey", "-noout", "-out", "out.key"}, "spells out its elliptic curve"},
		"P-224":          {[]string{"ecparam", "-name", "secp224r1", "-genkey", "-noout", "-out", "out.key"}, "P-224"},
		"ARIA":           {[]string{"genpkey", "-algorithm", "ED25519", "-aria256", "-pass", "pass:x", "-out", "out.key"}, "a cipher that eaves does not know"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t)
			f.run("openssl", test.args...)
			if name == "DSA" {
				f.run("openssl", "genpkey", "-paramfile", "dsa.params", "-out", "out.key")
			}
			_, err := keyfile.ReadPEM(cert, f.read("out.key"), []byte("x"))
			wantError(t, err, keyfile.Unsupported, test.words)
			if name == "ARIA" {
				return
			}
			// The same behind a passphrase: the right one is not called wrong.
			f.run("openssl", "pkcs8", "-topk8", "-in", "out.key", "-out", "enc.key", "-passout", "pass:x")
			_, err = keyfile.ReadPEM(cert, f.read("enc.key"), []byte("x"))
			wantError(t, err, keyfile.Unsupported, test.words)
		})
	}
	t.Run("OpenSSH", func(t *testing.T) {
		f := newFolder(t)
		f.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "id")
		_, err := keyfile.ReadPEM(cert, f.read("id"), nil)
		if e := wantError(t, err, keyfile.Unsupported, "format of OpenSSH"); !strings.Contains(e.Hint, "ssh-keygen -p -m PEM") {
			t.Errorf("hint is %q", e.Hint)
		}
	})
}

// TestHostileDerivation: a file cannot ask for hours or for all memory.
func TestHostileDerivation(t *testing.T) {
	p, f := testPKI(), newFolder(t)
	f.write("plain.key", p.ec.keyPEM())
	f.run("openssl", "pkcs8", "-topk8", "-in", "plain.key", "-out", "many.der", "-outform", "DER", "-passout", "pass:x", "-iter", "100000", "-v2prf", "hmacWithSHA1")
	many := bytes.Replace(f.read("many.der"), []byte("\x02\x03\x01\x86\xa0"), []byte("\x02\x03\x7f\xff\xff"), 1)
	_, err := keyfile.ReadPEM(p.ec.certPEM(), many, []byte("x"))
	wantError(t, err, keyfile.Unsupported, "the key's key derivation asks for more than the 20000000 rounds")
	f.run("openssl", "pkcs8", "-topk8", "-in", "plain.key", "-out", "out.der", "-outform", "DER", "-passout", "pass:x", "-scrypt")
	der := f.read("out.der")
	for _, change := range [][2]string{
		{"\x02\x02\x40\x00\x02\x01\x08\x02\x01\x01", "\x02\x02\x40\x00\x02\x01\x7f\x02\x01\x01"},
		{"\x02\x02\x40\x00\x02\x01\x08\x02\x01\x01", "\x02\x02\x40\x00\x02\x01\x08\x02\x01\x7f"},
	} {
		hostile := bytes.Replace(der, []byte(change[0]), []byte(change[1]), 1)
		if bytes.Equal(hostile, der) {
			t.Fatal("the parameters are not where they were")
		}
		_, err := keyfile.ReadPEM(p.ec.certPEM(), hostile, []byte("x"))
		wantError(t, err, keyfile.Unsupported, "scrypt")
	}
}

// TestHostileNumbers: nor can it by many keys, or by certificates that all might be one another's issuer.
func TestHostileNumbers(t *testing.T) {
	p, f := testPKI(), newFolder(t)
	f.write("plain.key", p.ec.keyPEM())
	f.run("openssl", "pkcs8", "-topk8", "-in", "plain.key", "-out", "slow.key", "-passout", "pass:x", "-scrypt", "-scrypt_p", "20")
	_, err := keyfile.ReadPEM(p.ec.certPEM(), bytes.Repeat(f.read("slow.key"), 2), []byte("x"))
	wantError(t, err, keyfile.Unsupported, "more than the 20000000 rounds")
	_, err = keyfile.ReadPEM(p.ec.certPEM(), bytes.Repeat(p.ec.keyPEM(), 65), nil)
	wantError(t, err, keyfile.Unsupported, "more than 64 private keys")

	// Each has the name of all, and an identifier that keeps it from being a root.
	authorityOf := func(own, above byte) func(*x509.Certificate) {
		return func(c *x509.Certificate) { authority(c); c.SubjectKeyId, c.AuthorityKeyId = []byte{own}, []byte{above} }
	}
	who := issue("Loop", ecKey(), nil, authorityOf(2, 1))
	all := who.certPEM()
	for i := range 100 {
		all = append(all, issue("Loop", ecKey(), nil, authorityOf(byte(1+i%2), byte(2-i%2))).certPEM()...)
	}
	pair, err := keyfile.ReadPEM(all, who.keyPEM(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(pair.Chain) > 32 {
		t.Errorf("a chain of %d", len(pair.Chain))
	}
}

// TestDamagedKey is called damaged, not wrongly encrypted.
func TestDamagedKey(t *testing.T) {
	p := testPKI()
	der := x509.MarshalPKCS1PrivateKey(p.rsa.key.(*rsa.PrivateKey))
	_, err := keyfile.ReadPEM(p.rsa.certPEM(), pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der[:len(der)-9]}), nil)
	wantError(t, err, keyfile.Unreadable, "damaged")
	text := p.rsa.keyPEM()
	_, err = keyfile.ReadPEM(p.rsa.certPEM(), text[:len(text)-40], nil)
	wantError(t, err, keyfile.Unreadable, "the key file has a PEM block that is damaged or cut off")
}
