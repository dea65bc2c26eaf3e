package keyfile

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/rc4"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"hash"

	"golang.org/x/crypto/scrypt"
)

// errWrongSecret says that decryption failed as it does with a wrong passphrase.
var errWrongSecret = errors.New("the passphrase is wrong")

// Limits on scrypt (RFC 7914): memory is 128·N·r bytes. OpenSSL takes 16 MiB, the careful 128.
const (
	maxScryptMemory = 128 << 20
	maxScryptWork   = 1 << 22 // N·r·p
	scryptRounds    = 4       // of hashing take as long as one of these
)

// A cipher of PKCS#5 or PKCS#12: the length of its key, and how it is made.
type blockCipher struct {
	keySize int
	make    func(key []byte) (cipher.Block, error)
}

func tripleDES2(key []byte) (cipher.Block, error) {
	return des.NewTripleDESCipher(append(append([]byte{}, key...), key[:8]...))
}

// encryptionSchemes are those of PBES2 (RFC 8018 appendix B.2), all in CBC mode.
func encryptionScheme(oid string) (blockCipher, bool) {
	switch oid {
	case "2.16.840.1.101.3.4.1.2":
		return blockCipher{16, aes.NewCipher}, true
	case "2.16.840.1.101.3.4.1.22":
		return blockCipher{24, aes.NewCipher}, true
	case "2.16.840.1.101.3.4.1.42":
		return blockCipher{32, aes.NewCipher}, true
	case "1.2.840.113549.3.7":
		return blockCipher{24, des.NewTripleDESCipher}, true
	case "1.3.14.3.2.7":
		return blockCipher{8, des.NewCipher}, true
	}
	return blockCipher{}, false
}

// prf returns the hash of an HMAC (RFC 8018 appendix B.1).
func prf(oid string) (func() hash.Hash, bool) {
	switch oid {
	case "1.2.840.113549.2.7":
		return sha1.New, true
	case "1.2.840.113549.2.8":
		return sha256.New224, true
	case "1.2.840.113549.2.9":
		return sha256.New, true
	case "1.2.840.113549.2.10":
		return sha512.New384, true
	case "1.2.840.113549.2.11":
		return sha512.New, true
	}
	return nil, false
}

// decrypt undoes a password-based encryption: PBES2 (RFC 8018), PBES1, or one of PKCS#12 (RFC 7292 appendix C).
// errWrongSecret says that the padding does not fit; that it fits by chance is the caller's to see from the content.
func decrypt(alg pkix.AlgorithmIdentifier, data []byte, s secret, w *work) ([]byte, error) {
	switch oid := alg.Algorithm.String(); oid {
	case "1.2.840.113549.1.5.13":
		return decryptPBES2(alg, data, s.text, w)
	case "1.2.840.113549.1.5.3":
		return decryptPBES1(alg, data, s.text, w, md5.New, des.NewCipher)
	case "1.2.840.113549.1.5.6":
		return decryptPBES1(alg, data, s.text, w, md5.New, newRC2)
	case "1.2.840.113549.1.5.10":
		return decryptPBES1(alg, data, s.text, w, sha1.New, des.NewCipher)
	case "1.2.840.113549.1.5.11":
		return decryptPBES1(alg, data, s.text, w, sha1.New, newRC2)
	case "1.2.840.113549.1.12.1.1":
		return decryptRC4(alg, data, s.bmp, w, 16)
	case "1.2.840.113549.1.12.1.2":
		return decryptRC4(alg, data, s.bmp, w, 5)
	case "1.2.840.113549.1.12.1.3":
		return decryptPKCS12(alg, data, s.bmp, w, blockCipher{24, des.NewTripleDESCipher})
	case "1.2.840.113549.1.12.1.4":
		return decryptPKCS12(alg, data, s.bmp, w, blockCipher{16, tripleDES2})
	case "1.2.840.113549.1.12.1.5":
		return decryptPKCS12(alg, data, s.bmp, w, blockCipher{16, newRC2})
	case "1.2.840.113549.1.12.1.6":
		return decryptPKCS12(alg, data, s.bmp, w, blockCipher{5, newRC2})
	default:
		return nil, unsupported(hintReencrypt, "it is encrypted in a way that eaves does not know (OID %s)", oid)
	}
}

type pbeParams struct {
	Salt   []byte
	Rounds int
}

func parsePBE(alg pkix.AlgorithmIdentifier, w *work, blocks int) (p pbeParams, err error) {
	if _, err := asn1.Unmarshal(alg.Parameters.FullBytes, &p); err != nil {
		return p, unreadable(hintDamaged, "the parameters of its encryption are damaged")
	}
	return p, w.spend(p.Rounds, blocks)
}

func decryptPBES1(alg pkix.AlgorithmIdentifier, data, password []byte, w *work, h func() hash.Hash, c func([]byte) (cipher.Block, error)) ([]byte, error) {
	p, err := parsePBE(alg, w, 1)
	if err != nil {
		return nil, err
	}
	key := pbkdf1(h, p.Salt, password, p.Rounds)
	block, err := c(key[:8])
	if err != nil {
		return nil, err
	}
	return decryptCBC(block, key[8:16], data)
}

