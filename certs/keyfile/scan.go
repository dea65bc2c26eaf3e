package keyfile

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"strings"
	"unicode/utf16"
)

// maxSize is the most that a file may hold; the trust stores of whole systems are below one MiB.
const maxSize = 8 << 20

// content is what was found in a file.
type content struct {
	certs []*x509.Certificate
	keys  []rawKey
	// bad is why a certificate in it could not be read, the first of them.
	bad error
	// instead names what else the file holds, for an error that says what is missing.
	instead string
}

// scan takes a file apart, PEM or DER, without decrypting anything.
func scan(b []byte) (*content, error) {
	if len(b) > maxSize {
		return nil, unreadable("", "it is larger than %d MiB", maxSize>>20)
	}
	b = plainText(b)
	if len(bytes.TrimSpace(b)) == 0 {
		return nil, unreadable(hintDamaged, "it is empty")
	}
	if !bytes.Contains(b, []byte("-----BEGIN ")) {
		return scanDER(b)
	}
	c, blocks := new(content), 0
	for rest := b; ; blocks++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if err := c.add(block); err != nil {
			return nil, err
		}
	}
	if blocks < bytes.Count(b, []byte("-----BEGIN ")) {
		return nil, unreadable(hintDamaged, "it has a PEM block that is damaged or cut off")
	}
	return c, nil
}

func (c *content) add(block *pem.Block) error {
	switch block.Type {
	case "CERTIFICATE", "X509 CERTIFICATE":
		c.addCertificates(block.Bytes)
	case "TRUSTED CERTIFICATE": // OpenSSL's: a certificate, and what it is trusted for
		var cert asn1.RawValue
		if _, err := asn1.Unmarshal(block.Bytes, &cert); err != nil {
			c.addCertificates(block.Bytes)
			return nil
		}
		c.addCertificates(cert.FullBytes)
	case "PKCS7", "PKCS #7 SIGNED DATA", "CMS":
		certs, err := parsePKCS7(block.Bytes)
		if err != nil {
			return err
		}
		c.certs = append(c.certs, certs...)
	case "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY", "ANY PRIVATE KEY":
		c.keys = append(c.keys, rawKey{block.Bytes, block.Headers["DEK-Info"]})
	case "OPENSSH PRIVATE KEY":
		return unsupported("convert a copy of it: ssh-keygen -p -m PEM -f COPY", "it holds a key in the format of OpenSSH")
	case "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST":
		c.instead = "a certificate request, which an authority still has to sign"
	case "PUBLIC KEY", "RSA PUBLIC KEY":
		c.instead = "a public key"
	case "EC PARAMETERS", "DH PARAMETERS":
	default:
		if c.instead == "" {
			c.instead = "a PEM block of the type " + strings.ToLower(block.Type)
		}
	}
	return nil
}

// addCertificates takes one certificate or several, one after the other.
func (c *content) addCertificates(der []byte) {
	for len(der) > 0 {
		var one asn1.RawValue
		rest, err := asn1.Unmarshal(der, &one)
		if err == nil {
			var cert *x509.Certificate
			if cert, err = x509.ParseCertificate(one.FullBytes); err == nil {
				c.certs = append(c.certs, cert)
			}
		}
		if err != nil {
			if c.bad == nil {
				c.bad = unreadable("see what it is: openssl x509 -in FILE -noout -text", "it holds a certificate (number %d) that cannot be read: %s", len(c.certs)+1, reason(err))
			}
			if one.FullBytes == nil {
				return
			}
		}
		der = rest
	}
}

