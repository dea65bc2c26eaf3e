package keyfile_test

import (
	"bytes"
	"crypto/x509"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"software.sslmate.com/src/go-pkcs12"

	"eaves/certs/keyfile"
)

// opensslPFX makes a PKCS#12 file of who with openssl.
func opensslPFX(f folder, who person, password string, args ...string) []byte {
	f.t.Helper()
	p := testPKI()
	f.write("leaf.pem", who.certPEM())
	f.write("chain.pem", p.root.certPEM(), p.middle.certPEM())
	f.write("key.pem", who.keyPEM())
	args = append([]string{"pkcs12", "-export", "-in", "leaf.pem", "-inkey", "key.pem", "-certfile", "chain.pem", "-passout", "pass:" + password, "-out", "out.p12",
		"-provider", "legacy", "-provider", "default"}, args...)
	f.run("openssl", args...)
	return f.read("out.p12")
}

// wantPFX reads a file with its passphrase, a wrong one and none.
func wantPFX(t *testing.T, file []byte, password string, who person) *keyfile.Pair {
	t.Helper()
	pair, err := keyfile.ReadPFX(file, []byte(password))
	wantPair(t, pair, err, who, testPKI().middle)
	_, err = keyfile.ReadPFX(file, []byte("wrong-one"))
	wantError(t, err, keyfile.WrongPassphrase, "the passphrase is not the one of the PKCS#12 file", password, "wrong-one")
	if password != "" {
		_, err = keyfile.ReadPFX(file, nil)
		wantError(t, err, keyfile.NeedsPassphrase, "the PKCS#12 file is encrypted and no passphrase was given", password)
	}
	return pair
}

