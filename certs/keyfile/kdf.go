package keyfile

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"hash"
	"unicode/utf16"
)

// maxWork is how many rounds of hashing one file may ask for, all in all: some seconds. OpenSSL writes 2048 rounds, Java
// 10000, the careful a million.
const maxWork = 20_000_000

// work counts down what a file may still ask for.
type work struct{ left int }

func newWork() *work { return &work{maxWork} }

// spend takes rounds times factor off, or refuses.
func (w *work) spend(rounds, factor int) error {
	if rounds < 1 {
		return unreadable(hintDamaged, "its key derivation asks for %d rounds", rounds)
	}
	if factor < 1 || rounds > w.left/factor {
		return unsupported(hintReencrypt, "its key derivation asks for more than the %d rounds that eaves spends on a file", maxWork)
	}
	w.left -= rounds * factor
	return nil
}

// secret is a passphrase in the two forms that key derivations take: text for PKCS#5 (RFC 8018 section 3, UTF-8), bmp
// for PKCS#12 (RFC 7292 appendix B.1, UTF-16 with two zero bytes at its end).
type secret struct{ text, bmp []byte }

func newSecret(passphrase []byte) secret { return secret{passphrase, bmpString(string(passphrase))} }

func bmpString(s string) []byte {
	var b []byte
	for _, c := range utf16.Encode([]rune(s)) {
		b = append(b, byte(c>>8), byte(c))
	}
	return append(b, 0, 0)
}

// pkcs12KDF is RFC 7292 appendix B.2; id is 1 for a key, 2 for an initialisation vector, 3 for a MAC.
func pkcs12KDF(newHash func() hash.Hash, salt, password []byte, rounds int, id byte, n int) []byte {
	h := newHash()
	v := h.BlockSize()
	fill := func(b []byte) []byte {
		if len(b) == 0 {
			return nil
		}
		size := v * ((len(b) + v - 1) / v)
		return bytes.Repeat(b, size/len(b)+1)[:size]
	}
	diversifier := bytes.Repeat([]byte{id}, v)
	input := append(fill(salt), fill(password)...)
	var out []byte
	for {
		h.Reset()
		h.Write(diversifier)
		h.Write(input)
		a := h.Sum(nil)
		for range rounds - 1 {
			h.Reset()
			h.Write(a)
			a = h.Sum(a[:0])
		}
		if out = append(out, a...); len(out) >= n {
			return out[:n]
		}
		// Each block of the input becomes (block + B + 1) mod 2^v.
		b := fill(a)[:v]
		for j := 0; j < len(input); j += v {
			carry := uint16(1)
			for k := v - 1; k >= 0; k-- {
				carry += uint16(input[j+k]) + uint16(b[k])
				input[j+k] = byte(carry)
				carry >>= 8
			}
		}
	}
}

// pbkdf1 is RFC 8018 section 5.1.
func pbkdf1(newHash func() hash.Hash, salt, password []byte, rounds int) []byte {
	h := newHash()
	h.Write(password)
	h.Write(salt)
	key := h.Sum(nil)
	for range rounds - 1 {
		h.Reset()
		h.Write(key)
		key = h.Sum(key[:0])
	}
	return key
}

// pemKDF is how OpenSSL makes the key of an encrypted PEM block of the old kind: EVP_BytesToKey with MD5, one round.
func pemKDF(salt, password []byte, n int) []byte {
	var out, last []byte
	for len(out) < n {
		h := md5.New()
		h.Write(last)
		h.Write(password)
		h.Write(salt)
		last = h.Sum(nil)
		out = append(out, last...)
	}
	return out[:n]
}

// rounds20 is how many blocks of SHA-1 a PKCS#12 key of n bytes takes.
func rounds20(n int) int { return (n + sha1.Size - 1) / sha1.Size }
