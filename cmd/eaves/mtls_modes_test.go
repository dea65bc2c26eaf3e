package main

import "slices"

// What many modes have in common.
var (
	// toAdd is the way out where no rule fits.
	toAdd = []string{"eaves cert add", "--cert FILE --key FILE"}
)

// failureModes are the ways in which TLS fails.
func failureModes() []mode {
	return slices.Concat(clientModes(), askedLateModes(), serverModes(), protocolModes())
}

// clientModes are what servers make of client certificates, and of none.
func clientModes() []mode {
	return []mode{
		// None is sent, one is required.
		{name: "none-openssl12", at: "openssl12", stage: "tls", verdict: "no-rule", alert: "handshake_failure", words: toAdd, doctor: "tls"},
		{name: "none-openssl13", at: "openssl13", stage: "tls", verdict: "no-rule", alert: "certificate_required", words: append([]string{"none is configured for none-openssl13.localhost:"}, toAdd...), doctor: "verdict"},
		{name: "none-haproxy12", at: "haproxy12", stage: "tls", verdict: "no-rule", alert: "handshake_failure", words: toAdd, doctor: "tls"},
		{name: "none-haproxy13", at: "haproxy13", stage: "tls", verdict: "no-rule", alert: "certificate_required", words: toAdd, doctor: "verdict"},
		{name: "none-go12", at: "go12", stage: "tls", verdict: "no-rule", alert: "handshake_failure", words: toAdd, doctor: "tls"},
		{name: "none-go13", at: "go13", stage: "tls", verdict: "no-rule", alert: "certificate_required", words: toAdd, doctor: "verdict"},
		{name: "none-gnutls13", at: "gnutls13", stage: "tls", verdict: "no-rule", alert: "certificate_required", words: toAdd, doctor: "verdict"},
		{name: "none-nginx", at: "nginx", status: 400, verdict: "no-rule", words: append([]string{"No required SSL certificate was sent"}, toAdd...), doctor: "verdict"},
		{name: "none-nginx12", at: "nginx12", status: 400, verdict: "no-rule", words: toAdd, doctor: "verdict"},
		{name: "none-upload", at: "openssl13", args: []string{"--data-binary", "@large", "-H", "Expect:"}, stage: "tls", verdict: "no-rule", alert: "certificate_required", words: toAdd, doctor: none},
		{name: "none-optional", at: "nginx-optional", status: 200, verdict: "no-rule", words: append([]string{"so none was sent"}, toAdd...)},
		{name: "none-optional-403", at: "nginx-optional", path: "/secret", status: 403, verdict: "no-rule", words: append([]string{"it answered 403"}, toAdd...), doctor: "verdict"},
		{name: "other-port", at: "openssl13", cert: "alice", pattern: ":1", stage: "tls", verdict: "no-rule", alert: "certificate_required", words: append([]string{"none is configured for other-port.localhost:", "a rule without a port is for port 443 only"}, toAdd...), doctor: "verdict"},
		// The issuer is not known to the server.
		{name: "foreign-openssl12", at: "openssl12", cert: "foreign", stage: "tls", verdict: "rejected", alert: "unknown_ca", words: []string{`its issuer "Unrelated CA" is not among the CAs the server accepts ("Test Root")`, "a CA that the server accepts"}, doctor: "tls"},
		{name: "foreign-openssl13", at: "openssl13", cert: "foreign", stage: "tls", verdict: "rejected", alert: "unknown_ca", words: []string{`"Unrelated CA" is not among the CAs the server accepts`}, doctor: "verdict"},
		{name: "foreign-haproxy13", at: "haproxy13", cert: "foreign", stage: "tls", verdict: "rejected", alert: "unknown_ca", words: []string{`"Unrelated CA" is not among the CAs the server accepts`}, doctor: "verdict"},
		{name: "foreign-go12", at: "go12", cert: "foreign", stage: "tls", verdict: "rejected", alert: "unknown_ca", words: []string{`"Unrelated CA" is not among the CAs the server accepts`}, doctor: "tls"},
		{name: "foreign-go13", at: "go13", cert: "foreign", stage: "tls", verdict: "rejected", alert: "unknown_ca", words: []string{`"Unrelated CA" is not among the CAs the server accepts`}, doctor: "verdict"},
		{name: "foreign-nginx", at: "nginx", cert: "foreign", status: 400, verdict: "rejected", words: []string{"The SSL certificate error", `"Unrelated CA" is not among the CAs the server accepts`}, doctor: "verdict"},
		{name: "self-issued", at: "openssl13", cert: "selfissued", stage: "tls", verdict: "rejected", alert: "unknown_ca", words: []string{`"selfissued" is not among the CAs the server accepts`}, not: []string{"intermediate CA, its certificate is missing"}, doctor: "verdict"},
		{name: "foreign-any", at: "nginx-any", cert: "foreign", status: 200, verdict: "accepted", words: []string{`"Unrelated CA" is not among the CAs the server accepts`}},
		// The certificate of a CA in between is missing.
		{name: "nochain-openssl12", at: "openssl12", cert: "nochain", stage: "tls", verdict: "rejected", alert: "unknown_ca", words: []string{`ends at "Test Issuing CA"`, "its certificate is missing from the file"}, doctor: "tls"},
		{name: "nochain-openssl13", at: "openssl13", cert: "nochain", stage: "tls", verdict: "rejected", alert: "unknown_ca", words: []string{`ends at "Test Issuing CA"`, "its certificate is missing from the file", "intermediate certificates"}, doctor: "verdict"},
		{name: "nochain-go13", at: "go13", cert: "nochain", stage: "tls", verdict: "rejected", alert: "unknown_ca", words: []string{`ends at "Test Issuing CA"`, "its certificate is missing from the file"}, doctor: "verdict"},
		{name: "nochain-nginx", at: "nginx", cert: "nochain", status: 400, verdict: "rejected", words: []string{`ends at "Test Issuing CA"`, "its certificate is missing from the file"}, doctor: "verdict"},
		// It has expired, or is not valid yet. Servers do not agree on the alert for the latter.
		{name: "expired-openssl12", at: "openssl12", cert: "outdated", stage: "tls", verdict: "rejected", alert: "certificate_expired", words: []string{"it expired on", "valid now"}, not: []string{"is not among"}, doctor: "tls"},
		{name: "expired-openssl13", at: "openssl13", cert: "outdated", stage: "tls", verdict: "rejected", alert: "certificate_expired", words: []string{"it expired on", "valid now"}, doctor: "verdict"},
		{name: "expired-haproxy13", at: "haproxy13", cert: "outdated", stage: "tls", verdict: "rejected", alert: "certificate_expired", words: []string{"it expired on"}, doctor: "verdict"},
		{name: "expired-go13", at: "go13", cert: "outdated", stage: "tls", verdict: "rejected", alert: "certificate_expired", words: []string{"it expired on"}, doctor: "verdict"},
		{name: "expired-nginx", at: "nginx", cert: "outdated", status: 400, verdict: "rejected", words: []string{"it expired on"}, doctor: "verdict"},
		{name: "early-openssl12", at: "openssl12", cert: "future", stage: "tls", verdict: "rejected", alert: "bad_certificate", words: []string{"it is not valid before", "clock"}, doctor: "tls"},
		{name: "early-openssl13", at: "openssl13", cert: "future", stage: "tls", verdict: "rejected", alert: "bad_certificate", words: []string{"it is not valid before"}, doctor: "verdict"},
		{name: "early-go13", at: "go13", cert: "future", stage: "tls", verdict: "rejected", alert: "certificate_expired", words: []string{"it is not valid before"}, not: []string{"it expired"}, doctor: "verdict"},
		{name: "early-nginx", at: "nginx", cert: "future", status: 400, verdict: "rejected", words: []string{"it is not valid before"}, doctor: "verdict"},
		// It is for servers.
		{name: "usage-openssl12", at: "openssl12", cert: "usage", stage: "tls", verdict: "rejected", alert: "unsupported_certificate", words: []string{"clientAuth", "issued for client authentication"}, doctor: "tls"},
		{name: "usage-openssl13", at: "openssl13", cert: "usage", stage: "tls", verdict: "rejected", alert: "unsupported_certificate", words: []string{"clientAuth"}, doctor: "verdict"},
		{name: "usage-go13", at: "go13", cert: "usage", stage: "tls", verdict: "rejected", alert: "bad_certificate", words: []string{"clientAuth"}, doctor: "verdict"},
		{name: "usage-nginx", at: "nginx", cert: "usage", status: 400, verdict: "rejected", words: []string{"clientAuth"}, doctor: "verdict"},
		// It is revoked; who looks at no list takes it.
		{name: "revoked-openssl12", at: "openssl12-crl", cert: "withdrawn", stage: "tls", verdict: "rejected", alert: "certificate_revoked", words: []string{"revoked"}, doctor: "tls"},
		{name: "revoked-openssl13", at: "openssl13-crl", cert: "withdrawn", stage: "tls", verdict: "rejected", alert: "certificate_revoked", words: []string{"the server says that it is revoked"}, doctor: "verdict"},
		{name: "revoked-haproxy", at: "haproxy-crl", cert: "withdrawn", stage: "tls", verdict: "rejected", alert: "certificate_revoked", words: []string{"the server says that it is revoked"}, doctor: "verdict"},
		{name: "revoked-nginx", at: "nginx-crl", cert: "withdrawn", status: 400, verdict: "rejected", words: []string{"The SSL certificate error", "revoked"}, doctor: "verdict"},
		{name: "revoked-unseen", at: "nginx", cert: "withdrawn", status: 200, verdict: "accepted", words: []string{"and accepted it"}},
		// Its chain is longer than the server follows.
		{name: "depth-openssl", at: "openssl-depth", cert: "deep", stage: "tls", verdict: "rejected", words: []string{"chain", "longer"}, alert: "unknown_ca", doctor: "verdict"},
		{name: "depth-nginx", at: "nginx-depth", cert: "deep", status: 400, verdict: "rejected", words: []string{"The SSL certificate error", "longer"}, doctor: "verdict"},
		// Also where a certificate is optional, an unusable one is refused.
		{name: "optional-unusable", at: "nginx-optional", cert: "outdated", status: 400, verdict: "rejected", words: []string{"it expired on"}, doctor: "verdict"},
		// Its key makes no signature that the server takes.
		{name: "schemes", at: "openssl-schemes", cert: "alice", stage: "tls", verdict: "unknown", words: []string{"ECDSA", "signature", "could not be used"}, doctor: "tls"},
		// It is configured, and never asked for.
		{name: "never-asked", at: "nginx-asks-not", cert: "alice", status: 200, verdict: "not-requested", words: []string{"never asked", "load balancer"}},
		{name: "never-asked-403", at: "nginx-asks-not", path: "/secret", cert: "alice", status: 403, verdict: "not-requested", words: []string{"never asked", "it answered 403"}},
		// TLS is content, the application is not.
		{name: "forbidden", at: "nginx", path: "/secret", cert: "alice", status: 403, verdict: "accepted", words: []string{"TLS accepted it", "403"}},
		// Somebody before the origin answers.
		{name: "in-between", at: "nginx", path: "/squid", cert: "alice", status: 403, verdict: "unknown", words: []string{"A proxy in between answered (403), not the origin"}, doctor: "response"},
		// The server hangs up on what it does not like.
		{name: "hung-up", at: "mute", cert: "foreign", stage: "http", verdict: "unknown", words: []string{"without an answer", "it had asked for a client certificate and was sent", "some servers do so"}, doctor: "response"},
		{name: "hung-up-on-none", at: "mute", stage: "http", verdict: "no-rule", words: append([]string{"it had asked for a client certificate"}, toAdd...), doctor: "response"},
		// A resumed session goes on with what was settled in the first handshake.
		{name: "resumed", at: "nginx-resumes", cert: "alice", times: 2, status: 200, verdict: "accepted", words: []string{"The session was resumed"}, doctor: none},
		// These go well: nothing is found where nothing is wrong.
		{name: "good-openssl12", at: "openssl12", cert: "alice", status: 200, verdict: "accepted", words: []string{"accepted it"}, not: []string{"not among"}},
		{name: "good-openssl13", at: "openssl13", cert: "alice", status: 200, verdict: "accepted", words: []string{"accepted it"}},
		{name: "good-crl", at: "openssl13-crl", cert: "alice", status: 200, verdict: "accepted"},
		{name: "good-haproxy13", at: "haproxy13", cert: "alice", status: 200, verdict: "accepted"},
		{name: "good-go13", at: "go13", cert: "alice", status: 200, verdict: "accepted"},
		{name: "good-gnutls13", at: "gnutls13", cert: "alice", status: 200, verdict: "accepted"},
		{name: "good-deep", at: "nginx", cert: "deep", status: 200, verdict: "accepted"},
	}
}

