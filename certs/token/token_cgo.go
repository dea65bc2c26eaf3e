//go:build cgo

package token

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/miekg/pkcs11"

	"eaves/certs/keyfile"
)

// Token is a private key on a card or in a module, with its certificate.
type Token struct {
	address address
	pin     []byte // for a card that was taken out and put in again
	cert    *tls.Certificate

	mu      sync.Mutex // a session does one thing at a time
	module  *pkcs11.Ctx
	slot    uint
	session pkcs11.SessionHandle
	key     pkcs11.ObjectHandle
	// always: the token wants the PIN before each signature (CKA_ALWAYS_AUTHENTICATE).
	always bool
	closed bool
	// refused is that the PIN was wrong: another card is there now, or its PIN was changed. It is not tried again.
	refused error
}

// object is a certificate or key on a token.
type object struct {
	handle pkcs11.ObjectHandle
	label  string
	id     []byte
	cert   *x509.Certificate // nil for a key
}

// Open finds the key and certificate that uri names. pin may be empty where the URI says where the PIN is (pin-source),
// or where the token asks for it by itself.
func Open(uri string, pin []byte) (*Token, error) {
	a, err := parse(uri)
	if err != nil {
		return nil, err
	}
	if len(pin) == 0 {
		if pin, err = a.readPIN(); err != nil {
			return nil, err
		}
	}
	if _, err := os.Stat(a.module); err != nil {
		return nil, &keyfile.Error{What: "the PKCS#11 module cannot be read: " + err.Error(), Hint: "install the token's software, or correct module-path", Kind: keyfile.Unsupported}
	}
	t := &Token{address: a, pin: bytes.Clone(pin), module: pkcs11.New(a.module)}
	if t.module == nil {
		return nil, &keyfile.Error{What: "the file " + a.module + " is no PKCS#11 module for this system", Hint: "correct module-path", Kind: keyfile.Unsupported}
	}
	if err := t.module.Initialize(); err != nil && !is(err, pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED) {
		return nil, failed("starting the PKCS#11 module", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.connect(); err != nil {
		t.closeSession()
		return nil, err
	}
	if err := t.prove(); err != nil {
		t.closeSession()
		return nil, err
	}
	return t, nil
}

// Certificate returns the certificate with its chain, and a private key that signs on the token.
func (t *Token) Certificate() *tls.Certificate { return t.cert }

// Close ends the session with the token; the certificate can no longer be used.
func (t *Token) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	return t.closeSession()
}

func (t *Token) closeSession() error {
	if t.session == 0 {
		return nil
	}
	err := t.module.CloseSession(t.session)
	t.session = 0
	return err
}

// connect opens a session, logs in, and finds the objects.
func (t *Token) connect() error {
	info, err := t.findSlot()
	if err != nil {
		return err
	}
	if t.session, err = t.module.OpenSession(t.slot, pkcs11.CKF_SERIAL_SESSION); err != nil {
		return failed("opening a session with the token", err)
	}
	if err := t.login(info); err != nil {
		return err
	}
	certs, err := t.find(pkcs11.CKO_CERTIFICATE)
	if err != nil {
		return err
	}
	keys, err := t.find(pkcs11.CKO_PRIVATE_KEY)
	if err != nil {
		return err
	}
	cert, key, err := t.choose(certs, keys)
	if err != nil {
		return err
	}
	t.key = key.handle
	attributes, err := t.module.GetAttributeValue(t.session, t.key, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_ALWAYS_AUTHENTICATE, nil)})
	t.always = err == nil && len(attributes) == 1 && bytes.Equal(attributes[0].Value, []byte{1})
	if t.cert != nil { // the card came back: what was handed out stays
		if !t.cert.Leaf.Equal(cert.cert) {
			return &keyfile.Error{What: "the token now holds another certificate", Hint: "put the old card back, or add this one anew", Kind: keyfile.Mismatch}
		}
		return nil
	}
	return t.take(cert.cert, certs)
}

// take makes the certificate that is handed out.
func (t *Token) take(leaf *x509.Certificate, certs []object) error {
	var all []*x509.Certificate
	for _, c := range certs {
		all = append(all, c.cert)
	}
	chain, _ := keyfile.Path(leaf, all)
	s, err := newSigner(t, leaf.PublicKey)
	if err != nil {
		return err
	}
	t.cert = &tls.Certificate{Leaf: leaf, PrivateKey: s, SupportedSignatureAlgorithms: t.schemes(s)}
	for _, c := range chain {
		t.cert.Certificate = append(t.cert.Certificate, c.Raw)
	}
	return nil
}

