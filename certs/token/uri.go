// Package token signs with private keys that never leave a smart card or hardware security module, by way of PKCS#11.
//
// # Guarantees
//
// A key and its certificate are named by a PKCS#11 URI (RFC 7512); where it fits more than one pair, none is chosen and
// the error lists what fits. That the key belongs to the certificate is tried out before it is used. Errors are
// *keyfile.Error: a wrong PIN is said so, and neither it nor a signature stands in them. A Token is safe for concurrent
// use, and finds its way back to a card that was taken out and put in again.
//
// A PIN is tried once: cards lock themselves after a few wrong ones. Whoever calls Open again with a PIN that was wrong
// uses up another try.
//
// A module, once loaded, stays loaded until the process ends: many do not survive being taken down.
package token

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	"eaves/certs/keyfile"
)

const uriHint = "write pkcs11:token=LABEL;object=NAME?module-path=/usr/lib/…/MODULE.so ; p11tool --list-all or pkcs11-tool -O list what there is"

// address is a PKCS#11 URI taken apart. Empty fields match everything.
type address struct {
	token, serial, manufacturer, model string
	slot                               string
	object                             string
	id                                 []byte
	module                             string
	pinSource                          string
}

// parse takes a PKCS#11 URI apart (RFC 7512 section 2.3).
func parse(uri string) (a address, err error) {
	rest, ok := strings.CutPrefix(uri, "pkcs11:")
	if !ok {
		return a, malformed("it does not begin with pkcs11:")
	}
	path, query, _ := strings.Cut(rest, "?")
	seen := make(map[string]bool)
	each := func(list, separator string, set func(name, value string) error) error {
		for part := range strings.SplitSeq(list, separator) {
			if part == "" {
				continue
			}
			name, raw, ok := strings.Cut(part, "=")
			value, err := url.PathUnescape(raw)
			if !ok || err != nil {
				return malformed("the part %.40q is not NAME=VALUE with %%-escapes", name)
			}
			if seen[name] {
				return malformed("it names %s twice", name)
			}
			seen[name] = true
			if err := set(name, value); err != nil {
				return err
			}
		}
		return nil
	}
	err = each(path, ";", func(name, value string) error {
		switch name {
		case "token":
			a.token = value
		case "serial":
			a.serial = value
		case "manufacturer":
			a.manufacturer = value
		case "model":
			a.model = value
		case "slot-id":
			if _, err := strconv.ParseUint(value, 10, 32); err != nil {
				return malformed("slot-id is a number")
			}
			a.slot = value
		case "object":
			a.object = value
		case "id":
			a.id = []byte(value)
		case "type":
			if value != "cert" && value != "private" {
				return malformed("type is %.20q, where a certificate or private key is needed", value)
			}
		case "library-manufacturer", "library-description", "library-version", "slot-manufacturer", "slot-description":
			// Which library it is, module-path says.
		default:
			if !strings.HasPrefix(name, "x-") && !strings.HasPrefix(name, "vendor-") {
				return malformed("it has a part %.40q that eaves does not know", name)
			}
		}
		return nil
	})
	if err != nil {
		return a, err
	}
	err = each(query, "&", func(name, value string) error {
		switch name {
		case "module-path":
			a.module = value
		case "pin-source":
			a.pinSource = value
		case "pin-value":
			return &keyfile.Error{
				What: "the PIN stands in the PKCS#11 URI, where everybody sees it", Kind: keyfile.Unsupported,
				Hint: "take pin-value out and give the PIN as the passphrase (a reference such as env:NAME), or write pin-source=file:/PATH",
			}
		}
		return nil // RFC 7512 section 2.3: what is not known in the query is left alone
	})
	if err == nil && a.module == "" {
		err = malformed("it names no module (module-path)")
	}
	return a, err
}

func malformed(format string, args ...any) error {
	return &keyfile.Error{What: "it is no PKCS#11 URI that eaves can use: " + fmt.Sprintf(format, args...), Hint: uriHint, Kind: keyfile.Unreadable}
}

// readPIN returns the PIN that the URI says where to find, if it does: a file (RFC 7512 section 2.4).
func (a *address) readPIN() ([]byte, error) {
	if a.pinSource == "" {
		return nil, nil
	}
	path := a.pinSource
	if u, err := url.Parse(path); err == nil && u.Scheme == "file" {
		path = u.Path
	} else if strings.HasPrefix(path, "|") || err == nil && len(u.Scheme) > 1 {
		return nil, malformed("pin-source is no file")
	}
	b, err := readPINFile(path)
	if err != nil {
		return nil, &keyfile.Error{What: "the file of the PIN (pin-source) cannot be read: " + err.Error(), Hint: "put the PIN there, alone in its line", Kind: keyfile.NeedsPassphrase}
	}
	return bytes.TrimRight(b, "\r\n"), nil
}

// maxPIN bounds the file of a PIN.
const maxPIN = 4 << 10

func readPINFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", path)
	case info.Size() > maxPIN:
		return nil, fmt.Errorf("%s has %d bytes: too much for a PIN", path, info.Size())
	}
	return os.ReadFile(path)
}

// fits says whether an object's label and identifier are those of the URI.
func (a *address) fits(label string, id []byte) bool {
	return (a.object == "" || a.object == label) && (len(a.id) == 0 || bytes.Equal(a.id, id))
}

// describe writes an object as the part of a URI that would name it.
func describe(label string, id []byte) string {
	var s string
	if label != "" {
		s = "object=" + url.PathEscape(label)
	}
	if len(id) > 0 {
		if s != "" {
			s += ";"
		}
		s += "id="
		for _, c := range id {
			s += fmt.Sprintf("%%%02X", c)
		}
	}
	return s
}
