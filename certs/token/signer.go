//go:build cgo

package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/miekg/pkcs11"

	"eaves/certs/keyfile"
)

// signer is the private key of a Token.
type signer struct {
	token  *Token
	public crypto.PublicKey
}

func newSigner(t *Token, public crypto.PublicKey) (*signer, error) {
	switch public.(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey:
		return &signer{t, public}, nil
	}
	return nil, &keyfile.Error{What: "the key on the token is " + keyfile.KeyName(public) + ", and eaves works with RSA and ECDSA keys on tokens", Kind: keyfile.Unsupported}
}

// Public returns the certificate's key.
func (s *signer) Public() crypto.PublicKey { return s.public }

// Sign signs a digest on the token.
func (s *signer) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	t := s.token
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, &keyfile.Error{What: "the token is no longer in use", Kind: keyfile.Unsupported}
	}
	if t.refused != nil {
		return nil, t.refused
	}
	signature, err := s.signLocked(digest, opts)
	if err == nil || !gone(err) {
		return signature, explain(err)
	}
	// The card was taken out, or another program reset it: begin anew, once.
	_ = t.closeSession()
	if err := t.connect(); err != nil {
		_ = t.closeSession()
		if k := (*keyfile.Error)(nil); errors.As(err, &k) && k.Kind == keyfile.WrongPassphrase {
			t.refused = err
		}
		return nil, err
	}
	signature, err = s.signLocked(digest, opts)
	return signature, explain(err)
}

// gone says whether err is of a session that has ended.
func gone(err error) bool {
	for _, code := range []uint{
		pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_SESSION_CLOSED, pkcs11.CKR_DEVICE_REMOVED, pkcs11.CKR_TOKEN_NOT_PRESENT,
		pkcs11.CKR_KEY_HANDLE_INVALID, pkcs11.CKR_OBJECT_HANDLE_INVALID, pkcs11.CKR_USER_NOT_LOGGED_IN,
	} {
		if is(err, code) {
			return true
		}
	}
	return false
}

func explain(err error) error {
	if _, ok := err.(pkcs11.Error); ok {
		return failed("signing on the token", err)
	}
	return err
}

// signLocked signs in the session, which the caller holds.
func (s *signer) signLocked(digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	t := s.token
	if len(digest) != opts.HashFunc().Size() {
		return nil, fmt.Errorf("a digest of %d bytes is none of %v", len(digest), opts.HashFunc())
	}
	mechanism, input, err := s.mechanism(digest, opts)
	if err != nil {
		return nil, err
	}
	if err := t.module.SignInit(t.session, []*pkcs11.Mechanism{mechanism}, t.key); err != nil {
		return nil, err
	}
	if t.always {
		if err := t.module.Login(t.session, pkcs11.CKU_CONTEXT_SPECIFIC, string(t.pin)); err != nil {
			return nil, err
		}
	}
	signature, err := t.module.Sign(t.session, input)
	if err != nil {
		return nil, err
	}
	if _, ok := s.public.(*ecdsa.PublicKey); !ok {
		return signature, nil
	}
	// PKCS#11 gives r and s one after the other, TLS wants them in ASN.1 (RFC 3279 section 2.2.3).
	if len(signature) == 0 || len(signature)%2 != 0 {
		return nil, &keyfile.Error{What: "the token gave a signature that is none", Kind: keyfile.Unsupported}
	}
	half := len(signature) / 2
	return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])})
}

// The hashes of TLS: their mechanism, their mask generation function, and what comes before the digest in a signature by
// PKCS#1 version 1.5 (RFC 8017 section 9.2).
var hashes = map[crypto.Hash]struct {
	mechanism, mgf uint
	prefix         []byte
}{
	crypto.SHA1:    {pkcs11.CKM_SHA_1, pkcs11.CKG_MGF1_SHA1, []byte{0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14}},
	crypto.SHA256:  {pkcs11.CKM_SHA256, pkcs11.CKG_MGF1_SHA256, []byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}},
	crypto.SHA384:  {pkcs11.CKM_SHA384, pkcs11.CKG_MGF1_SHA384, []byte{0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30}},
	crypto.SHA512:  {pkcs11.CKM_SHA512, pkcs11.CKG_MGF1_SHA512, []byte{0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40}},
	crypto.MD5SHA1: {}, // TLS 1.0 and 1.1 sign both digests without a prefix
}

// mechanism returns how the token is to sign, and what.
func (s *signer) mechanism(digest []byte, opts crypto.SignerOpts) (*pkcs11.Mechanism, []byte, error) {
	key, ok := s.public.(*rsa.PublicKey)
	if !ok {
		// Of a digest that is longer than the curve's order the left part counts (FIPS 186-5 section 6.4.1); some
		// tokens refuse more.
		size := (s.public.(*ecdsa.PublicKey).Params().N.BitLen() + 7) / 8
		return pkcs11.NewMechanism(pkcs11.CKM_ECDSA, nil), digest[:min(size, len(digest))], nil
	}
	h, ok := hashes[opts.HashFunc()]
	if !ok {
		return nil, nil, fmt.Errorf("no signatures over %v", opts.HashFunc())
	}
	pss, ok := opts.(*rsa.PSSOptions)
	if !ok {
		return pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS, nil), append(append([]byte{}, h.prefix...), digest...), nil
	}
	salt := pss.SaltLength
	switch salt {
	case rsa.PSSSaltLengthEqualsHash:
		salt = len(digest)
	case rsa.PSSSaltLengthAuto: // as long as there is room for, RFC 8017 section 9.1.1
		salt = (key.N.BitLen()-1+7)/8 - 2 - len(digest)
	}
	return pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_PSS, pkcs11.NewPSSParams(h.mechanism, h.mgf, uint(salt))), digest, nil
}

// schemes restricts an RSA key to what the token can do: older cards do not know PSS, which TLS 1.3 demands, and can
// still be used with TLS 1.2.
func (t *Token) schemes(s *signer) []tls.SignatureScheme {
	if _, ok := s.public.(*rsa.PublicKey); !ok {
		return nil
	}
	if _, err := t.module.GetMechanismInfo(t.slot, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_PSS, nil)}); err == nil {
		return nil
	}
	return []tls.SignatureScheme{tls.PKCS1WithSHA256, tls.PKCS1WithSHA384, tls.PKCS1WithSHA512, tls.PKCS1WithSHA1}
}

// verifies says whether signature is one of digest (SHA-256).
func verifies(public crypto.PublicKey, digest, signature []byte) bool {
	switch key := public.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest, signature) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest, signature)
	}
	return false
}