// scanDER reads a file of one binary value.
func scanDER(b []byte) (*content, error) {
	c := new(content)
	switch {
	case bytes.HasPrefix(b, []byte{0xfe, 0xed, 0xfe, 0xed}), bytes.HasPrefix(b, []byte{0xce, 0xce, 0xce, 0xce}):
		return nil, unsupported("convert it: keytool -importkeystore -srckeystore FILE -destkeystore NEW.p12 -deststoretype pkcs12", "it is a Java keystore of the old format (JKS)")
	case bytes.HasPrefix(b, []byte("PuTTY-User-Key-File")):
		return nil, unsupported("convert it: puttygen FILE -O private-openssh -o NEW.key", "it is a key of PuTTY")
	case bytes.HasPrefix(b, []byte("ssh-")), bytes.HasPrefix(b, []byte("ecdsa-sha2-")):
		return nil, unsupported("", "it is a public key of OpenSSH")
	case IsPFX(b):
		return nil, unsupported("give it as the PKCS#12 file (--pfx), not as a certificate or key", "it is a PKCS#12 file")
	}
	if certs, err := parsePKCS7(b); err == nil {
		c.certs = certs
		return c, nil
	}
	der, _, err := toDER(b)
	if err != nil {
		return nil, unreadable("eaves reads PEM (text that begins with -----BEGIN) and DER", "it is neither PEM nor DER, or damaged")
	}
	if _, _, ok := parseEncrypted(der); ok || looksLikeKey(der) {
		c.keys = []rawKey{{der: der}}
		return c, nil
	}
	c.addCertificates(b)
	if len(c.certs) == 0 {
		return nil, unreadable("see what it is: openssl asn1parse -inform DER -in FILE", "it holds neither a certificate nor a private key: %s", c.bad)
	}
	return c, nil
}

// parsePKCS7 returns the certificates of a .p7b file, a SignedData without a signature (RFC 5652 section 5.1).
func parsePKCS7(b []byte) ([]*x509.Certificate, error) {
	var info contentInfo
	if err := unmarshalBER(b, &info); err != nil || info.Type.String() != "1.2.840.113549.1.7.2" {
		return nil, unreadable(hintDamaged, "the PKCS#7 bundle in it is damaged or of another kind")
	}
	var signed struct {
		Version      int
		Digests      asn1.RawValue
		Encapsulated asn1.RawValue
		Certificates asn1.RawValue `asn1:"optional,tag:0"`
	}
	if _, err := asn1.Unmarshal(info.Content.Bytes, &signed); err != nil {
		return nil, unreadable(hintDamaged, "the PKCS#7 bundle in it is damaged")
	}
	var c content
	c.addCertificates(signed.Certificates.Bytes)
	if c.bad != nil {
		return nil, c.bad
	}
	return c.certs, nil
}

// plainText takes off what Windows puts around text: a byte order mark, or UTF-16, which PowerShell's > writes.
func plainText(b []byte) []byte {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}):
		order = binary.LittleEndian
	case bytes.HasPrefix(b, []byte{0xfe, 0xff}):
		order = binary.BigEndian
	default:
		return b
	}
	var units []uint16
	for b = b[2:]; len(b) >= 2; b = b[2:] {
		units = append(units, order.Uint16(b))
	}
	return []byte(string(utf16.Decode(units)))
}

// Certificates returns the certificates of a file that is to be trusted: PEM with any number of them, DER, or PKCS#7
// (.p7b). One that cannot be read is an error, since trust that is silently left out is hard to find.
func Certificates(b []byte) ([]*x509.Certificate, error) {
	if IsPFX(b) {
		return nil, unsupported("take the certificates out of it: openssl pkcs12 -in FILE -nokeys -out CERTS.pem", "it is a PKCS#12 file")
	}
	c, err := scan(b)
	if err != nil {
		return nil, err
	}
	if c.bad != nil {
		return nil, c.bad
	}
	if len(c.certs) == 0 {
		return nil, noCertificate("it", c)
	}
	return c.certs, nil
}

func noCertificate(what string, c *content) error {
	e := &Error{What: what + " holds no certificate", Kind: NoCertificate}
	switch {
	case c.instead != "":
		e.What += " but " + c.instead
	case len(c.keys) > 0:
		e.What += " but a private key"
		e.Hint = "give the certificate that belongs to the key"
	}
	return e
}
