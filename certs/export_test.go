package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"
)

// tool runs a program that clients are made with, and fails the test if it does.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := tryTool(t, name, args...)
	if err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
	return out
}

func tryTool(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func save(t *testing.T, c *CA, format Format) (path string) {
	t.Helper()
	f, err := c.Export(format)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), f.Name)
	if err := os.WriteFile(path, f.Data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEveryFormatHoldsTheCertificate(t *testing.T) {
	c := newTestCA(t)
	for _, format := range Formats() {
		f, err := c.Export(format)
		if err != nil {
			t.Fatal(err)
		}
		var der []byte
		switch format {
		case FormatPEM, FormatAndroid:
			block, rest := pem.Decode(f.Data)
			if block == nil || len(rest) > 0 {
				t.Fatalf("%s: not one PEM block", format)
			}
			der = block.Bytes
		case FormatDER:
			der = f.Data
		case FormatP12:
			all, err := pkcs12.DecodeTrustStore(f.Data, P12Password)
			if err != nil || len(all) != 1 {
				t.Fatalf("%s: %d certificates (%v)", format, len(all), err)
			}
			der = all[0].Raw
		case FormatMobileConfig:
			m := regexp.MustCompile(`(?s)<data>(.*?)</data>`).FindSubmatch(f.Data)
			if m == nil {
				t.Fatalf("%s: no data", format)
			}
			if der, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(m[1])), "")); err != nil {
				t.Fatalf("%s: %v", format, err)
			}
		}
		if !bytes.Equal(der, c.Certificate().Raw) {
			t.Errorf("%s holds another certificate", format)
		}
	}
	var e *Error
	if _, err := c.Export("jks"); !errors.As(err, &e) || !strings.Contains(e.Hint(), "mobileconfig") {
		t.Errorf("unknown format: %v", err)
	}
}