// findSlot finds the token.
func (t *Token) findSlot() (info pkcs11.TokenInfo, err error) {
	slots, err := t.module.GetSlotList(true)
	if err != nil {
		return info, failed("looking for tokens", err)
	}
	a := &t.address
	var found, all []string
	for _, slot := range slots {
		i, err := t.module.GetTokenInfo(slot)
		if err != nil || i.Flags&pkcs11.CKF_TOKEN_INITIALIZED == 0 {
			continue
		}
		all = append(all, fmt.Sprintf("%q", i.Label))
		if (a.token == "" || a.token == i.Label) && (a.serial == "" || a.serial == i.SerialNumber) && (a.model == "" || a.model == i.Model) &&
			(a.manufacturer == "" || a.manufacturer == i.ManufacturerID) && (a.slot == "" || a.slot == strconv.FormatUint(uint64(slot), 10)) {
			found = append(found, fmt.Sprintf("%q (serial=%s)", i.Label, i.SerialNumber))
			t.slot, info = slot, i
		}
	}
	switch {
	case len(found) == 1:
		return info, nil
	case len(found) > 1:
		return info, &keyfile.Error{What: "the URI fits several tokens: " + strings.Join(found, ", "), Hint: "name one with token= or serial=", Kind: keyfile.Unsupported}
	case len(all) == 0:
		return info, &keyfile.Error{What: "no token is there", Hint: "put the card in, or see what the module finds: pkcs11-tool --module " + a.module + " -L", Kind: keyfile.NoKey}
	}
	return info, &keyfile.Error{What: "no token fits the URI; there is " + strings.Join(all, ", "), Hint: "correct token=", Kind: keyfile.NoKey}
}

// login tries the PIN, once.
func (t *Token) login(info pkcs11.TokenInfo) error {
	if info.Flags&pkcs11.CKF_LOGIN_REQUIRED == 0 {
		return nil
	}
	if len(t.pin) == 0 && info.Flags&pkcs11.CKF_PROTECTED_AUTHENTICATION_PATH == 0 {
		return &keyfile.Error{What: fmt.Sprintf("the token %q wants a PIN and none was given", info.Label), Hint: "give the PIN as the passphrase, or write pin-source=file:/PATH into the URI", Kind: keyfile.NeedsPassphrase}
	}
	err := t.module.Login(t.session, pkcs11.CKU_USER, string(t.pin))
	switch {
	case err == nil, is(err, pkcs11.CKR_USER_ALREADY_LOGGED_IN):
		return nil
	case is(err, pkcs11.CKR_PIN_INCORRECT), is(err, pkcs11.CKR_PIN_INVALID), is(err, pkcs11.CKR_PIN_LEN_RANGE):
		e := &keyfile.Error{What: fmt.Sprintf("the PIN is not the one of the token %q", info.Label), Hint: "check the PIN; a card locks itself after a few wrong ones", Kind: keyfile.WrongPassphrase}
		if now, err := t.module.GetTokenInfo(t.slot); err == nil && now.Flags&pkcs11.CKF_USER_PIN_FINAL_TRY != 0 {
			e.Hint = "check the PIN well: one try is left before the card locks itself"
		}
		return e
	case is(err, pkcs11.CKR_PIN_LOCKED):
		return &keyfile.Error{What: fmt.Sprintf("the token %q is locked after too many wrong PINs", info.Label), Hint: "unlock it with its PUK, in the token's own software", Kind: keyfile.Unsupported}
	case is(err, pkcs11.CKR_PIN_EXPIRED):
		return &keyfile.Error{What: fmt.Sprintf("the PIN of the token %q has to be changed first", info.Label), Hint: "change it in the token's own software", Kind: keyfile.Unsupported}
	}
	return failed("logging in to the token", err)
}

// find lists the objects of a class, with what they are called.
func (t *Token) find(class uint) ([]object, error) {
	if err := t.module.FindObjectsInit(t.session, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, class)}); err != nil {
		return nil, failed("looking through the token", err)
	}
	var handles []pkcs11.ObjectHandle
	for {
		some, _, err := t.module.FindObjects(t.session, 64)
		if err != nil {
			_ = t.module.FindObjectsFinal(t.session)
			return nil, failed("looking through the token", err)
		}
		if handles = append(handles, some...); len(some) == 0 || len(handles) > 10000 {
			break
		}
	}
	if err := t.module.FindObjectsFinal(t.session); err != nil {
		return nil, failed("looking through the token", err)
	}
	var all []object
	for _, h := range handles {
		o := object{handle: h, label: string(t.attribute(h, pkcs11.CKA_LABEL)), id: t.attribute(h, pkcs11.CKA_ID)}
		if class == pkcs11.CKO_CERTIFICATE {
			var err error
			if o.cert, err = x509.ParseCertificate(t.attribute(h, pkcs11.CKA_VALUE)); err != nil {
				continue // an attribute certificate, or one that Go does not read
			}
		}
		all = append(all, o)
	}
	return all, nil
}