// askedLateModes are of servers that look at the path before they ask, as IIS does. Apache stands in for it.
func askedLateModes() []mode {
	return []mode{
		{name: "late-good", at: "apache12", path: "/secure", cert: "alice", status: 200, verdict: "accepted", words: []string{"by renegotiation", "accepted it"}},
		{name: "late-none", at: "apache12", path: "/secure", stage: "tls", verdict: "not-requested", alert: "no_renegotiation", words: append([]string{"renegotiate"}, toAdd...), doctor: "verdict"},
		{name: "late-foreign", at: "apache12", path: "/secure", cert: "foreign", stage: "tls", verdict: "rejected", alert: "unknown_ca", words: []string{"by renegotiation", `"Unrelated CA" is not among`}, doctor: "verdict"},
		{name: "late-expired", at: "apache12", path: "/secure", cert: "outdated", stage: "tls", verdict: "rejected", alert: "certificate_expired", words: []string{"it expired on"}, doctor: "verdict"},
		{name: "late-never", at: "apache12", path: "/secure", cert: "alice", policy: map[string]any{"renegotiation": "never"}, stage: "tls", alert: "no_renegotiation", words: []string{"renegotiate", "--renegotiation", `so "alice" (rule late-never.localhost:*) was not sent`}, not: []string{"none is configured"}, doctor: "verdict"},
		{name: "late-tls13", at: "apache13", path: "/secure", cert: "alice", status: 200, verdict: "accepted", words: []string{"accepted it"}},
		{name: "late-tls13-none", at: "apache13", path: "/secure", status: 403, verdict: "not-requested"},
		{name: "late-tls13only", at: "apache13only", path: "/secure", cert: "alice", status: 403, verdict: "not-requested", words: []string{"never asked", "403"}},
		{name: "late-h2", at: "apache-h2", path: "/secure", cert: "alice", status: 200, verdict: "accepted", words: []string{"accepted it"}},
		// Over HTTP/1: curl 7.88 at times fails over HTTP/2 where it has the answer before it has sent all.
		{name: "late-upload", at: "apache12", path: "/secure", cert: "alice", args: []string{"--http1.1", "--data-binary", "@large", "-H", "Expect:"}, status: 413, verdict: "not-requested", words: []string{"it answered 413", "Expect: 100-continue"}, doctor: none},
		{name: "late-elsewhere", at: "apache12", cert: "alice", status: 200, verdict: "not-requested", words: []string{"never asked"}},
	}
}