func TestProfile(t *testing.T) {
	c := newTestCA(t)
	f, err := c.Export(FormatMobileConfig)
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(bytes.NewReader(f.Data)); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	uuids := regexp.MustCompile(`<key>PayloadUUID</key>\s*<string>([0-9A-F]{8}-[0-9A-F]{4}-5[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12})</string>`).FindAllSubmatch(f.Data, -1)
	if len(uuids) != 2 || bytes.Equal(uuids[0][1], uuids[1][1]) {
		t.Errorf("UUIDs %q", uuids)
	}
	again, err := c.Export(FormatMobileConfig)
	if err != nil || !bytes.Equal(again.Data, f.Data) {
		t.Error("a second export differs: a device would install it beside the first")
	}
	other, err := newTestCA(t).Export(FormatMobileConfig)
	if err != nil || bytes.Contains(other.Data, uuids[0][1]) {
		t.Error("another authority's profile replaces this one's")
	}
	// Names of users and machines may hold anything.
	key, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	der, err := selfSign(key, `<&"'>@]]>`, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	f, err = newCA(t.TempDir(), cert, key).Export(FormatMobileConfig)
	if err != nil {
		t.Fatal(err)
	}
	var plist struct {
		Strings []string `xml:"dict>string"`
	}
	if err := xml.Unmarshal(f.Data, &plist); err != nil || !strings.Contains(strings.Join(plist.Strings, "\n"), `<&"'>@]]>`) {
		t.Errorf("%q (%v)", plist.Strings, err)
	}
}

// plutil is Apple's; libplist's works alike.
func TestProfileIsAPropertyList(t *testing.T) {
	c := newTestCA(t)
	out, err := tryTool(t, "python3", "-c", `
import plistlib, sys, hashlib
p = plistlib.load(open(sys.argv[1], "rb"))
root = p["PayloadContent"][0]
assert p["PayloadType"] == "Configuration" and p["PayloadVersion"] == 1, p
assert root["PayloadType"] == "com.apple.security.root", root
print(hashlib.sha256(root["PayloadContent"]).hexdigest())`, save(t, c, FormatMobileConfig))
	if err != nil || strings.TrimSpace(out) != c.Fingerprint() {
		t.Errorf("%v: %s", err, out)
	}
}

func TestOpenSSLReadsWhatIsExported(t *testing.T) {
	c := newTestCA(t)
	if got := strings.TrimSpace(tool(t, "openssl", "x509", "-subject_hash_old", "-noout", "-in", save(t, c, FormatPEM))); got != c.SubjectHashOld() {
		t.Errorf("hash of the subject is %s, openssl says %s", c.SubjectHashOld(), got)
	}
	if f, _ := c.Export(FormatAndroid); f.Name != c.SubjectHashOld()+".0" {
		t.Errorf("Android's file is named %s", f.Name)
	}
	tool(t, "openssl", "x509", "-inform", "DER", "-noout", "-in", save(t, c, FormatDER))
	out := tool(t, "openssl", "pkcs12", "-in", save(t, c, FormatP12), "-passin", "pass:"+P12Password, "-nokeys")
	if !strings.Contains(out, "BEGIN CERTIFICATE") || !strings.Contains(out, c.Name()) {
		t.Errorf("PKCS#12: %s", out)
	}
	// Android and others read X.509 as strictly as this.
	tool(t, "openssl", "verify", "-x509_strict", "-check_ss_sig", "-CAfile", save(t, c, FormatPEM), save(t, c, FormatPEM))
	public := tool(t, "sh", "-c", "openssl x509 -in '"+save(t, c, FormatPEM)+"' -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256 -binary | base64")
	if strings.TrimSpace(public) != c.SPKIHash() {
		t.Errorf("hash of the key is %s, openssl says %s", c.SPKIHash(), public)
	}
	if got := strings.ToLower(strings.ReplaceAll(tool(t, "openssl", "x509", "-fingerprint", "-sha256", "-noout", "-in", save(t, c, FormatPEM)), ":", "")); !strings.Contains(got, c.Fingerprint()) {
		t.Errorf("fingerprint %s, openssl says %s", c.Fingerprint(), got)
	}
}

func TestJavaReadsTheTrustStore(t *testing.T) {
	c := newTestCA(t)
	out := tool(t, "keytool", "-list", "-v", "-keystore", save(t, c, FormatP12), "-storepass", P12Password)
	if !strings.Contains(out, "trustedCertEntry") || !strings.Contains(strings.ToLower(strings.ReplaceAll(out, ":", "")), c.Fingerprint()) {
		t.Errorf("%s", out)
	}
}

func TestOpenSSLVerifiesLeaves(t *testing.T) {
	c := newTestCA(t)
	ca := save(t, c, FormatPEM)
	for host, option := range map[string]string{
		"example.com": "-verify_hostname", "bücher.example": "-verify_hostname", "192.0.2.1": "-verify_ip", "2001:db8::1": "-verify_ip",
		strings.Repeat("a", 63) + "." + strings.Repeat("b", 63) + ".example": "-verify_hostname",
		"my_host.example": "-verify_hostname",
	} {
		leaf, err := c.Leaf(t.Context(), host)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "leaf.pem")
		if err := os.WriteFile(file, encodeCert(leaf.Certificate[0]), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := tryTool(t, "openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", ca, option, normalize(host), file)
		if err != nil {
			t.Errorf("%s: %s", host, out)
		}
	}
}

// A leaf must not work as an authority, and the authority not beyond its purpose.
func TestOpenSSLRefusesWhatGoesTooFar(t *testing.T) {
	c := newTestCA(t)
	ca := save(t, c, FormatPEM)
	leaf, err := c.Leaf(t.Context(), "example.com")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "leaf.pem")
	if err := os.WriteFile(file, encodeCert(leaf.Certificate[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, purpose := range []string{"sslclient", "smimesign", "timestampsign"} {
		if out, err := tryTool(t, "openssl", "verify", "-purpose", purpose, "-CAfile", ca, file); err == nil {
			t.Errorf("a leaf is good for %s: %s", purpose, out)
		}
	}
}

func TestCurlTalksToALeaf(t *testing.T) {
	c := newTestCA(t)
	ca := save(t, c, FormatPEM)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.ServerName == "" {
			return c.Leaf(hello.Context(), hello.Conn.LocalAddr().String())
		}
		return c.Leaf(hello.Context(), hello.ServerName)
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(10 * time.Second))
				var b []byte
				for buf := make([]byte, 4096); !bytes.Contains(b, []byte("\r\n\r\n")); {
					n, err := conn.Read(buf)
					if err != nil {
						return
					}
					b = append(b, buf[:n]...)
				}
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
			}()
		}
	}()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"example.com", "EXAMPLE.com", "deep.under.example.com", "127.0.0.1", "localhost", "xn--bcher-kva.example", strings.Repeat("a", 63) + ".example"} {
		for _, version := range []string{"--tlsv1.2 --tls-max 1.2", "--tlsv1.3"} {
			args := append(strings.Fields(version), "-sS", "--noproxy", "*", "--cacert", ca, "--connect-to", "::127.0.0.1:"+port, "https://"+host+":"+port+"/")
			if out, err := tryTool(t, "curl", args...); err != nil || out != "hello" {
				t.Errorf("%s %s: %v: %s", host, version, err, out)
			}
		}
	}
	if out, err := tryTool(t, "curl", "-sS", "--noproxy", "*", "--connect-to", "::127.0.0.1:"+port, "https://example.com/"); err == nil {
		t.Errorf("trusted without the authority: %s", out)
	}
}

// Firefox and Chromium judge chains as certutil does.
func TestNSSVerifiesTheAuthority(t *testing.T) {
	c := newTestCA(t)
	db := "sql:" + t.TempDir()
	tool(t, "certutil", "-N", "--empty-password", "-d", db)
	tool(t, "certutil", "-A", "-d", db, "-t", "C,,", "-n", "ca", "-i", save(t, c, FormatPEM))
	leaf, err := c.Leaf(t.Context(), "example.com")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "leaf.pem")
	if err := os.WriteFile(file, encodeCert(leaf.Certificate[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	tool(t, "certutil", "-A", "-d", db, "-t", ",,", "-n", "leaf", "-i", file)
	tool(t, "certutil", "-V", "-d", db, "-n", "leaf", "-u", "V", "-e")
}