// attribute returns one attribute, empty where the object has none.
func (t *Token) attribute(h pkcs11.ObjectHandle, kind uint) []byte {
	a, err := t.module.GetAttributeValue(t.session, h, []*pkcs11.Attribute{pkcs11.NewAttribute(kind, nil)})
	if err != nil || len(a) != 1 {
		return nil
	}
	return a[0].Value
}

// choose finds the one certificate with a key that the URI fits. Certificate and key belong together by their
// identifier, or by their label where one has none; the URI may name either.
func (t *Token) choose(certs, keys []object) (cert, key object, err error) {
	type pair struct{ cert, key object }
	var pairs, both []pair
	for _, c := range certs {
		for _, k := range keys {
			if !bytes.Equal(c.id, k.id) || len(c.id) == 0 && c.label != k.label {
				continue
			}
			inCert, inKey := t.address.fits(c.label, c.id), t.address.fits(k.label, k.id)
			if inCert && inKey {
				both = append(both, pair{c, k})
			}
			if inCert || inKey {
				pairs = append(pairs, pair{c, k})
			}
		}
	}
	if len(both) == 1 {
		pairs = both
	}
	switch {
	case len(pairs) == 1:
		return pairs[0].cert, pairs[0].key, nil
	case len(pairs) > 1:
		return cert, key, &keyfile.Error{What: "the URI fits several certificates: " + list(pairs, func(p pair) object { return p.cert }), Hint: "name one with object= or id=", Kind: keyfile.Unsupported}
	case len(keys) == 0:
		return cert, key, &keyfile.Error{What: "the token holds no private key that this PIN opens", Hint: "see what it holds: pkcs11-tool --module " + t.address.module + " -l -O", Kind: keyfile.NoKey}
	case len(certs) == 0:
		return cert, key, &keyfile.Error{What: "the token holds no certificate", Hint: "put it beside its key: pkcs11-tool --write-object CERT.der --type cert --id ID", Kind: keyfile.NoCertificate}
	}
	return cert, key, &keyfile.Error{
		What: "no certificate with a key on the token fits the URI; there are certificates " + list(certs, func(o object) object { return o }) + " and keys " + list(keys, func(o object) object { return o }),
		Hint: "correct object= or id=; a certificate and its key have the same id", Kind: keyfile.NoKey,
	}
}

func list[T any](all []T, get func(T) object) string {
	var names []string
	for _, x := range all {
		o := get(x)
		names = append(names, describe(o.label, o.id))
	}
	slices.Sort(names)
	if len(names) > 8 {
		names = append(names[:8], "…")
	}
	return strings.Join(names, ", ")
}

// prove signs something and verifies it with the certificate's key, so that a certificate beside the wrong key is found
// before a server finds it.
func (t *Token) prove() error {
	s := t.cert.PrivateKey.(*signer)
	mismatch := &keyfile.Error{
		What: fmt.Sprintf("the key on the token does not fit the certificate %s", keyfile.Name(t.cert.Leaf)), Kind: keyfile.Mismatch,
		Hint: "write the certificate that was made for this key to the token, with the key's id",
	}
	want := pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, uint(pkcs11.CKK_RSA))
	if _, ok := s.public.(*ecdsa.PublicKey); ok {
		want = pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, uint(pkcs11.CKK_EC))
	}
	if kind := t.attribute(t.key, pkcs11.CKA_KEY_TYPE); len(kind) > 0 && !bytes.Equal(kind, want.Value) {
		return mismatch
	}
	digest := make([]byte, sha256.Size)
	rand.Read(digest)
	signature, err := s.signLocked(digest, crypto.SHA256)
	if err != nil {
		return explain(err)
	}
	if !verifies(s.public, digest, signature) {
		return mismatch
	}
	return nil
}

func is(err error, code uint) bool {
	var e pkcs11.Error
	return errors.As(err, &e) && uint(e) == code
}

func failed(what string, err error) error {
	return &keyfile.Error{What: what + " failed: " + err.Error(), Hint: "see whether the token's own software can use it", Kind: keyfile.Unsupported}
}