// serverModes are what is wrong with a server's certificate.
func serverModes() []mode {
	return []mode{
		{name: "server-unknown-ca", at: "nginx-unknownca", stage: "tls", words: []string{`unknown authority "Unrelated CA"`, "eaves trust add FILE --host server-unknown-ca.localhost"}, doctor: "tls"},
		{name: "server-self-signed", at: "nginx-selfsigned", stage: "tls", words: []string{"self-signed", "eaves trust add"}, not: []string{"incomplete"}, doctor: "tls"},
		{name: "server-incomplete", at: "nginx-incomplete", stage: "tls", words: []string{`"Test Issuing CA"`, "chain is incomplete"}, doctor: "tls"},
		{name: "server-expired", at: "nginx-expired", stage: "tls", words: []string{"the certificate expired on", "renew"}, doctor: "tls"},
		{name: "server-early", at: "nginx-early", stage: "tls", words: []string{"not valid before", "clock"}, not: []string{"expired"}, doctor: "tls"},
		{name: "server-wrong-host", at: "nginx-wronghost", stage: "tls", words: []string{"issued for other.test, not for server-wrong-host.localhost"}, not: []string{"unknown authority"}, doctor: "tls"},
		{name: "server-wrong-ip", at: "nginx-asks-not", host: "127.0.0.2", stage: "tls", words: []string{"127.0.0.1", "not for 127.0.0.2"}, doctor: "tls"},
		{name: "server-cn-only", at: "nginx-cnonly", stage: "tls", words: []string{"by its common name only", "subject alternative names"}, doctor: "tls"},
		{name: "server-usage", at: "nginx-forclients", stage: "tls", words: []string{"not meant for servers", "server authentication"}, doctor: "tls"},
		{name: "server-constraints", at: "nginx-limited", stage: "tls", words: []string{"may not sign for this name"}, doctor: "tls"},
		{name: "server-not-a-ca", at: "nginx-bynoca", stage: "tls", words: []string{"is not a CA's"}, doctor: "tls"},
		{name: "server-old-ca", at: "nginx-oldca", stage: "tls", words: []string{`the CA certificate "Outdated CA" expired on`}, doctor: "tls"},
		{name: "server-sha1", at: "nginx-sha1", stage: "tls", words: []string{"SHA1", "SHA-256"}, doctor: "tls"},
		{name: "server-two-things", at: "nginx-unknownandwrong", stage: "tls", words: []string{"issued for other.test", "; and ", `unknown authority "Unrelated CA"`}, doctor: "tls"},
		{name: "server-short-key", at: "nginx-short", status: 200, verdict: "not-requested"},
		{name: "server-unverified", at: "nginx-expired", policy: map[string]any{"verify": false}, status: 200, words: []string{"the certificate expired on"}},
	}
}