func TestPFXOpenSSL(t *testing.T) {
	p := testPKI()
	for name, test := range map[string]struct {
		who  person
		args []string
	}{
		"default":       {p.rsa, nil},
		"ECDSA":         {p.ec, nil},
		"Ed25519":       {p.ed, nil},
		"legacy":        {p.rsa, []string{"-legacy"}},
		"legacy ECDSA":  {p.ec, []string{"-legacy"}},
		"3DES":          {p.rsa, []string{"-legacy", "-descert"}},
		"2DES":          {p.rsa, []string{"-certpbe", "PBE-SHA1-2DES", "-keypbe", "PBE-SHA1-2DES"}},
		"RC2-128":       {p.rsa, []string{"-certpbe", "PBE-SHA1-RC2-128", "-keypbe", "PBE-SHA1-RC2-128"}},
		"RC4":           {p.rsa, []string{"-certpbe", "PBE-SHA1-RC4-128", "-keypbe", "PBE-SHA1-RC4-40"}},
		"AES-128":       {p.rsa, []string{"-certpbe", "AES-128-CBC", "-keypbe", "AES-192-CBC", "-macalg", "sha512"}},
		"SHA-384 MAC":   {p.ec, []string{"-macalg", "sha384"}},
		"SHA-224 MAC":   {p.ec, []string{"-macalg", "sha224"}},
		"SHA-1 MAC":     {p.ec, []string{"-macalg", "sha1"}},
		"plain certs":   {p.rsa, []string{"-certpbe", "NONE"}},
		"one iteration": {p.rsa, []string{"-noiter", "-nomaciter"}},
		"many":          {p.ec, []string{"-iter", "100000"}},
		"named":         {p.rsa, []string{"-name", "alice", "-caname", "x", "-CSP", "Microsoft Strong Cryptographic Provider", "-LMK", "-keyex"}},
	} {
		t.Run(name, func(t *testing.T) {
			pair := wantPFX(t, opensslPFX(newFolder(t), test.who, pass, test.args...), pass, test.who)
			if len(pair.Roots) != 1 || !pair.Roots[0].Equal(p.root.cert) {
				t.Errorf("roots are %v", pair.Roots)
			}
		})
	}
	t.Run("empty passphrase", func(t *testing.T) { wantPFX(t, opensslPFX(newFolder(t), p.ec, ""), "", p.ec) })
	t.Run("outside the BMP", func(t *testing.T) { wantPFX(t, opensslPFX(newFolder(t), p.ec, "key 🔑"), "key 🔑", p.ec) })
	// Without a MAC nothing but the padding tells a wrong passphrase, and one in 256 passes it.
	t.Run("no MAC", func(t *testing.T) {
		file := opensslPFX(newFolder(t), p.ec, pass, "-legacy", "-nomac", "-noiter")
		for range 2 {
			wantPFX(t, file, pass, p.ec)
		}
		for i := range 600 {
			_, err := keyfile.ReadPFX(file, []byte{'a', byte('a' + i%26), byte('a' + i/26)})
			wantError(t, err, keyfile.WrongPassphrase, "")
		}
	})
	t.Run("no encryption", func(t *testing.T) {
		file := opensslPFX(newFolder(t), p.ec, "", "-keypbe", "NONE", "-certpbe", "NONE", "-nomac")
		pair, err := keyfile.ReadPFX(file, []byte("not needed"))
		wantPair(t, pair, err, p.ec, p.middle)
	})
	t.Run("two passphrases", func(t *testing.T) {
		f := newFolder(t)
		opensslPFX(f, p.ec, "unused")
		// Without a terminal (setsid) openssl reads both from its input: the one of the MAC, then the one of the rest.
		if _, err := exec.LookPath("setsid"); err != nil {
			t.Skip("needs setsid")
		}
		cmd := exec.Command("setsid", "-w", "openssl", "pkcs12", "-export", "-in", "leaf.pem", "-inkey", "key.pem", "-twopass", "-out", "out.p12")
		cmd.Dir, cmd.Stdin = f.dir, strings.NewReader("checks\nchecks\nseals\nseals\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		_, err := keyfile.ReadPFX(f.read("out.p12"), []byte("checks"))
		wantError(t, err, keyfile.WrongPassphrase, "the one of the PKCS#12 file, but not of the key in it", "checks", "seals")
		_, err = keyfile.ReadPFX(f.read("out.p12"), []byte("seals"))
		wantError(t, err, keyfile.WrongPassphrase, "the passphrase is not the one of the PKCS#12 file", "checks", "seals")
	})
}

// TestPFXGo: the encodings of a Go library, PBMAC1 (RFC 9579) among them, which this openssl does not write yet.
func TestPFXGo(t *testing.T) {
	p := testPKI()
	for name, e := range map[string]*pkcs12.Encoder{"RC2": pkcs12.LegacyRC2, "3DES": pkcs12.LegacyDES, "2023": pkcs12.Modern2023, "PBMAC1": pkcs12.Modern2026} {
		t.Run(name, func(t *testing.T) {
			file, err := e.Encode(p.rsa.key, p.rsa.cert, []*x509.Certificate{p.root.cert, p.middle.cert}, pass)
			if err != nil {
				t.Fatal(err)
			}
			wantPFX(t, file, pass, p.rsa)
		})
	}
}

func TestPFXKeytool(t *testing.T) {
	p := testPKI()
	for name, args := range map[string][]string{"modern": nil, "legacy": {"-J-Dkeystore.pkcs12.legacy"}} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t)
			opensslPFX(f, p.rsa, "changeit")
			f.run("keytool", append(args, "-importkeystore", "-noprompt", "-srckeystore", "out.p12", "-srcstoretype", "PKCS12", "-srcstorepass", "changeit",
				"-destkeystore", "java.p12", "-deststoretype", "PKCS12", "-deststorepass", "changeit", "-srcalias", "1", "-destalias", "alice")...)
			f.run("keytool", append(args, "-importcert", "-noprompt", "-file", "chain.pem", "-alias", "trusted", "-keystore", "java.p12", "-storepass", "changeit")...)
			wantPFX(t, f.read("java.p12"), "changeit", p.rsa)
		})
	}
	t.Run("two identities", func(t *testing.T) {
		f := newFolder(t)
		for _, who := range []string{"one", "two"} {
			f.run("keytool", "-genkeypair", "-alias", who, "-dname", "CN="+who, "-keyalg", "EC", "-keystore", "java.p12", "-storetype", "PKCS12", "-storepass", "changeit")
		}
		_, err := keyfile.ReadPFX(f.read("java.p12"), []byte("changeit"))
		if e := wantError(t, err, keyfile.Unsupported, "it holds two identities"); !strings.Contains(e.Hint, "-srcalias") {
			t.Errorf("hint is %q", e.Hint)
		}
	})
	t.Run("JKS", func(t *testing.T) {
		f := newFolder(t)
		f.run("keytool", "-genkeypair", "-alias", "x", "-dname", "CN=x", "-keyalg", "EC", "-keystore", "old.jks", "-storetype", "JKS", "-storepass", "changeit", "-keypass", "changeit")
		_, err := keyfile.ReadPFX(f.read("old.jks"), []byte("changeit"))
		if e := wantError(t, err, keyfile.Unsupported, "Java keystore of the old format"); !strings.Contains(e.Hint, "keytool -importkeystore") {
			t.Errorf("hint is %q", e.Hint)
		}
	})
	t.Run("trusted certificates only", func(t *testing.T) {
		f := newFolder(t)
		f.write("chain.pem", p.root.certPEM())
		f.run("keytool", "-importcert", "-noprompt", "-file", "chain.pem", "-alias", "trusted", "-keystore", "java.p12", "-storetype", "PKCS12", "-storepass", "changeit")
		_, err := keyfile.ReadPFX(f.read("java.p12"), []byte("changeit"))
		wantError(t, err, keyfile.NoKey, "holds no private key")
	})
}