func decryptPKCS12(alg pkix.AlgorithmIdentifier, data, password []byte, w *work, c blockCipher) ([]byte, error) {
	p, err := parsePBE(alg, w, rounds20(c.keySize)+1)
	if err != nil {
		return nil, err
	}
	block, err := c.make(pkcs12KDF(sha1.New, p.Salt, password, p.Rounds, 1, c.keySize))
	if err != nil {
		return nil, err
	}
	return decryptCBC(block, pkcs12KDF(sha1.New, p.Salt, password, p.Rounds, 2, 8), data)
}

func decryptRC4(alg pkix.AlgorithmIdentifier, data, password []byte, w *work, keySize int) ([]byte, error) {
	p, err := parsePBE(alg, w, 1)
	if err != nil {
		return nil, err
	}
	c, err := rc4.NewCipher(pkcs12KDF(sha1.New, p.Salt, password, p.Rounds, 1, keySize))
	if err != nil {
		return nil, err
	}
	out := make([]byte, len(data))
	c.XORKeyStream(out, data)
	return out, nil
}

func decryptPBES2(alg pkix.AlgorithmIdentifier, data, password []byte, w *work) ([]byte, error) {
	var p struct{ KDF, Scheme pkix.AlgorithmIdentifier }
	if _, err := asn1.Unmarshal(alg.Parameters.FullBytes, &p); err != nil {
		return nil, unreadable(hintDamaged, "the parameters of its encryption are damaged")
	}
	c, ok := encryptionScheme(p.Scheme.Algorithm.String())
	if !ok {
		return nil, unsupported(hintReencrypt, "it is encrypted with a cipher that eaves does not know (OID %s)", p.Scheme.Algorithm)
	}
	var iv []byte
	if _, err := asn1.Unmarshal(p.Scheme.Parameters.FullBytes, &iv); err != nil {
		return nil, unreadable(hintDamaged, "the parameters of its cipher are damaged")
	}
	var key []byte
	var err error
	switch oid := p.KDF.Algorithm.String(); oid {
	case "1.2.840.113549.1.5.12":
		key, err = derivePBKDF2(p.KDF, password, c.keySize, w)
	case "1.3.6.1.4.1.11591.4.11":
		key, err = deriveScrypt(p.KDF, password, c.keySize, w)
	default:
		err = unsupported(hintReencrypt, "its key is derived in a way that eaves does not know (OID %s)", oid)
	}
	if err != nil {
		return nil, err
	}
	block, err := c.make(key)
	if err != nil {
		return nil, err
	}
	return decryptCBC(block, iv, data)
}

type pbkdf2Params struct {
	Salt    asn1.RawValue
	Rounds  int
	KeySize int                      `asn1:"optional"`
	PRF     pkix.AlgorithmIdentifier `asn1:"optional"` // SHA-1 where it is not named
}

func derivePBKDF2(alg pkix.AlgorithmIdentifier, password []byte, keySize int, w *work) ([]byte, error) {
	var p pbkdf2Params
	if _, err := asn1.Unmarshal(alg.Parameters.FullBytes, &p); err != nil || p.Salt.Class != asn1.ClassUniversal || p.Salt.Tag != asn1.TagOctetString {
		return nil, unreadable(hintDamaged, "the parameters of its key derivation are damaged")
	}
	h := sha1.New
	if len(p.PRF.Algorithm) > 0 {
		var ok bool
		if h, ok = prf(p.PRF.Algorithm.String()); !ok {
			return nil, unsupported(hintReencrypt, "its key is derived with a hash that eaves does not know (OID %s)", p.PRF.Algorithm)
		}
	}
	size := h().Size()
	if err := w.spend(p.Rounds, 2*((keySize+size-1)/size)); err != nil { // an HMAC is two hashes
		return nil, err
	}
	return pbkdf2.Key(h, string(password), p.Salt.Bytes, p.Rounds, keySize)
}

func deriveScrypt(alg pkix.AlgorithmIdentifier, password []byte, keySize int, w *work) ([]byte, error) {
	var p struct {
		Salt    []byte
		N, R, P int
		KeySize int `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(alg.Parameters.FullBytes, &p); err != nil || p.N < 2 || p.N&(p.N-1) != 0 || p.R < 1 || p.P < 1 {
		return nil, unreadable(hintDamaged, "the parameters of its key derivation are damaged")
	}
	// By division, so that nothing overflows.
	if p.N > maxScryptMemory/128/p.R || p.N > maxScryptWork/p.R/p.P {
		return nil, unsupported(hintReencrypt, "its key derivation (scrypt, N=%d r=%d p=%d) asks for more memory or time than eaves spends on a file", p.N, p.R, p.P)
	}
	if err := w.spend(p.N*p.R*p.P, scryptRounds); err != nil {
		return nil, err
	}
	return scrypt.Key(password, p.Salt, p.N, p.R, p.P, keySize)
}

// decryptCBC undoes CBC mode and its padding (RFC 8018 section 6.1.1).
func decryptCBC(block cipher.Block, iv, data []byte) ([]byte, error) {
	size := block.BlockSize()
	if len(iv) != size || len(data) == 0 || len(data)%size != 0 {
		return nil, unreadable(hintDamaged, "what is encrypted in it is damaged or cut off")
	}
	out := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(out, data)
	n := int(out[len(out)-1])
	if n == 0 || n > size {
		return nil, errWrongSecret
	}
	for _, c := range out[len(out)-n:] {
		if int(c) != n {
			return nil, errWrongSecret
		}
	}
	return out[:len(out)-n], nil
}
