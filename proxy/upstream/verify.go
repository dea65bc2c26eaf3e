package upstream

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// verification is what came of looking at a server's certificates.
type verification struct {
	err     error  // nil: trusted
	message string // everything that is wrong with them, in plain words
	hint    string
}

// verify looks at the chain that a server sent, for host. All that is wrong is said, not only what was found first. rule
// is the pattern by which hints name the server.
func verify(chain []*x509.Certificate, host, rule string, roots *x509.CertPool, now time.Time) verification {
	if len(chain) == 0 {
		err := errors.New("no certificate")
		return verification{err: err, message: "the server sent no certificate", hint: "check that the port is that of an HTTPS server"}
	}
	unverified := "; to go on without verification: eaves tls set " + rule + " --verify off"
	leaf := chain[0]
	var v verification
	var words []string
	found := func(err error, message, hint string) {
		if v.err == nil {
			v.err = err
		}
		if v.hint == "" {
			v.hint = hint
		}
		words = append(words, message)
	}
	opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), CurrentTime: now}
	for _, c := range chain[1:] {
		opts.Intermediates.AddCert(c)
	}
	// A leaf out of its time is judged as if it were not, to see whether anything else is wrong.
	judged := leaf
	if now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
		timely := *leaf
		timely.NotBefore, timely.NotAfter = now, now
		judged = &timely
	}
	switch {
	case now.After(leaf.NotAfter):
		found(expired(leaf), fmt.Sprintf("the certificate expired on %s (%s ago)", date(leaf.NotAfter), days(now.Sub(leaf.NotAfter))), "renew the server's certificate"+unverified)
	case now.Before(leaf.NotBefore):
		found(expired(leaf), fmt.Sprintf("the certificate is not valid before %s (in %s)", date(leaf.NotBefore), days(leaf.NotBefore.Sub(now))), "check the clock of this machine and the server's certificate"+unverified)
	}
	if err := hostError(leaf, host); err != nil {
		found(err, namesMessage(leaf, host), "ask for the server by one of its names, or mend its certificate"+unverified)
	}
	if _, err := judged.Verify(opts); err != nil {
		message, hint := chainMessage(chain, err, "eaves trust add FILE --host "+rule, now)
		found(err, message, hint+unverified)
	}
	v.message = strings.Join(words, "; and ")
	return v
}

func hostError(leaf *x509.Certificate, host string) error {
	if zone := strings.IndexByte(host, '%'); zone >= 0 {
		host = host[:zone]
	}
	return leaf.VerifyHostname(strings.TrimSuffix(host, "."))
}

func expired(c *x509.Certificate) error {
	return x509.CertificateInvalidError{Cert: c, Reason: x509.Expired}
}