// protocolModes are what goes wrong before certificates matter.
func protocolModes() []mode {
	return []mode{
		{name: "version-10", at: "nginx-10", stage: "tls", alert: "protocol_version", words: []string{"it speaks TLS 1.0 at best", "eaves tls set version-10.localhost --min 1.0"}, doctor: "tls"},
		{name: "version-11", at: "nginx-11", stage: "tls", alert: "protocol_version", words: []string{"it speaks TLS 1.1 at best", "eaves tls set version-11.localhost --min 1.1"}, doctor: "tls"},
		{name: "version-10-allowed", at: "nginx-10", policy: map[string]any{"min": "1.0"}, status: 200},
		{name: "version-13only", at: "nginx-13only", policy: map[string]any{"max": "1.2"}, stage: "tls", alert: "protocol_version", words: []string{"it speaks TLS 1.3", "eaves tls set version-13only.localhost --max 1.3"}, doctor: "tls"},
		{name: "version-12only", at: "nginx-12only", policy: map[string]any{"min": "1.3"}, stage: "tls", alert: "protocol_version", words: []string{"it speaks TLS 1.2", "eaves tls set version-12only.localhost --min 1.2"}, doctor: "tls"},
		{name: "cipher-dhe", at: "openssl-dhe", stage: "tls", alert: "handshake_failure", words: []string{"cipher suites (DHE", "does not have"}, doctor: "tls"},
		{name: "cipher-camellia", at: "openssl-camellia", stage: "tls", alert: "handshake_failure", words: []string{"cipher suites (DHE, CCM, Camellia"}, doctor: "tls"},
		{name: "cipher-ccm", at: "openssl-ccm", stage: "tls", alert: "handshake_failure", words: []string{"cipher suites (DHE, CCM, Camellia"}, doctor: "tls"},
		{name: "cipher-3des", at: "gnutls-3des", stage: "tls", alert: "handshake_failure", words: []string{"it would take TLS_RSA_WITH_3DES_EDE_CBC_SHA", "eaves tls set cipher-3des.localhost --ciphers TLS_RSA_WITH_3DES_EDE_CBC_SHA"}, doctor: "tls"},
		{name: "cipher-3des-allowed", at: "gnutls-3des", policy: map[string]any{"ciphers": []string{"TLS_RSA_WITH_3DES_EDE_CBC_SHA"}}, status: 200},
		{name: "cipher-rsa", at: "nginx-rsa", status: 200},
		{name: "groups", at: "openssl-groups", stage: "tls", alert: "handshake_failure", words: []string{"key exchange group"}, doctor: "tls"},
		{name: "server-name", at: "openssl-name", stage: "tls", alert: "unrecognized_name", words: []string{`"server-name.localhost"`}, doctor: "tls"},
		{name: "server-name-given", at: "openssl-name", policy: map[string]any{"serverName": "somebody.test", "verify": false}, status: 200},
		{name: "alpn", at: "openssl-alpn", stage: "tls", alert: "no_application_protocol", words: []string{"offered: h2, http/1.1"}, doctor: "tls"},
		{name: "plain", at: "plain", stage: "tls", words: []string{"plain HTTP", "http://"}, doctor: "tls"},
		{name: "ssh", at: "ssh", stage: "tls", words: []string{"SSH-2", "does not speak TLS"}, doctor: "tls"},
		{name: "nobody", at: "nobody", stage: "connect", words: []string{"refused", "nothing listens there"}, doctor: "tcp"},
		{name: "closes", at: "closes", stage: "tls", words: []string{"closed the connection during the handshake"}, doctor: "tls"},
		{name: "resets", at: "resets", stage: "tls", words: []string{"reset the connection during the handshake"}, doctor: "tls"},
		{name: "silent", at: "silent", stage: "timeout", words: []string{"did not finish the handshake within"}, doctor: "tls"},
		{name: "tls-spoken-to-in-plain", at: "openssl13", scheme: "http", stage: "http", words: []string{"without an answer", "https://"}, doctor: "response"},
		{name: "no-such-name", at: "nobody", host: "no-such-name.invalid", stage: "dns", words: []string{"name not found"}, doctor: "dns"},
	}
}
