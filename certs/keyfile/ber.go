package keyfile

import (
	"encoding/asn1"
	"errors"
)

// maxDepth bounds the nesting of BER values: a PKCS#12 file of NSS needs less than ten levels.
const maxDepth = 32

var errBER = errors.New("not valid BER")

// toDER rewrites the first BER value of b in the form that encoding/asn1 reads, and returns what follows it. NSS
// (Firefox) and some Java and smart card tools write PKCS#12 and PKCS#7 with indefinite lengths and octet strings in
// pieces (X.690 section 8), which the standard library, made for DER, refuses. Values that are primitive stay as they
// are, so that nothing signed is altered.
func toDER(b []byte) (der, rest []byte, err error) { return rewrite(b, 0) }

func rewrite(b []byte, depth int) (der, rest []byte, err error) {
	if depth > maxDepth {
		return nil, nil, errBER
	}
	id, length, rest, err := berHeader(b)
	if err != nil {
		return nil, nil, err
	}
	constructed := id[0]&0x20 != 0
	if !constructed {
		if length < 0 { // X.690 section 8.1.3.2: only a constructed value may have an indefinite length
			return nil, nil, errBER
		}
		return appendTLV(nil, id, rest[:length]), rest[length:], nil
	}
	inside := rest
	if length >= 0 {
		inside, rest = rest[:length], rest[length:]
	}
	// X.690 section 8.7.3: a constructed octet string is the concatenation of the octet strings in it.
	joined := id[0] == 0x24
	var body []byte
	for {
		if length < 0 && len(inside) >= 2 && inside[0] == 0 && inside[1] == 0 {
			rest = inside[2:]
			break
		}
		if len(inside) == 0 {
			if length < 0 {
				return nil, nil, errBER
			}
			break
		}
		var child []byte
		if child, inside, err = rewrite(inside, depth+1); err != nil {
			return nil, nil, err
		}
		if joined {
			if child[0] != asn1.TagOctetString {
				return nil, nil, errBER
			}
			_, _, child, _ = berHeader(child)
		}
		body = append(body, child...)
	}
	if joined {
		id = []byte{asn1.TagOctetString}
	}
	return appendTLV(nil, id, body), rest, nil
}

// berHeader splits the identifier and length off b; length is -1 where it is indefinite, and otherwise no more than what
// content holds.
func berHeader(b []byte) (id []byte, length int, content []byte, err error) {
	n := 1
	if len(b) > 0 && b[0]&0x1f == 0x1f { // a tag number of several bytes
		for n < len(b) && n < 5 && b[n]&0x80 != 0 {
			n++
		}
		n++
	}
	if len(b) < n+1 {
		return nil, 0, nil, errBER
	}
	id, b = b[:n], b[n:]
	first := b[0]
	b = b[1:]
	switch {
	case first < 0x80:
		length = int(first)
	case first == 0x80:
		return id, -1, b, nil
	default:
		size := int(first & 0x7f)
		if size > len(b) {
			return nil, 0, nil, errBER
		}
		for _, c := range b[:size] {
			if length >= 1<<23 {
				return nil, 0, nil, errBER
			}
			length = length<<8 | int(c)
		}
		b = b[size:]
	}
	if length > len(b) {
		return nil, 0, nil, errBER
	}
	return id, length, b, nil
}

func appendTLV(out, id, content []byte) []byte {
	out = append(out, id...)
	switch n := len(content); {
	case n < 0x80:
		out = append(out, byte(n))
	case n < 1<<8:
		out = append(out, 0x81, byte(n))
	case n < 1<<16:
		out = append(out, 0x82, byte(n>>8), byte(n))
	case n < 1<<24:
		out = append(out, 0x83, byte(n>>16), byte(n>>8), byte(n))
	default:
		out = append(out, 0x84, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return append(out, content...)
}

// octets returns the content of an octet string with an implicit tag, joining it where it came in pieces: its own tag
// is gone, so that toDER cannot know.
func octets(v asn1.RawValue) ([]byte, error) {
	if !v.IsCompound {
		return v.Bytes, nil
	}
	var all []byte
	for rest := v.Bytes; len(rest) > 0; {
		var piece []byte
		var err error
		if rest, err = asn1.Unmarshal(rest, &piece); err != nil {
			return nil, err
		}
		all = append(all, piece...)
	}
	return all, nil
}

// unmarshalBER reads one value into v.
func unmarshalBER(b []byte, v any) error {
	der, _, err := toDER(b)
	if err != nil {
		return err
	}
	_, err = asn1.Unmarshal(der, v)
	return err
}
