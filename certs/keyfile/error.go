package keyfile

import "fmt"

// Kind says in one word what is wrong with a file.
type Kind string

// What can be wrong with a file.
const (
	// WrongPassphrase: the file, or the key in it, is encrypted with another passphrase.
	WrongPassphrase Kind = "wrong-passphrase"
	// NeedsPassphrase: it is encrypted and no passphrase was given.
	NeedsPassphrase Kind = "needs-passphrase"
	// Mismatch: there is a key and there are certificates, and none of them belongs to it.
	Mismatch Kind = "mismatch"
	// Unreadable: it is damaged, or not a file of this sort at all.
	Unreadable Kind = "unreadable"
	// NoKey: it holds no private key.
	NoKey Kind = "no-key"
	// NoCertificate: it holds no certificate.
	NoCertificate Kind = "no-certificate"
	// Unsupported: it was understood, and asks for something that cannot be done here.
	Unsupported Kind = "unsupported"
)

// Error is why a file cannot be used.
type Error struct {
	// What is one sentence, without the file's name, which the caller knows.
	What string
	// Hint is what to do next; it may be empty.
	Hint string
	Kind Kind
}

// Error returns the sentence.
func (e *Error) Error() string { return e.What }

func unreadable(hint, format string, args ...any) *Error {
	return &Error{What: fmt.Sprintf(format, args...), Hint: hint, Kind: Unreadable}
}

func unsupported(hint, format string, args ...any) *Error {
	return &Error{What: fmt.Sprintf(format, args...), Hint: hint, Kind: Unsupported}
}

const (
	hintPassphrase = "check the passphrase, also for a space or line break at its end"
	hintGive       = "give the passphrase"
	hintReencrypt  = "decrypt it where it was made and encrypt it again: openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY -out NEW.key"
	hintDamaged    = "copy the file again from where it was made"
)

// needsOrWrong says that decryption failed, in view of what was tried.
func needsOrWrong(what string, passphrase []byte) *Error {
	if len(passphrase) == 0 {
		return &Error{What: what + " is encrypted and no passphrase was given", Hint: hintGive, Kind: NeedsPassphrase}
	}
	return &Error{What: "the passphrase is not the one of " + what, Hint: hintPassphrase, Kind: WrongPassphrase}
}
