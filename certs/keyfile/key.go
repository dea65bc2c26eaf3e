package keyfile

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// maxKeySize is the length of the encoding of an RSA key of 16384 bits: what is larger would take long to look at.
const maxKeySize = 10 << 10

// minRSA is the least that crypto/rsa signs with.
const minRSA = 1024

// rawKey is a private key as it stands in a file.
type rawKey struct {
	der []byte
	// dek is the DEK-Info field of an encrypted PEM block of the old kind (RFC 1421 section 4.6.1.3).
	dek string
}

// decode decrypts the key if need be, and parses it. what names it in errors.
func (k rawKey) decode(what string, passphrase []byte, w *work) (crypto.Signer, error) {
	if k.dek != "" {
		der, err := decryptPEM(k.dek, k.der, passphrase)
		return decrypted(der, err, what, passphrase)
	}
	alg, data, ok := parseEncrypted(k.der)
	if !ok {
		return parseKey(k.der)
	}
	der, err := decrypt(alg, data, newSecret(passphrase), w)
	return decrypted(der, err, what, passphrase)
}

// decrypted parses what came out of a decryption. About one wrong passphrase in 256 passes the check of the padding and
// yields nonsense, so nonsense is reported as what it is: a wrong passphrase.
func decrypted(der []byte, err error, what string, passphrase []byte) (crypto.Signer, error) {
	if err == nil && !looksLikeKey(der) {
		err = errWrongSecret
	}
	if errors.Is(err, errWrongSecret) {
		return nil, needsOrWrong(what, passphrase)
	}
	if err != nil {
		return nil, err
	}
	return parseKey(der)
}

// parseEncrypted takes an EncryptedPrivateKeyInfo (RFC 5958 section 3) apart.
func parseEncrypted(der []byte) (alg pkix.AlgorithmIdentifier, data []byte, ok bool) {
	var e struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	rest, err := asn1.Unmarshal(der, &e)
	return e.Algorithm, e.Data, err == nil && len(rest) == 0
}

// privateKeyInfo is the outer part of PKCS#8 (RFC 5958 section 2).
type privateKeyInfo struct {
	Version   int
	Algorithm pkix.AlgorithmIdentifier
	Key       []byte
}

// looksLikeKey says whether der is laid out as PKCS#8, PKCS#1, SEC1 or an old DSA key, whatever the numbers in it.
func looksLikeKey(der []byte) bool {
	var info privateKeyInfo
	if rest, err := asn1.Unmarshal(der, &info); err == nil && len(rest) == 0 {
		return true
	}
	var sec1 struct {
		Version int
		Key     []byte
	}
	if rest, err := asn1.Unmarshal(der, &sec1); err == nil && len(rest) == 0 && sec1.Version == 1 {
		return true
	}
	var numbers []asn1.RawValue
	rest, err := asn1.Unmarshal(der, &numbers)
	if err != nil || len(rest) != 0 || len(numbers) < 6 {
		return false
	}
	for _, n := range numbers {
		if n.Class != asn1.ClassUniversal || n.Tag != asn1.TagInteger && n.Tag != asn1.TagSequence {
			return false
		}
	}
	return true
}

// parseKey reads a private key that is not encrypted, whatever its PEM block was called.
func parseKey(der []byte) (crypto.Signer, error) {
	if len(der) > maxKeySize {
		return nil, unsupported("", "the private key is larger than any that TLS works with")
	}
	var key any
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		why := err
		if key, err = x509.ParsePKCS1PrivateKey(der); err != nil {
			if key, err = x509.ParseECPrivateKey(der); err != nil {
				return nil, unknownKey(der, why)
			}
		}
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if bits := key.N.BitLen(); bits < minRSA {
			return nil, unsupported("make a new key of 2048 bits or more", "an RSA key of %d bits is too short for TLS", bits)
		}
		return key, nil
	case *ecdsa.PrivateKey:
		if key.Curve == elliptic.P224() {
			return nil, unsupported("make a new key on P-256 or P-384", "a key on the curve P-224 does not work with TLS")
		}
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, unsupported("", "the key is one for key agreement (X25519 or ECDH) and cannot sign, so it does not work with TLS")
}

