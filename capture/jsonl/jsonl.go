// Package jsonl writes exchanges as JSON lines, for jq and scripts.
//
// # Lines
//
// Each line is one exchange in the form of the API (GET /exchanges/{id}), followed by what the API gives apart from it:
//
//	requestBody, responseBody   {"size":N,"text":"…"}, or "data" (base64) where it is no UTF-8; left out where there is none
//	messageList                 the messages in the API's form; left out where there are none
//
// Bodies are decoded. Where that is not possible, or would make far too much of them, they stand as transferred, with
// "coded":true. Bodies stream: memory does not grow with them.
package jsonl

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"eaves/capture"
	"eaves/capture/content"
	"eaves/capture/internal/bodyjson"
)

// Source gives what an exchange does not hold itself.
type Source interface {
	Body(ctx context.Context, id int64, side capture.Side) (capture.Body, error)
	Messages(ctx context.Context, id, after int64, limit int) ([]capture.Message, error)
}

// Writer writes one line for each exchange.
type Writer struct {
	w      *bufio.Writer
	source Source
}

// NewWriter returns a writer to w.
func NewWriter(w io.Writer, source Source) *Writer {
	return &Writer{w: bufio.NewWriterSize(w, 64<<10), source: source}
}

// Write writes an exchange's line.
func (l *Writer) Write(ctx context.Context, x *capture.Exchange) error {
	b, err := json.Marshal(x)
	if err != nil {
		return err
	}
	l.w.Write(b[:len(b)-1])
	if err := l.body(ctx, x.ID, "requestBody", capture.SideRequest, x.Request.Header); err != nil {
		return err
	}
	var head capture.Header
	if x.Response != nil {
		head = x.Response.Header
	}
	if err := l.body(ctx, x.ID, "responseBody", capture.SideResponse, head); err != nil {
		return err
	}
	if x.Messages > 0 {
		if err := l.messages(ctx, x.ID); err != nil {
			return err
		}
	}
	_, err = l.w.WriteString("}\n")
	return err
}

// Close writes what is still held back. It does not close the writer below.
func (l *Writer) Close() error { return l.w.Flush() }

func (l *Writer) body(ctx context.Context, id int64, name string, side capture.Side, head capture.Header) error {
	b, err := bodyjson.Open(ctx, l.source, id, side, head)
	if b == nil || err != nil {
		return err
	}
	defer b.Close()
	fmt.Fprintf(l.w, `,"%s":{"size":%d`, name, b.Size)
	if !b.Coded && len(content.Codings(head)) > 0 {
		l.w.WriteString(`,"coded":true`)
	}
	if b.Text {
		l.w.WriteString(`,"text":`)
		err = b.WriteText(l.w)
	} else {
		l.w.WriteString(`,"data":`)
		err = b.WriteBase64(l.w)
	}
	l.w.WriteByte('}')
	return err
}

// page is how many messages are asked for at a time.
const page = 200

func (l *Writer) messages(ctx context.Context, id int64) error {
	l.w.WriteString(`,"messageList":[`)
	for after := int64(0); ; {
		ms, err := l.source.Messages(ctx, id, after, page)
		if errors.Is(err, capture.ErrNotFound) || err == nil && len(ms) == 0 {
			break
		}
		if err != nil {
			return err
		}
		for i := range ms {
			if after > 0 {
				l.w.WriteByte(',')
			}
			after = ms[i].N
			b, err := json.Marshal(ms[i])
			if err != nil {
				return err
			}
			l.w.Write(b)
		}
	}
	return l.w.WriteByte(']')
}
