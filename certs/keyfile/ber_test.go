package keyfile

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func TestToDER(t *testing.T) {
	for name, test := range map[string]struct{ in, want, rest string }{
		"DER stays":                      {"3003020105", "3003020105", ""},
		"indefinite":                     {"30800201050000", "3003020105", ""},
		"nested":                         {"3080308002010500000000", "30053003020105", ""},
		"octets in pieces":               {"2480040101040202030000", "0403010203", ""},
		"octets in pieces, nested":       {"2480" + "2405" + "0403010203" + "040104" + "0000", "040401020304", ""},
		"octets in pieces, length known": {"2407040101" + "04020203", "0403010203", ""},
		"long form of a short length":    {"30820003020105", "3003020105", ""},
		"what follows":                   {"020105ffff", "020105", "ffff"},
		"tag of two bytes":               {"1f810102abcd", "1f810102abcd", ""},
		"primitive content is not read":  {"04023080", "04023080", ""},
	} {
		t.Run(name, func(t *testing.T) {
			der, rest, err := toDER(fromHex(t, test.in))
			if err != nil || hex.EncodeToString(der) != test.want || hex.EncodeToString(rest) != test.rest {
				t.Errorf("got %x, rest %x (%v), want %s, rest %s", der, rest, err, test.want, test.rest)
			}
		})
	}
	for name, in := range map[string]string{
		"empty": "", "no length": "30", "cut off": "3003", "no end": "3080020105", "primitive of indefinite length": "04800000",
		"length of the length cut off": "3082", "too long": "3084ffffffff", "octets hold an integer": "24800201050000", "too deep": strings.Repeat("3080", 40) + strings.Repeat("0000", 40),
	} {
		t.Run(name, func(t *testing.T) {
			if der, _, err := toDER(fromHex(t, in)); err == nil {
				t.Errorf("got %x, want an error", der)
			}
		})
	}
}

func fromHex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// FuzzToDER: the result is a fixed point, and no larger than what a length that was indefinite costs.
func FuzzToDER(f *testing.F) {
	for _, s := range []string{"3003020105", "3080308002010500000000", "2480040101040202030000", "1f810102abcd"} {
		b, _ := hex.DecodeString(s)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		der, rest, err := toDER(b)
		if err != nil {
			return
		}
		if len(der)+len(rest) > 2*len(b)+8 {
			t.Errorf("%d bytes became %d", len(b), len(der))
		}
		again, left, err := toDER(der)
		if err != nil || len(left) != 0 || !bytes.Equal(again, der) {
			t.Errorf("%x became %x, and that %x, rest %x (%v)", b, der, again, left, err)
		}
	})
}

// TestRC2: the examples of RFC 2268 section 5 whose effective length is their length.
func TestRC2(t *testing.T) {
	for _, test := range [][3]string{
		{"ffffffffffffffff", "ffffffffffffffff", "278b27e42e2f0d49"},
		{"3000000000000000", "1000000000000001", "30649edf9be7d2c2"},
		{"88bca90e90875a7f0f79c384627bafb2", "0000000000000000", "2269552ab0f85ca6"},
	} {
		c, err := newRC2(fromHex(t, test[0]))
		if err != nil {
			t.Fatal(err)
		}
		var out, back [8]byte
		c.Encrypt(out[:], fromHex(t, test[1]))
		c.Decrypt(back[:], out[:])
		if hex.EncodeToString(out[:]) != test[2] || hex.EncodeToString(back[:]) != test[1] {
			t.Errorf("key %s: %s became %x and %x, want %s", test[0], test[1], out, back, test[2])
		}
	}
}