// TestPFXGnuTLS: certtool writes three safes, and half a million rounds.
func TestPFXGnuTLS(t *testing.T) {
	p := testPKI()
	for _, cipher := range []string{"aes-256", "arcfour"} {
		t.Run(cipher, func(t *testing.T) {
			f := newFolder(t)
			f.write("chain.pem", p.rsa.certPEM(), p.middle.certPEM(), p.root.certPEM())
			f.write("key.pem", p.rsa.keyPEM())
			f.run("certtool", "--to-p12", "--load-certificate", "chain.pem", "--load-privkey", "key.pem", "--p12-name", "alice", "--password", pass,
				"--pkcs-cipher", cipher, "--outder", "--outfile", "out.p12")
			wantSlowPFX(t, f.read("out.p12"), p.rsa)
		})
	}
}

// wantSlowPFX is wantPFX with pass, without the empty one.
func wantSlowPFX(t *testing.T, file []byte, who person) {
	t.Helper()
	pair, err := keyfile.ReadPFX(file, []byte(pass))
	wantPair(t, pair, err, who, testPKI().middle)
	_, err = keyfile.ReadPFX(file, []byte("wrong-one"))
	wantError(t, err, keyfile.WrongPassphrase, "the passphrase is not the one of the PKCS#12 file", "wrong-one")
}

// TestPFXNSS: what Firefox exports has indefinite lengths and strings in pieces.
func TestPFXNSS(t *testing.T) {
	p := testPKI()
	for name, args := range map[string][]string{
		"default": nil,
		"legacy":  {"-c", "PKCS #12 V2 PBE With SHA-1 And 3KEY Triple DES-CBC", "-C", "PKCS #12 V2 PBE With SHA-1 And 40 Bit RC2 CBC"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t)
			opensslPFX(f, p.rsa, "x", "-name", "alice")
			f.run("certutil", "-N", "-d", "sql:.", "--empty-password")
			f.run("pk12util", "-i", "out.p12", "-d", "sql:.", "-W", "x", "-K", "")
			f.run("pk12util", append([]string{"-o", "nss.p12", "-n", "alice", "-d", "sql:.", "-W", pass, "-K", ""}, args...)...)
			file := f.read("nss.p12")
			if !bytes.HasPrefix(file, []byte{0x30, 0x80}) {
				t.Errorf("no indefinite length in % x: this tests nothing", file[:8])
			}
			wantSlowPFX(t, file, p.rsa)
		})
	}
}

// TestPFXDamaged: whatever is changed or cut off, there is an answer in words.
func TestPFXDamaged(t *testing.T) {
	p := testPKI()
	file := opensslPFX(newFolder(t), p.ec, "x", "-noiter", "-nomaciter")
	for i := 0; i < len(file); i += 7 {
		_, err := keyfile.ReadPFX(file[:i], []byte("x"))
		wantError(t, err, keyfile.Unreadable, "")
		changed := slices.Clone(file)
		changed[i] ^= 0x15
		if _, err := keyfile.ReadPFX(changed, []byte("x")); err == nil {
			t.Errorf("a changed byte at %d is not noticed", i)
		}
	}
	_, err := keyfile.ReadPFX(append(p.ec.certPEM(), p.ec.keyPEM()...), nil)
	if e := wantError(t, err, keyfile.Unreadable, "no PKCS#12 file but PEM"); !strings.Contains(e.Hint, "--cert") {
		t.Errorf("hint is %q", e.Hint)
	}
}

// TestPFXHostileRounds: a file cannot ask for minutes.
func TestPFXHostileRounds(t *testing.T) {
	file := opensslPFX(newFolder(t), testPKI().ec, "x", "-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-iter", "100000", "-nomac")
	hostile := bytes.ReplaceAll(file, []byte("\x02\x03\x01\x86\xa0"), []byte("\x02\x03\x7f\xff\xff"))
	_, err := keyfile.ReadPFX(hostile, []byte("x"))
	wantError(t, err, keyfile.Unsupported, "the PKCS#12 file's key derivation asks for more than the 20000000 rounds")
}
