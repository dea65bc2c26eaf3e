package certs

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"fmt"
	"strings"
	"text/template"

	"software.sslmate.com/src/go-pkcs12"
)

// Format names a form in which the authority's certificate is given away. No format holds the key.
type Format string

// The formats.
const (
	FormatPEM          Format = "pem"
	FormatDER          Format = "der"
	FormatP12          Format = "p12"
	FormatMobileConfig Format = "mobileconfig"
	// FormatAndroid is PEM under the name that Android's system store looks for.
	FormatAndroid Format = "android"
)

// Formats returns all formats, the commonest first.
func Formats() []Format {
	return []Format{FormatPEM, FormatDER, FormatP12, FormatMobileConfig, FormatAndroid}
}

// P12Password opens the PKCS#12 file. It guards nothing (a certificate is public); it is there because Java reads no
// trusted certificates from a store without one, and changeit is what Java's own stores have.
const P12Password = "changeit"

// File is a certificate ready to be saved or served.
type File struct {
	Name        string
	ContentType string
	Data        []byte
}

// Export returns the certificate in the given format.
func (c *CA) Export(format Format) (File, error) {
	switch format {
	case FormatPEM:
		// Browsers and phones offer to install what comes with this type, whether PEM or DER.
		return File{"eaves-ca.pem", "application/x-x509-ca-cert", c.PEM()}, nil
	case FormatDER:
		return File{"eaves-ca.crt", "application/x-x509-ca-cert", c.DER()}, nil
	case FormatP12:
		// Triple DES and SHA-1, since the newer algorithms are unknown to Windows before 2019, macOS before 15 and Java
		// before 8u301; nothing secret is in the file.
		data, err := pkcs12.LegacyDES.EncodeTrustStoreEntries([]pkcs12.TrustStoreEntry{{Cert: c.cert, FriendlyName: c.Name()}}, P12Password)
		if err != nil {
			return File{}, fmt.Errorf("encoding the CA as PKCS#12: %w", err)
		}
		return File{"eaves-ca.p12", "application/x-pkcs12", data}, nil
	case FormatMobileConfig:
		data, err := c.mobileConfig()
		if err != nil {
			return File{}, fmt.Errorf("encoding the CA as a profile: %w", err)
		}
		return File{"eaves-ca.mobileconfig", "application/x-apple-aspen-config", data}, nil
	case FormatAndroid:
		return File{c.SubjectHashOld() + ".0", "application/x-x509-ca-cert", c.PEM()}, nil
	}
	var names []string
	for _, f := range Formats() {
		names = append(names, string(f))
	}
	return File{}, &Error{
		message: fmt.Sprintf("unknown certificate format %q", string(format)),
		hint:    "one of " + strings.Join(names, ", "),
	}
}

// SubjectHashOld returns what "openssl x509 -subject_hash_old" prints: the first four bytes, little-endian, of the MD5
// of the subject. Android's system store names its files by it.
func (c *CA) SubjectHashOld() string {
	sum := md5.Sum(c.cert.RawSubject)
	return fmt.Sprintf("%08x", binary.LittleEndian.Uint32(sum[:]))
}

var mobileConfig = template.Must(template.New("mobileconfig").Funcs(template.FuncMap{"xml": escapeXML}).Parse(`<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>PayloadContent</key>
	<array>
		<dict>
			<key>PayloadCertificateFileName</key>
			<string>eaves-ca.crt</string>
			<key>PayloadContent</key>
			<data>
{{range .Data}}			{{.}}
{{end}}			</data>
			<key>PayloadDescription</key>
			<string>Lets eaves read the HTTPS traffic that this device sends through it.</string>
			<key>PayloadDisplayName</key>
			<string>{{xml .Name}}</string>
			<key>PayloadIdentifier</key>
			<string>test.eaves.ca.{{.Fingerprint}}.root</string>
			<key>PayloadType</key>
			<string>com.apple.security.root</string>
			<key>PayloadUUID</key>
			<string>{{.RootUUID}}</string>
			<key>PayloadVersion</key>
			<integer>1</integer>
		</dict>
	</array>
	<key>PayloadDescription</key>
	<string>Installs the certificate authority {{xml .Name}}. Then turn on full trust for it: Settings, General, About, Certificate Trust Settings.</string>
	<key>PayloadDisplayName</key>
	<string>{{xml .Name}}</string>
	<key>PayloadIdentifier</key>
	<string>test.eaves.ca.{{.Fingerprint}}</string>
	<key>PayloadOrganization</key>
	<string>eaves</string>
	<key>PayloadRemovalDisallowed</key>
	<false/>
	<key>PayloadType</key>
	<string>Configuration</string>
	<key>PayloadUUID</key>
	<string>{{.ProfileUUID}}</string>
	<key>PayloadVersion</key>
	<integer>1</integer>
</dict>
</plist>
`))

// mobileConfig returns an Apple configuration profile with the certificate as a root. Its identifiers come from the
// certificate, so that installing it twice replaces the first and another authority's profile stands beside it.
func (c *CA) mobileConfig() ([]byte, error) {
	var b bytes.Buffer
	err := mobileConfig.Execute(&b, map[string]any{
		"Name":        c.Name(),
		"Fingerprint": c.Fingerprint()[:16],
		"Data":        lines(base64.StdEncoding.EncodeToString(c.cert.Raw), 64),
		"ProfileUUID": c.uuid("profile"),
		"RootUUID":    c.uuid("root"),
	})
	return b.Bytes(), err
}

// uuid returns a name-based UUID (RFC 9562, section 5.5) of the certificate.
func (c *CA) uuid(purpose string) string {
	u := sha1.Sum(append([]byte("eaves "+purpose+" "), c.cert.Raw...))
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16]))
}

func escapeXML(s string) (string, error) {
	var b strings.Builder
	err := xml.EscapeText(&b, []byte(s))
	return b.String(), err
}

func lines(s string, n int) []string {
	var all []string
	for len(s) > n {
		all, s = append(all, s[:n]), s[n:]
	}
	return append(all, s)
}
