package keyfile

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"hash"
)

// hintConvert is for a file that OpenSSL may read where this package does not.
const hintConvert = "convert it and use the result as certificate and key: openssl pkcs12 -in FILE -legacy -nodes -out NEW.pem"

// maxSafes and maxBags bound what a file may hold; the trust stores of whole systems have some hundred bags.
const (
	maxSafes = 64
	maxBags  = 4096
)

// The structures of RFC 7292 section 4.
type (
	contentInfo struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"tag:0,explicit,optional"`
	}
	pfxFile struct {
		Version  int
		AuthSafe contentInfo
		MAC      macData `asn1:"optional"`
	}
	macData struct {
		MAC struct {
			Algorithm pkix.AlgorithmIdentifier
			Digest    []byte
		}
		Salt   []byte
		Rounds int `asn1:"optional,default:1"`
	}
	safeBag struct {
		ID    asn1.ObjectIdentifier
		Value asn1.RawValue `asn1:"tag:0,explicit"`
	}
)

const (
	oidData      = "1.2.840.113549.1.7.1"
	oidEncrypted = "1.2.840.113549.1.7.6"
)

// IsPFX says whether b is a PKCS#12 file, by its beginning: a sequence that starts with the version and a ContentInfo.
func IsPFX(b []byte) bool {
	var file struct {
		Version  int
		AuthSafe asn1.RawValue
	}
	der, _, err := toDER(b)
	if err != nil {
		return false
	}
	if _, err := asn1.Unmarshal(der, &file); err != nil || file.Version != 3 {
		return false
	}
	var info contentInfo
	_, err = asn1.Unmarshal(file.AuthSafe.FullBytes, &info)
	return err == nil && bytes.HasPrefix(file.AuthSafe.Bytes, []byte{asn1.TagOID})
}

// ReadPFX reads a PKCS#12 file: the key in it, the certificate that belongs to the key, and the certificates on the path
// to its issuer.
func ReadPFX(pfx, passphrase []byte) (*Pair, error) {
	if len(pfx) > maxSize {
		return nil, unreadable("", "it is larger than %d MiB", maxSize>>20)
	}
	var file pfxFile
	if !IsPFX(pfx) {
		if c, err := scan(pfx); err == nil && len(c.certs)+len(c.keys) > 0 {
			return nil, unreadable("give it as certificate and key (--cert, --key)", "it is no PKCS#12 file but PEM, DER or PKCS#7")
		} else if e := (*Error)(nil); errors.As(err, &e) && e.Kind == Unsupported {
			return nil, err
		}
		return nil, unreadable(hintDamaged, "it is no PKCS#12 file, or damaged")
	}
	if err := unmarshalBER(pfx, &file); err != nil {
		return nil, unreadable(hintDamaged, "the PKCS#12 file is damaged")
	}
	if file.AuthSafe.Type.String() != oidData {
		return nil, unsupported(hintConvert, "the PKCS#12 file is protected by a signature instead of a passphrase")
	}
	var safes []byte
	if _, err := asn1.Unmarshal(file.AuthSafe.Content.Bytes, &safes); err != nil {
		return nil, unreadable(hintDamaged, "the PKCS#12 file is damaged")
	}
	protected := len(file.MAC.MAC.Algorithm.Algorithm) > 0
	verified, opened, w := false, false, newWork()
	var last secret
	for i, s := range secrets(passphrase) {
		if protected {
			// The MAC is the work that an honest file asks for most of: not twice for the same bytes.
			if i == 0 || !bytes.Equal(s.bmp, last.bmp) {
				var err error
				if verified, err = file.MAC.verify(safes, s, w); err != nil {
					return nil, within("the PKCS#12 file", err)
				}
			}
			if last = s; !verified {
				continue
			}
			opened = true
		}
		r := pfxReader{secret: s, work: w, passphrase: passphrase}
		err := r.readSafes(safes)
		if err == nil {
			return r.pair()
		}
		if !errors.Is(err, errWrongSecret) {
			return nil, within("the PKCS#12 file", err)
		}
	}
	if opened {
		return nil, &Error{
			What: "the passphrase is the one of the PKCS#12 file, but not of the key in it", Kind: WrongPassphrase,
			Hint: "give both the same one: keytool -keypasswd -keystore FILE -alias NAME, or export the file again",
		}
	}
	return nil, needsOrWrong("the PKCS#12 file", passphrase)
}

// secrets are the readings of one passphrase that programs disagree about, most likely first.
func secrets(passphrase []byte) []secret {
	s := newSecret(passphrase)
	// NSS has used the form of PKCS#12 for the ciphers of PKCS#5 too.
	all := []secret{s, {s.bmp, s.bmp}}
	if len(passphrase) == 0 {
		// No passphrase is two zero bytes for some and nothing at all for others.
		return append(all, secret{nil, nil})
	}
	for _, c := range passphrase {
		if c >= 0x80 { // OpenSSL before 1.1 widens bytes, whatever their encoding
			var wide []byte
			for _, c := range passphrase {
				wide = append(wide, 0, c)
			}
			return append(all, secret{passphrase, append(wide, 0, 0)})
		}
	}
	return all
}

// verify says whether the MAC (RFC 7292 appendix A, RFC 9579 for PBMAC1) is the one of message under s.
func (m *macData) verify(message []byte, s secret, w *work) (bool, error) {
	var h func() hash.Hash
	var key []byte
	switch oid := m.MAC.Algorithm.Algorithm.String(); oid {
	case "1.3.14.3.2.26":
		h = sha1.New
	case "2.16.840.1.101.3.4.2.4":
		h = sha256.New224
	case "2.16.840.1.101.3.4.2.1":
		h = sha256.New
	case "2.16.840.1.101.3.4.2.2":
		h = sha512.New384
	case "2.16.840.1.101.3.4.2.3":
		h = sha512.New
	case "1.2.840.113549.1.5.14":
		var err error
		if h, key, err = pbmac1(m.MAC.Algorithm, s.text, w); err != nil {
			return false, err
		}
	default:
		return false, unsupported(hintConvert, "the PKCS#12 file is protected by a MAC that eaves does not know (OID %s)", oid)
	}
	if key == nil {
		if err := w.spend(m.Rounds, 1); err != nil {
			return false, err
		}
		key = pkcs12KDF(h, m.Salt, s.bmp, m.Rounds, 3, h().Size())
	}
	mac := hmac.New(h, key)
	mac.Write(message)
	return hmac.Equal(mac.Sum(nil), m.MAC.Digest), nil
}

// pbmac1 derives the key of a MAC whose parameters stand in its algorithm.
func pbmac1(alg pkix.AlgorithmIdentifier, password []byte, w *work) (func() hash.Hash, []byte, error) {
	var p struct{ KDF, MAC pkix.AlgorithmIdentifier }
	var kdf pbkdf2Params
	_, err := asn1.Unmarshal(alg.Parameters.FullBytes, &p)
	if err == nil && p.KDF.Algorithm.String() == "1.2.840.113549.1.5.12" {
		_, err = asn1.Unmarshal(p.KDF.Parameters.FullBytes, &kdf)
	}
	h, known := prf(p.MAC.Algorithm.String())
	// RFC 9579 section 6: the length must be there, and shorter keys than 20 bytes are to be refused.
	if err != nil || !known || kdf.KeySize < 20 || kdf.KeySize > 64 {
		return nil, nil, unsupported(hintConvert, "the PKCS#12 file is protected by a PBMAC1 with parameters that eaves does not accept")
	}
	key, err := derivePBKDF2(p.KDF, password, kdf.KeySize, w)
	return h, key, err
}

// pfxReader collects what is in the safes of a file.
type pfxReader struct {
	secret     secret
	work       *work
	passphrase []byte
	certs      content
	keys       []crypto.Signer
	bags       int
	keyErr     error
}

func (r *pfxReader) readSafes(b []byte) error {
	var infos []contentInfo
	if err := unmarshalBER(b, &infos); err != nil || len(infos) > maxSafes {
		return unreadable(hintDamaged, "the PKCS#12 file is damaged: its list of safes")
	}
	for _, info := range infos {
		var bags []byte
		switch oid := info.Type.String(); oid {
		case oidData:
			if _, err := asn1.Unmarshal(info.Content.Bytes, &bags); err != nil {
				return unreadable(hintDamaged, "the PKCS#12 file is damaged: a safe in it")
			}
			if err := r.readBags(bags, 0); err != nil {
				return err
			}
		case oidEncrypted:
			var e struct {
				Version int
				Content struct {
					Type      asn1.ObjectIdentifier
					Algorithm pkix.AlgorithmIdentifier
					Data      asn1.RawValue `asn1:"tag:0,optional"`
				}
			}
			if _, err := asn1.Unmarshal(info.Content.Bytes, &e); err != nil {
				return unreadable(hintDamaged, "the PKCS#12 file is damaged: an encrypted safe in it")
			}
			data, err := octets(e.Content.Data)
			if err != nil {
				return unreadable(hintDamaged, "the PKCS#12 file is damaged: an encrypted safe in it")
			}
			if bags, err = decrypt(e.Content.Algorithm, data, r.secret, r.work); err != nil {
				return err
			}
			var probe []asn1.RawValue
			if unmarshalBER(bags, &probe) != nil { // the padding fitted by chance
				return errWrongSecret
			}
			if err := r.readBags(bags, 0); err != nil {
				return err
			}
		default:
			return unsupported(hintConvert, "the PKCS#12 file is encrypted for a certificate instead of a passphrase (OID %s)", oid)
		}
	}
	return nil
}

func (r *pfxReader) readBags(b []byte, depth int) error {
	var bags []safeBag
	if err := unmarshalBER(b, &bags); err != nil || depth > maxDepth {
		return unreadable(hintDamaged, "the PKCS#12 file is damaged: the content of a safe")
	}
	if r.bags += len(bags); r.bags > maxBags {
		return unsupported("", "the PKCS#12 file holds more than %d entries", maxBags)
	}
	for _, bag := range bags {
		if len(r.keys) > maxKeys {
			return tooManyKeys("the PKCS#12 file")
		}
		switch bag.ID.String() {
		case "1.2.840.113549.1.12.10.1.1": // a key in clear
			r.addKey(parseKey(bag.Value.Bytes))
		case "1.2.840.113549.1.12.10.1.2": // an encrypted key
			alg, data, ok := parseEncrypted(bag.Value.Bytes)
			if !ok {
				return unreadable(hintDamaged, "the PKCS#12 file is damaged: its key")
			}
			der, err := decrypt(alg, data, r.secret, r.work)
			if err == nil && !looksLikeKey(der) {
				err = errWrongSecret
			}
			if err != nil {
				return err
			}
			r.addKey(parseKey(der))
		case "1.2.840.113549.1.12.10.1.3": // a certificate
			var cert struct {
				Type asn1.ObjectIdentifier
				Data []byte `asn1:"tag:0,explicit"`
			}
			if _, err := asn1.Unmarshal(bag.Value.Bytes, &cert); err != nil {
				return unreadable(hintDamaged, "the PKCS#12 file is damaged: a certificate in it")
			}
			if cert.Type.String() == "1.2.840.113549.1.9.22.1" {
				r.certs.addCertificates(cert.Data)
			}
		case "1.2.840.113549.1.12.10.1.6": // safes within safes
			if err := r.readBags(bag.Value.Bytes, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// addKey keeps a key, or why it was not read: a store may hold another that is.
func (r *pfxReader) addKey(key crypto.Signer, err error) {
	if err == nil {
		r.keys = append(r.keys, key)
	} else if r.keyErr == nil {
		r.keyErr = err
	}
}

func (r *pfxReader) pair() (*Pair, error) {
	switch {
	case len(r.keys) == 0 && r.keyErr != nil:
		return nil, r.keyErr
	case len(r.keys) == 0:
		return nil, &Error{
			What: "the PKCS#12 file holds no private key", Kind: NoKey,
			Hint: "export it again with its key (Windows: “Yes, export the private key”)",
		}
	case len(r.certs.certs) == 0 && r.certs.bad == nil:
		return nil, &Error{What: "the PKCS#12 file holds no certificate", Kind: NoCertificate, Hint: "export it again with its certificate"}
	}
	return newPair(&r.certs, r.keys)
}
