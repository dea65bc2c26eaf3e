package keyfile

import (
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// SoonExpiring is how long before a certificate's end a warning begins.
const SoonExpiring = 30 * 24 * time.Hour

// The codes of warnings.
const (
	Expired     = "expired"
	ExpiresSoon = "expires-soon"
	NotYetValid = "not-yet-valid"
	Usage       = "usage"
	Chain       = "chain"
)

// Warning is why a server might refuse a certificate. It is no error: that the server refuses may be what one tests.
type Warning struct {
	// Code is expired, expires-soon, not-yet-valid, usage or chain.
	Code    string
	Message string
}

// Check looks at the pair as a server will at the time now. It knows the roots of the file, which Check of the chain
// alone does not: a leaf that one of them issued needs no intermediate.
func (p *Pair) Check(now time.Time) []Warning { return Check(slices.Concat(p.Chain, p.Roots), now) }

// Check looks at what would be sent, leaf first, as a server will at the time now. Roots that are not sent may follow.
func Check(chain []*x509.Certificate, now time.Time) []Warning {
	if len(chain) == 0 {
		return nil
	}
	var all []Warning
	warn := func(code, format string, args ...any) {
		all = append(all, Warning{code, fmt.Sprintf(format, args...)})
	}
	leaf := chain[0]
	for i, c := range chain {
		what := "the certificate " + Name(c)
		if i > 0 {
			if selfSigned(c) {
				continue // servers go by their own copy of a root
			}
			what = "the intermediate certificate " + Name(c)
		}
		switch {
		case now.After(c.NotAfter):
			warn(Expired, "%s expired on %s (%s ago): servers refuse it", what, day(c.NotAfter), days(now.Sub(c.NotAfter)))
		case now.Before(c.NotBefore):
			warn(NotYetValid, "%s is valid from %s on (in %s): until then servers refuse it, or this machine's clock is wrong", what, day(c.NotBefore), days(c.NotBefore.Sub(now)))
		case c.NotAfter.Sub(now) < SoonExpiring:
			warn(ExpiresSoon, "%s expires on %s (in %s)", what, day(c.NotAfter), days(c.NotAfter.Sub(now)))
		}
	}
	if !clientUsage(leaf) {
		warn(Usage, "the certificate %s is not meant for clients (its extended key usage lacks clientAuth): most servers refuse it", Name(leaf))
	} else if leaf.KeyUsage != 0 && leaf.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageKeyAgreement) == 0 {
		warn(Usage, "the certificate %s is not meant for signing (its key usage lacks digitalSignature), which a client does: some servers refuse it", Name(leaf))
	}
	if !selfSigned(leaf) && !slices.ContainsFunc(chain[1:], func(c *x509.Certificate) bool { return named(c, leaf) }) {
		warn(Chain, "what would be sent ends at %s, and its issuer %q is not in the file: a server that knows only the root above that issuer refuses it (unknown CA); add the issuer's certificate", Name(leaf), issuerName(leaf))
	}
	return all
}

// clientUsage says whether the extended key usage allows TLS clients; without one all is allowed (RFC 5280 section
// 4.2.1.12).
func clientUsage(c *x509.Certificate) bool {
	if len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 {
		return true
	}
	return slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

func issuerName(c *x509.Certificate) string {
	if c.Issuer.CommonName != "" {
		return c.Issuer.CommonName
	}
	return c.Issuer.String()
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02") }

// days writes a time span as a person would say it.
func days(d time.Duration) string {
	plural := func(n int, unit string) string {
		if n == 1 {
			return "1 " + unit
		}
		return fmt.Sprintf("%d %ss", n, unit)
	}
	switch {
	case d >= 24*time.Hour:
		return plural(int(d/(24*time.Hour)), "day")
	case d >= time.Hour:
		return plural(int(d/time.Hour), "hour")
	}
	return plural(int(d/time.Minute), "minute")
}