// namesMessage says whom a certificate is issued for.
func namesMessage(leaf *x509.Certificate, host string) string {
	const most = 6
	names := append([]string{}, leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	switch {
	case len(names) == 0 && leaf.Subject.CommonName != "":
		return fmt.Sprintf("the certificate is for %q by its common name only, which is no longer accepted: it needs subject alternative names, and none of them covers %s", leaf.Subject.CommonName, host)
	case len(names) == 0:
		return fmt.Sprintf("the certificate is issued for no name at all, not for %s", host)
	}
	rest := ""
	if len(names) > most {
		rest = fmt.Sprintf(" and %d more", len(names)-most)
		names = names[:most]
	}
	kind := ""
	if net.ParseIP(host) != nil && len(leaf.IPAddresses) == 0 {
		kind = " (it names no IP address)"
	}
	return fmt.Sprintf("the certificate is issued for %s%s, not for %s%s", strings.Join(names, ", "), rest, host, kind)
}

// chainMessage says why no trusted chain could be built. trust is the command that trusts the CAs in a file.
func chainMessage(chain []*x509.Certificate, err error, trust string, now time.Time) (message, hint string) {
	trust = "to trust the CA in FILE: " + trust
	leaf, last := chain[0], chain[len(chain)-1]
	var invalid x509.CertificateInvalidError
	var roots x509.SystemRootsError
	var critical x509.UnhandledCriticalExtension
	var constraint x509.ConstraintViolationError
	switch {
	case errors.As(err, &invalid):
		who := "the certificate"
		if invalid.Cert != nil && !invalid.Cert.Equal(leaf) {
			who = "the CA certificate " + name(invalid.Cert)
		}
		switch invalid.Reason {
		case x509.Expired:
			if invalid.Cert != nil && now.Before(invalid.Cert.NotBefore) {
				return fmt.Sprintf("%s is not valid before %s", who, date(invalid.Cert.NotBefore)), "check the clock of this machine"
			}
			if invalid.Cert != nil {
				return fmt.Sprintf("%s expired on %s", who, date(invalid.Cert.NotAfter)), "the server must send a chain of valid certificates"
			}
		case x509.NotAuthorizedToSign:
			return fmt.Sprintf("%s signed another one, but is not a CA's", who), "the server's certificate must be issued by a CA"
		case x509.TooManyIntermediates:
			return "the chain of CAs is longer than one of them allows", "the server needs a certificate of a CA that may issue it"
		case x509.IncompatibleUsage:
			return "the certificate is not meant for servers (extended key usage)", "the server needs a certificate for server authentication"
		case x509.CANotAuthorizedForThisName, x509.UnconstrainedName, x509.TooManyConstraints:
			return "a CA in the chain may not sign for this name (name constraints): " + invalid.Detail, "the server needs a certificate of a CA that may sign for its name"
		case x509.NameMismatch:
			return "issuer and subject of the chain's certificates do not fit together", "the server must send its chain in order, each certificate followed by its issuer's"
		}
	case errors.As(err, &roots):
		return "this machine's trusted CAs cannot be read: " + roots.Error(), "set SSL_CERT_FILE to a file that has them"
	case errors.As(err, &critical):
		return "the certificate has a critical extension that is not known here", "the server needs a certificate without it"
	case errors.As(err, &constraint):
		return "the certificate's signature is not permitted by its CA's constraints", "the server needs a certificate of another CA"
	}
	for _, c := range chain {
		if weak(c.SignatureAlgorithm) && !selfSigned(c) { // nobody looks at a root's own signature
			return fmt.Sprintf("the certificate of %s is signed with %s, which is no longer accepted as it can be forged", name(c), c.SignatureAlgorithm), "the server needs a certificate signed with SHA-256"
		}
	}
	for i, c := range chain[1:] {
		if !c.IsCA && string(c.RawSubject) == string(chain[i].RawIssuer) {
			return fmt.Sprintf("the certificate %s signed another one, but is not a CA's", name(c)), "the server's certificate must be issued by a CA"
		}
	}
	switch {
	case len(chain) == 1 && selfSigned(leaf):
		return fmt.Sprintf("the certificate is self-signed (by %s) and not trusted", name(leaf)), strings.Replace(trust, "the CA", "the certificate", 1)
	case selfSigned(last):
		return fmt.Sprintf("unknown authority: the root CA %s is not trusted here", name(last)), trust
	case len(chain) == 1:
		return fmt.Sprintf("unknown authority %s: the server sent no CA certificate with its own, so either the chain is incomplete or that CA is not trusted here%s", issuer(leaf), aia(leaf)),
			"let the server send its intermediate certificates; or " + trust
	}
	return fmt.Sprintf("unknown authority %s: it is not trusted here, and the server's chain of %d certificates does not lead to a CA that is%s", issuer(last), len(chain), aia(last)),
		trust
}

// aia says where an issuer's certificate could be had.
func aia(c *x509.Certificate) string {
	if len(c.IssuingCertificateURL) == 0 {
		return ""
	}
	return fmt.Sprintf(" (its certificate says the issuer's is at %s)", c.IssuingCertificateURL[0])
}

func selfSigned(c *x509.Certificate) bool {
	return string(c.RawIssuer) == string(c.RawSubject) && (c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil || weak(c.SignatureAlgorithm))
}

func weak(a x509.SignatureAlgorithm) bool {
	switch a {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
		return true
	}
	return false
}

func name(c *x509.Certificate) string {
	if c.Subject.CommonName != "" {
		return fmt.Sprintf("%q", c.Subject.CommonName)
	}
	return fmt.Sprintf("%q", c.Subject.String())
}

func issuer(c *x509.Certificate) string {
	if c.Issuer.CommonName != "" {
		return fmt.Sprintf("%q", c.Issuer.CommonName)
	}
	return fmt.Sprintf("%q", c.Issuer.String())
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func days(d time.Duration) string {
	switch n := int(d.Hours() / 24); {
	case d < time.Hour:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	case n == 0:
		return fmt.Sprintf("%d hours", int(d.Hours()))
	case n == 1:
		return "1 day"
	default:
		return fmt.Sprintf("%d days", n)
	}
}
