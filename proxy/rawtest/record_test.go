package rawtest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"eaves/capture"
	"eaves/proxy/wire"
)

// checkRecord holds what was recorded of a case with one whole exchange to the bytes of both sides: the request is what
// the origin received, the response what it sent, and where the client's side differs it is there too.
func (p *play) checkRecord() error {
	if p.server == nil || p.connections != 1 || bytes.HasPrefix(p.client.sent.Bytes(), []byte("CONNECT ")) {
		return nil
	}
	all := p.r.recorder.wait(p.before, p.client.tcp.LocalAddr().String(), 1)
	if len(all) != 1 {
		return nil
	}
	k := all[0]
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.ended || k.x.State != capture.StateDone || k.x.Kind != capture.KindHTTP || k.x.Response == nil || k.x.Response.Status == 101 {
		return nil
	}
	if err := checkRequest(k, p.server.got.Bytes(), p.client.sent.Bytes()); err != nil {
		return fmt.Errorf("recorded request: %w", err)
	}
	if err := checkResponse(k, p.server.sent.Bytes(), p.client.got.Bytes()); err != nil {
		return fmt.Errorf("recorded response: %w", err)
	}
	return nil
}

// message is a message as it was on the wire.
type message struct {
	fields  wire.Fields
	trailer wire.Fields
	body    []byte
	size    int
}

// rest reads what comes behind a head.
func (m *message) rest(r *bufio.Reader, f wire.Framing) (err error) {
	b := wire.NewBody(r, f, wire.Limits{})
	m.body, err = io.ReadAll(b)
	m.trailer = b.Trailer()
	return err
}

func readRequest(raw []byte) (*wire.RequestHead, *message, error) {
	r := bufio.NewReader(bytes.NewReader(raw))
	h, err := wire.ReadRequestHead(r, wire.Limits{})
	if err != nil {
		return nil, nil, err
	}
	f, err := h.Framing()
	if err != nil {
		return nil, nil, err
	}
	m := &message{fields: h.Fields, size: h.Size}
	return h, m, m.rest(r, f)
}

func checkRequest(k *recording, origin, client []byte) error {
	h, m, err := readRequest(origin)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil // the origin has answered before the end, and nobody waited for it
	}
	if err != nil {
		return err
	}
	x := &k.x.Request
	if x.Method != h.Method || x.HeadersSize != int64(m.size) {
		return fmt.Errorf("%s with a head of %d bytes, was %s with %d", x.Method, x.HeadersSize, h.Method, m.size)
	}
	if err := m.same(x.Header, x.Trailer, k.request.Bytes()); err != nil {
		return err
	}
	_, cm, err := readRequest(bytes.TrimLeft(client, "\r\n"))
	if err != nil {
		return err
	}
	if c := k.x.Client.Request; c != nil {
		return sameFields(cm.fields, c.Header)
	}
	if !wire.SameEndToEnd(cm.fields, m.fields) {
		return fmt.Errorf("the client's %s differs, and is not there", short(fmt.Sprint(cm.fields)))
	}
	return nil
}

func checkResponse(k *recording, origin, client []byte) error {
	x := k.x.Response
	r := bufio.NewReader(bytes.NewReader(origin))
	var h *wire.ResponseHead
	var err error
	for i := 0; ; i++ {
		if h, err = wire.ReadResponseHead(r, wire.Limits{}); err != nil {
			return err
		}
		if h.Status >= 200 {
			if len(x.Informational) != i {
				return fmt.Errorf("%d informational ones, were %d", len(x.Informational), i)
			}
			break
		}
		if i >= len(x.Informational) || x.Informational[i].Status != h.Status || x.Informational[i].StatusText != h.Reason {
			return errors.New("an informational one is not there")
		}
		if err := sameFields(h.Fields, x.Informational[i].Header); err != nil {
			return err
		}
	}
	f, err := h.Framing(k.x.Request.Method)
	if err != nil {
		return err
	}
	m := &message{fields: h.Fields, size: h.Size}
	if err := m.rest(r, f); err != nil {
		return err
	}
	if x.Status != h.Status || x.StatusText != h.Reason || x.HTTPVersion != h.Proto || x.HeadersSize != int64(m.size) {
		return fmt.Errorf("%s %d %q with a head of %d bytes, was %s %d %q with %d", x.HTTPVersion, x.Status, x.StatusText, x.HeadersSize, h.Proto, h.Status, h.Reason, m.size)
	}
	if err := m.same(x.Header, x.Trailer, k.response.Bytes()); err != nil {
		return err
	}
	cr := bufio.NewReader(bytes.NewReader(client))
	for {
		ch, err := wire.ReadResponseHead(cr, wire.Limits{})
		if err != nil {
			return err
		}
		if ch.Status < 200 {
			continue
		}
		if c := k.x.Client.Response; c != nil {
			return sameFields(ch.Fields, c.Header)
		}
		if !wire.SameEndToEnd(ch.Fields, m.fields) {
			return fmt.Errorf("the client's %s differs, and is not there", short(fmt.Sprint(ch.Fields)))
		}
		return nil
	}
}

func (m *message) same(fields, trailer capture.Header, body []byte) error {
	if err := sameFields(m.fields, fields); err != nil {
		return err
	}
	if err := sameFields(m.trailer, trailer); err != nil {
		return fmt.Errorf("trailer: %w", err)
	}
	if !bytes.Equal(m.body, body) {
		return fmt.Errorf("body %s, was %s", short(string(body)), short(string(m.body)))
	}
	return nil
}

func sameFields(was wire.Fields, is capture.Header) error {
	var h capture.Header
	for _, f := range was {
		h = append(h, capture.Field{Name: f.Name, Value: f.Value})
	}
	if !slices.Equal(h, is) {
		return fmt.Errorf("fields %s, were %s", short(fmt.Sprint(is)), short(fmt.Sprint(h)))
	}
	return nil
}