// algorithms of keys that exist and that crypto/x509 does not read, by their OID.
var algorithms = map[string]string{
	"1.2.840.10040.4.1":     "DSA",
	"1.2.840.113549.1.1.10": "RSA restricted to PSS (id-RSASSA-PSS)",
	"1.3.101.110":           "X25519",
	"1.3.101.111":           "X448",
	"1.3.101.113":           "Ed448",
	"1.2.643.7.1.1.1.1":     "GOST R 34.10-2012",
	"1.2.643.7.1.1.1.2":     "GOST R 34.10-2012",
}

// unknownKey says why der was not read as a key.
func unknownKey(der []byte, why error) error {
	var info privateKeyInfo
	if rest, err := asn1.Unmarshal(der, &info); err == nil && len(rest) == 0 {
		oid := info.Algorithm.Algorithm.String()
		switch name := algorithms[oid]; {
		case name != "":
			return unsupported("eaves works with RSA, ECDSA (P-256, P-384, P-521) and Ed25519 keys", "the key is of the kind %s, which Go's TLS does not speak", name)
		case oid == "1.2.840.10045.2.1":
			var curve asn1.ObjectIdentifier
			if _, err := asn1.Unmarshal(info.Algorithm.Parameters.FullBytes, &curve); err != nil {
				return explicitCurve()
			}
			return unsupported("eaves works with the curves P-256, P-384 and P-521", "the key's elliptic curve (OID %s) is not one that Go's TLS speaks", curve)
		case oid == "1.2.840.113549.1.1.1":
			return unreadable(hintDamaged, "the RSA key is damaged: %s", reason(why))
		}
		return unsupported("eaves works with RSA, ECDSA (P-256, P-384, P-521) and Ed25519 keys", "the key is of a kind that eaves does not know (OID %s)", oid)
	}
	var sec1 struct {
		Version int
		Key     []byte
		Params  asn1.RawValue `asn1:"optional,tag:0"`
	}
	if rest, err := asn1.Unmarshal(der, &sec1); err == nil && len(rest) == 0 && sec1.Version == 1 {
		var curve asn1.ObjectIdentifier
		if _, err := asn1.Unmarshal(sec1.Params.Bytes, &curve); err != nil {
			return explicitCurve()
		}
		return unsupported("eaves works with the curves P-256, P-384 and P-521", "the key's elliptic curve (OID %s) is not one that Go's TLS speaks", curve)
	}
	return unreadable("see what it is: openssl pkey -in KEY -noout -text", "it is not a private key, or a damaged one")
}

func explicitCurve() error {
	return unsupported("name the curve: openssl ec -param_enc named_curve -in KEY -out NEW.key", "the key spells out its elliptic curve instead of naming it")
}

// reason strips the prefix of the standard library's package from its error.
func reason(err error) string { return strings.TrimPrefix(err.Error(), "x509: ") }

// decryptPEM undoes the encryption of an old PEM block (Proc-Type: 4,ENCRYPTED).
func decryptPEM(dek string, data, passphrase []byte) ([]byte, error) {
	name, ivHex, _ := strings.Cut(dek, ",")
	var c blockCipher
	switch name = strings.ToUpper(strings.TrimSpace(name)); name {
	case "AES-128-CBC":
		c = blockCipher{16, aes.NewCipher}
	case "AES-192-CBC":
		c = blockCipher{24, aes.NewCipher}
	case "AES-256-CBC":
		c = blockCipher{32, aes.NewCipher}
	case "DES-EDE3-CBC":
		c = blockCipher{24, des.NewTripleDESCipher}
	case "DES-CBC":
		c = blockCipher{8, des.NewCipher}
	default:
		return nil, unsupported(hintReencrypt, "the key is encrypted with a cipher that eaves does not know (%.40q)", name)
	}
	iv, err := hex.DecodeString(strings.TrimSpace(ivHex))
	if err != nil || len(iv) < 8 {
		return nil, unreadable(hintDamaged, "the DEK-Info line of the key is damaged")
	}
	var block cipher.Block
	if block, err = c.make(pemKDF(iv[:8], passphrase, c.keySize)); err != nil {
		return nil, err
	}
	return decryptCBC(block, iv, data)
}

// KeyName names the kind and size of a public key: RSA 2048, ECDSA P-256, Ed25519.
func KeyName(public crypto.PublicKey) string {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return "of an unknown kind"
}
