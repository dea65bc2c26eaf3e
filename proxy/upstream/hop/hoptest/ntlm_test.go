package hoptest

import (
	"encoding/hex"
	"testing"
)

// TestNTOWFv2 is the example of MS-NLMP 4.2.4.1.1.
func TestNTOWFv2(t *testing.T) {
	if got := hex.EncodeToString(NTOWFv2("Password", "User", "Domain")); got != "0c868a403bfd7a93a3001ef22ef02e3f" {
		t.Error(got)
	}
}

// TestVerify is the message of MS-NLMP 4.2.4.3, the parts that authenticate.
func TestVerify(t *testing.T) {
	dec := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	// Server challenge, client challenge, time and target info are those of 4.2.1 and 4.2.4.
	challenge := dec("0123456789abcdef")
	temp := dec("01010000000000000000000000000000aaaaaaaaaaaaaaaa0000000002000c0044006f006d00610069006e0001000c005300650072007600650072000000000000000000")
	proof := dec("68cd0ab851e51c96aabc927bebef6a1c")
	message := func(user string, response []byte) []byte {
		m := make([]byte, 64)
		copy(m, "NTLMSSP\x00\x03")
		put := func(at int, v []byte) {
			m[at], m[at+2] = byte(len(v)), byte(len(v))
			m[at+4] = byte(len(m))
			m = append(m, v...)
		}
		put(28, utf16le("Domain"))
		put(36, utf16le(user))
		put(20, response)
		return m
	}
	password := func(user string) (string, bool) { return "Password", user == "User" }
	if who, err := Verify(message("User", append(proof, temp...)), challenge, password); err != nil || who != `Domain\User` {
		t.Errorf("%q, %v", who, err)
	}
	wrong := append([]byte{proof[0] ^ 1}, proof[1:]...)
	for _, m := range [][]byte{message("User", append(wrong, temp...)), message("Other", append(proof, temp...)), message("User", proof), nil} {
		if who, err := Verify(m, challenge, password); err == nil {
			t.Errorf("%x is taken for %q", m, who)
		}
	}
}
