package keyfile_test

import (
	"os/exec"
	"testing"

	"eaves/certs/keyfile"
)

// The fuzz targets look for panics, hangs and errors that are no *keyfile.Error.

func FuzzPEM(f *testing.F) {
	p := testPKI()
	f.Add(append(p.rsa.certPEM(), p.rsa.keyPEM()...), []byte(nil))
	f.Add(p.ec.certPEM(), p.ec.keyPEM())
	f.Add(p.ed.cert.Raw, []byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00112233445566778899AABBCCDDEEFF\n\nAAAAAAAAAAAAAAAAAAAAAA==\n-----END RSA PRIVATE KEY-----\n"))
	f.Add(wide(p.ec.certPEM()), []byte{0x30, 0x80, 0, 0})
	f.Fuzz(func(t *testing.T, cert, key []byte) {
		if pair, err := keyfile.ReadPEM(cert, key, []byte("x")); err == nil {
			usable(t, pair)
		} else {
			wantWords(t, err)
		}
		if certs, err := keyfile.Certificates(cert); err == nil {
			for _, c := range certs {
				_ = keyfile.Name(c)
			}
		} else {
			wantWords(t, err)
		}
	})
}

func FuzzPKCS8(f *testing.F) {
	cert := testPKI().ec.certPEM()
	f.Add(encryptedKey(f))
	f.Add(encryptedKey(f, "-scrypt"))
	f.Add(encryptedKey(f, "-v1", "PBE-SHA1-3DES"))
	f.Add(encryptedKey(f, "-v1", "PBE-MD5-DES", "-provider", "legacy", "-provider", "default"))
	f.Fuzz(func(t *testing.T, key []byte) {
		if pair, err := keyfile.ReadPEM(cert, key, []byte("x")); err == nil {
			usable(t, pair)
		} else {
			wantWords(t, err)
		}
	})
}

func FuzzPFX(f *testing.F) {
	if file := fuzzSeed(f, "openssl", "pkcs12", "-export", "-in", "cert", "-inkey", "key", "-passout", "pass:x", "-iter", "1"); file != nil {
		f.Add(file)
	}
	if file := fuzzSeed(f, "openssl", "pkcs12", "-export", "-in", "cert", "-inkey", "key", "-passout", "pass:x", "-iter", "1", "-nomac"); file != nil {
		f.Add(file)
	}
	f.Add([]byte{0x30, 0x80, 2, 1, 3, 0x30, 0x80, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1, 0xa0, 0x80, 0x24, 0x80, 4, 2, 0x30, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, file []byte) {
		if pair, err := keyfile.ReadPFX(file, []byte("x")); err == nil {
			usable(t, pair)
		} else {
			wantWords(t, err)
		}
	})
}

func encryptedKey(f *testing.F, args ...string) []byte {
	return fuzzSeed(f, "openssl", append([]string{"pkcs8", "-topk8", "-in", "key", "-outform", "DER", "-passout", "pass:x", "-iter", "1"}, args...)...)
}

// fuzzSeed runs a program that writes to its standard output.
func fuzzSeed(f *testing.F, name string, args ...string) []byte {
	if _, err := exec.LookPath(name); err != nil {
		return nil
	}
	dir := folder{f, f.TempDir()}
	dir.write("cert", testPKI().ec.certPEM())
	dir.write("key", testPKI().ec.keyPEM())
	cmd := exec.Command(name, args...)
	cmd.Dir = dir.dir
	out, err := cmd.Output()
	if err != nil {
		f.Fatalf("%s %v: %v", name, args, err)
	}
	return out
}

func usable(t *testing.T, p *keyfile.Pair) {
	if c := p.TLS(); c.Leaf == nil || c.PrivateKey == nil || len(c.Certificate) == 0 {
		t.Error("a pair without its parts")
	}
	p.Check(p.Chain[0].NotBefore)
}

func wantWords(t *testing.T, err error) {
	t.Helper()
	if e, ok := err.(*keyfile.Error); !ok || e.What == "" || e.Kind == "" {
		t.Errorf("error is %#v", err)
	}
}
