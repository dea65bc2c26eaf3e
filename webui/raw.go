package webui

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"eaves/capture"
)

// raw serves one message as HTTP/1 writes it: its head in the order and case of the wire, its body as transferred.
func (s *Server) raw(w http.ResponseWriter, r *request) error {
	id, err := r.id()
	if err != nil {
		return err
	}
	side := capture.Side(r.vars["side"])
	x, err := s.cfg.Store.Get(r.Context(), id)
	if err != nil {
		return err
	}
	kept, err := s.cfg.Store.Body(r.Context(), id, side)
	if err != nil {
		return err
	}
	defer kept.Close()
	attached(w.Header(), fmt.Sprintf("eaves-%d-%s.http", id, side))
	http.ServeContent(w, r.Request, "", time.Time{}, behind(rawHead(x, side), kept))
	return nil
}

// rawHead is the head of one side; "" where nothing was answered.
func rawHead(x *capture.Exchange, side capture.Side) string {
	var b strings.Builder
	if side == capture.SideRequest {
		writeHead(&b, x.RequestLine(), x.Request.Header)
		return b.String()
	}
	r := x.Response
	if r == nil || r.Status == 0 {
		return ""
	}
	for _, i := range r.Informational {
		writeHead(&b, fmt.Sprintf("%s %d %s", r.HTTPVersion, i.Status, i.StatusText), i.Header)
	}
	writeHead(&b, r.StatusLine(), r.Header)
	return b.String()
}

func writeHead(b *strings.Builder, line string, fields capture.Header) {
	b.WriteString(line + "\r\n")
	for _, f := range fields {
		b.WriteString(f.Name + ": " + f.Value + "\r\n")
	}
	b.WriteString("\r\n")
}

// headed is a body behind a head.
type headed struct {
	head *strings.Reader
	body capture.Body
	at   int64
}

func behind(head string, body capture.Body) *headed {
	return &headed{head: strings.NewReader(head), body: body}
}

func (h *headed) Read(p []byte) (int, error) {
	var n int
	var err error
	if h.at < h.head.Size() {
		n, err = h.head.ReadAt(p, h.at)
		if err == io.EOF {
			err = nil
		}
	} else {
		n, err = h.body.ReadAt(p, h.at-h.head.Size())
		if n > 0 && err == io.EOF {
			err = nil
		}
	}
	h.at += int64(n)
	return n, err
}

func (h *headed) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += h.at
	case io.SeekEnd:
		offset += h.head.Size() + h.body.Size()
	}
	if offset < 0 {
		return 0, fmt.Errorf("seeking before the beginning")
	}
	h.at = offset
	return offset, nil
}
