package wire

import (
	"bufio"
	"fmt"
	"strconv"
	"strings"
)

// WriteRequestHead writes a head. Fields that have their line are written as it was. What would make another head of it
// than the one that was asked for (a line break in a value, a space in the target) is an error; w has then been written
// a part, and must not be flushed.
func WriteRequestHead(w *bufio.Writer, method, target, proto string, f Fields) error {
	if !isToken(method) {
		return fmt.Errorf("method %q is not a token", method)
	}
	if target == "" || !all(target, targetChar) {
		return fmt.Errorf("request target %q is empty or has white space or a control character in it", target)
	}
	if !validProto(proto) {
		return fmt.Errorf("HTTP version %q is malformed", proto)
	}
	_, _ = w.WriteString(method)
	_ = w.WriteByte(' ')
	_, _ = w.WriteString(target)
	_ = w.WriteByte(' ')
	_, _ = w.WriteString(proto)
	return writeFields(w, f)
}

// WriteResponseHead writes a head, as WriteRequestHead does. Where reason is empty the space before it is there all the
// same (RFC 9112, section 4).
func WriteResponseHead(w *bufio.Writer, proto string, status int, reason string, f Fields) error {
	if !validProto(proto) {
		return fmt.Errorf("HTTP version %q is malformed", proto)
	}
	if status < 100 || status > 999 {
		return fmt.Errorf("status code %d is not three digits", status)
	}
	if hasBreak(reason) {
		return fmt.Errorf("reason phrase %q has a line break in it", reason)
	}
	_, _ = w.WriteString(proto)
	_ = w.WriteByte(' ')
	_, _ = w.WriteString(strconv.Itoa(status))
	_ = w.WriteByte(' ')
	_, _ = w.WriteString(reason)
	return writeFields(w, f)
}

func writeFields(w *bufio.Writer, f Fields) error {
	_, _ = w.WriteString("\r\n")
	for i := range f {
		if err := writeField(w, &f[i]); err != nil {
			return err
		}
	}
	// bufio.Writer keeps its first error, and this returns it.
	_, err := w.WriteString("\r\n")
	return err
}

func writeField(w *bufio.Writer, f *Field) error {
	if f.Line != "" {
		if hasBreak(f.Line) {
			return fmt.Errorf("header line of %q has a line break in it", f.Name)
		}
		_, _ = w.WriteString(f.Line)
	} else {
		if !isToken(f.Name) {
			return fmt.Errorf("header name %q is not a token", f.Name)
		}
		if hasBreak(f.Value) {
			return fmt.Errorf("value of header %q has a line break in it", f.Name)
		}
		_, _ = w.WriteString(f.Name)
		_, _ = w.WriteString(": ")
		_, _ = w.WriteString(f.Value)
	}
	_, err := w.WriteString("\r\n")
	return err
}

// hasBreak says whether s has in it what some reader takes for the end of a line, or of a string.
func hasBreak(s string) bool {
	return strings.IndexByte(s, '\n') >= 0 || strings.IndexByte(s, '\r') >= 0 || strings.IndexByte(s, 0) >= 0
}
