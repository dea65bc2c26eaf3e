// Package diff compares two exchanges: heads, bodies (JSON by its structure, text by its lines), TLS, route and timings.
// What differs between any two exchanges without meaning anything can be masked.
package diff

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"eaves/capture"
	"eaves/capture/content"
)

// The parts of an exchange that are compared.
const (
	PartRequest      = "request"
	PartRequestBody  = "request body"
	PartResponse     = "response"
	PartResponseBody = "response body"
	PartTLS          = "tls"
	PartRoute        = "route"
	PartTimings      = "timings"
)

// Bounds of what is compared and told.
const (
	// comparedBody is how much of a body is compared by its structure or lines.
	comparedBody = 4 << 20
	// readBody is how far larger ones are compared byte by byte.
	readBody = 256 << 20
	// maxDifferences is how many are told, maxValue how much of each side.
	maxDifferences = 5000
	maxValue       = 16 << 10
)

// Difference is one place in which two exchanges differ. A nil side has nothing there.
type Difference struct {
	Part  string  `json:"part"`
	Where string  `json:"where"`
	A     *string `json:"a"`
	B     *string `json:"b"`
	// Incidental says that the difference only tells when, or after what, the exchanges happened.
	Incidental bool `json:"incidental"`
	// Masked names the masks under which both sides are the same.
	Masked []string `json:"masked,omitempty"`
}

// counts says whether a difference is one that matters.
func (d *Difference) counts() bool { return !d.Incidental && len(d.Masked) == 0 }

// Result is what comparing two exchanges found.
type Result struct {
	A    int64 `json:"a"`
	B    int64 `json:"b"`
	Same bool  `json:"same"`
	// Differences are in the order of the exchange's own parts. More counts those that are not told.
	Differences []Difference `json:"differences"`
	More        int          `json:"more"`
	// Masks are those that were asked for.
	Masks []Mask `json:"masks"`
	// Notes say what was not compared, or not wholly.
	Notes []string `json:"notes"`
}

// Bodies opens kept bodies, as a store does.
type Bodies interface {
	Body(ctx context.Context, id int64, side capture.Side) (capture.Body, error)
}

// comparer collects differences.
type comparer struct {
	ctx   context.Context
	depth int   // of the structure that is compared
	sums  *sums // of its values
	part  string
	masks []Mask
	out   Result
	// counted says that some difference counts, whether it is told or not.
	counted bool
}

// Compare compares two exchanges.
func Compare(ctx context.Context, a, b *capture.Exchange, bodies Bodies, masks []Mask) (Result, error) {
	c := &comparer{ctx: ctx, masks: masks, out: Result{A: a.ID, B: b.ID, Differences: []Difference{}, Masks: append([]Mask{}, masks...), Notes: []string{}}}
	c.part = PartRequest
	c.values("kind", string(a.Kind), string(b.Kind), false)
	c.values("state", string(a.State), string(b.State), false)
	c.values("error", errorText(a), errorText(b), false)
	c.values("request", a.RequestLine(), b.RequestLine(), false)
	c.values("url", a.Request.URL, b.Request.URL, false)
	c.headers("request header", a.Request.Header, b.Request.Header)
	c.headers("request trailer", a.Request.Trailer, b.Request.Trailer)
	c.part = PartRequestBody
	if err := c.bodies(ctx, bodies, capture.SideRequest, a, b); err != nil {
		return c.out, err
	}
	c.part = PartResponse
	ra, rb := a.Response, b.Response
	if ra == nil {
		ra = &capture.Response{}
	}
	if rb == nil {
		rb = &capture.Response{}
	}
	c.values("response", answerLine(a.Response), answerLine(b.Response), false)
	c.headers("response header", ra.Header, rb.Header)
	c.headers("response trailer", ra.Trailer, rb.Trailer)
	c.values("messages", number(a.Messages), number(b.Messages), false)
	c.part = PartResponseBody
	if err := c.bodies(ctx, bodies, capture.SideResponse, a, b); err != nil {
		return c.out, err
	}
	c.part = PartTLS
	c.tls("tls", a.TLS, b.TLS)
	c.part = PartRoute
	c.values("route", routeText(a.Route), routeText(b.Route), false)
	c.values("answered by", string(a.AnsweredBy), string(b.AnsweredBy), false)
	c.part = PartTimings
	for _, t := range []struct {
		name string
		a, b float64
	}{{"time", a.Time, b.Time}, {"timings.dns", a.Timings.DNS, b.Timings.DNS}, {"timings.connect", a.Timings.Connect, b.Timings.Connect},
		{"timings.ssl", a.Timings.SSL, b.Timings.SSL}, {"timings.wait", a.Timings.Wait, b.Timings.Wait}, {"timings.receive", a.Timings.Receive, b.Timings.Receive}} {
		c.values(t.name, milliseconds(t.a), milliseconds(t.b), true)
	}
	c.out.Same = !c.counted
	return c.out, nil
}

// values compares two values of the same place; "" means that nothing is there.
func (c *comparer) values(where, a, b string, incidental bool) {
	if a == b {
		return
	}
	d := Difference{Where: where, Incidental: incidental}
	if a != "" {
		d.A = &a
	}
	if b != "" {
		d.B = &b
	}
	c.add(d)
}

// add tells of a difference.
func (c *comparer) add(d Difference) {
	d.Part = c.part
	if d.A != nil && d.B != nil {
		d.Masked = explain(c.masks, *d.A, *d.B)
	}
	if d.counts() {
		c.counted = true
	}
	if len(c.out.Differences) >= maxDifferences {
		c.out.More++
		return
	}
	d.A, d.B = clip(d.A), clip(d.B)
	c.out.Differences = append(c.out.Differences, d)
}

// clip shortens what nobody reads to its end.
func clip(s *string) *string {
	if s == nil || len(*s) <= maxValue {
		return s
	}
	short := fmt.Sprintf("%s … (%d bytes)", cut(*s, maxValue), len(*s))
	return &short
}

// cut is the beginning of a longer text, of n bytes or a little less: it ends with a whole character.
func cut(s string, n int) string {
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func number(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func milliseconds(ms float64) string {
	if ms < 0 {
		return ""
	}
	return strconv.FormatFloat(ms, 'f', 1, 64) + "ms"
}

func answerLine(r *capture.Response) string {
	if r == nil || r.Status == 0 {
		return ""
	}
	return r.StatusLine()
}

func errorText(x *capture.Exchange) string {
	if x.Error == nil {
		return ""
	}
	return x.Error.Error()
}

func routeText(r *capture.Route) string {
	if r == nil {
		return ""
	}
	var hops []string
	for _, h := range r.Hops {
		hops = append(hops, h.Kind+" "+h.Address)
	}
	return strings.Join(hops, " → ")
}

// headers compares fields by name; the order of different names makes no difference, that of one name's values does.
func (c *comparer) headers(where string, a, b capture.Header) {
	seen := map[string]bool{}
	for _, f := range append(append(capture.Header{}, a...), b...) {
		name := strings.ToLower(f.Name)
		if seen[name] {
			continue
		}
		seen[name] = true
		va, vb := a.Values(name), b.Values(name)
		for i := range max(len(va), len(vb)) {
			// An empty value is a field all the same.
			if d := (Difference{Where: within(where, " "+f.Name), A: at(va, i), B: at(vb, i), Incidental: name == "date"}); d.A == nil || d.B == nil || *d.A != *d.B {
				c.add(d)
			}
		}
	}
}

func at(list []string, i int) *string {
	if i < len(list) {
		return &list[i]
	}
	return nil
}

// tls compares what was agreed; which certificates were shown counts by their fingerprints.
func (c *comparer) tls(where string, a, b *capture.TLS) {
	if a == nil {
		a = &capture.TLS{}
	}
	if b == nil {
		b = &capture.TLS{}
	}
	c.values(where+" version", a.Version, b.Version, false)
	c.values(where+" cipher", a.CipherSuite, b.CipherSuite, false)
	c.values(where+" alpn", a.ALPN, b.ALPN, false)
	c.values(where+" server name", a.ServerName, b.ServerName, false)
	c.values(where+" verify error", a.VerifyError, b.VerifyError, false)
	for i := range max(len(a.PeerCertificates), len(b.PeerCertificates)) {
		c.values(fmt.Sprintf("%s certificate %d", where, i+1), certificateText(a.PeerCertificates, i), certificateText(b.PeerCertificates, i), false)
	}
	c.values(where+" client certificate", clientCertificateText(a), clientCertificateText(b), false)
}

func certificateText(list []capture.Certificate, i int) string {
	if i >= len(list) {
		return ""
	}
	return list[i].Subject + " sha256:" + list[i].SHA256
}

func clientCertificateText(t *capture.TLS) string {
	c := t.ClientCertificate
	if c == nil || !c.Requested {
		return ""
	}
	sent := "none sent"
	if c.Sent != nil {
		sent = c.Sent.Subject + " sha256:" + c.Sent.SHA256
	}
	return c.Verdict + ": " + sent
}

// bodies compares decoded bodies: JSON by its structure, text by its lines, the rest by its bytes.
func (c *comparer) bodies(ctx context.Context, bodies Bodies, side capture.Side, x, y *capture.Exchange) error {
	a, err := c.open(ctx, bodies, side, x)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := c.open(ctx, bodies, side, y)
	if err != nil {
		return err
	}
	defer b.Close()
	pa, err := a.head()
	if err != nil {
		return err
	}
	pb, err := b.head()
	if err != nil {
		return err
	}
	where := string(side) + " body"
	if len(pa) > comparedBody || len(pb) > comparedBody {
		return c.large(ctx, where, a, b, pa, pb)
	}
	if bytes.Equal(pa, pb) {
		return nil
	}
	ja, oka := parseJSON(pa)
	jb, okb := parseJSON(pb)
	switch {
	case oka && okb:
		c.sums = newSums(len(c.masks) > 0)
		c.json(where, ja, jb)
		return ctx.Err()
	case isText(pa) && isText(pb):
		c.lines(where, splitLines(pa), splitLines(pb))
	default:
		n := common(pa, pb)
		c.values(fmt.Sprintf("%s from byte %d", where, n), sized(len(pa)), sized(len(pb))+", other ones", false)
	}
	return nil
}

// large compares two bodies byte by byte, as far as readBody.
func (c *comparer) large(ctx context.Context, where string, a, b *side, pa, pb []byte) error {
	c.out.Notes = append(c.out.Notes, fmt.Sprintf("the %s is larger than %d MiB: it is compared byte by byte, not by its structure", where, comparedBody>>20))
	n := int64(0)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		same := common(pa, pb)
		n += int64(same)
		if same < len(pa) || same < len(pb) {
			c.values(fmt.Sprintf("%s from byte %d", where, n), a.about(), b.about()+", other ones", false)
			return nil
		}
		if len(pa) == 0 {
			return nil
		}
		if n >= readBody {
			c.out.Notes = append(c.out.Notes, fmt.Sprintf("only the first %d MiB of the %s were compared", readBody>>20, where))
			return nil
		}
		var err error
		if pa, err = a.more(); err != nil {
			return err
		}
		if pb, err = b.more(); err != nil {
			return err
		}
	}
}

func sized(n int) string { return fmt.Sprintf("%d bytes", n) }

// common is how many bytes a and b begin with alike.
func common(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// side is one decoded body that is read.
type side struct {
	io.Closer
	r    io.Reader
	kept int64
	buf  []byte
}

// about says how large a body is, as it was transferred.
func (s *side) about() string { return fmt.Sprintf("%d bytes transferred", s.kept) }

// head reads as much as is compared by structure, and a byte more.
func (s *side) head() ([]byte, error) { return io.ReadAll(io.LimitReader(s.r, comparedBody+1)) }

// more reads the next stretch; nothing is the end.
func (s *side) more() ([]byte, error) {
	if s.buf == nil {
		s.buf = make([]byte, 1<<20)
	}
	n, err := io.ReadFull(s.r, s.buf)
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return s.buf[:n], err
}

type closers []io.Closer

func (c closers) Close() error {
	for _, x := range slices.Backward(c) {
		x.Close()
	}
	return nil
}

// open opens one body, decoded where that is possible.
func (c *comparer) open(ctx context.Context, bodies Bodies, which capture.Side, x *capture.Exchange) (*side, error) {
	kept, err := bodies.Body(ctx, x.ID, which)
	if err != nil {
		return nil, err
	}
	header, cut := x.Request.Header, x.Request.Truncated
	if which == capture.SideResponse {
		header, cut = nil, false
		if x.Response != nil {
			header, cut = x.Response.Header, x.Response.Truncated
		}
	}
	if cut {
		c.out.Notes = append(c.out.Notes, fmt.Sprintf("only a part of the %s body of %d was kept", which, x.ID))
	}
	s := &side{Closer: kept, r: kept, kept: kept.Size()}
	if len(content.Codings(header)) == 0 || kept.Size() == 0 {
		return s, nil
	}
	in, err := content.Decode(header, kept)
	if err != nil {
		c.out.Notes = append(c.out.Notes, fmt.Sprintf("the %s body of %d is compared as it was transferred: %v", which, x.ID, err))
		return s, nil
	}
	s.r, s.Closer = &tolerant{in, c, fmt.Sprintf("the %s body of %d", which, x.ID)}, closers{kept, in}
	return s, nil
}

// tolerant makes a body that breaks off while it is decoded end there.
type tolerant struct {
	io.Reader
	c    *comparer
	what string
}

func (t *tolerant) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	if err != nil && err != io.EOF {
		t.c.out.Notes = append(t.c.out.Notes, fmt.Sprintf("%s is compared as far as it can be decoded: %v", t.what, err))
		err = io.EOF
	}
	return n, err
}

func isText(p []byte) bool { return utf8.Valid(p) && bytes.IndexByte(p, 0) < 0 }

func splitLines(p []byte) []string {
	if len(p) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(p), "\n"), "\n")
}

// lines compares two texts by their lines.
func (c *comparer) lines(where string, a, b []string) {
	keys := func(list []string) []string {
		if len(c.masks) == 0 {
			return list
		}
		out := make([]string, len(list))
		for i, s := range list {
			out[i] = fold(s)
		}
		return out
	}
	pairs(edit(keys(a), keys(b)), func(i, j int) {
		switch {
		case j < 0:
			c.add(Difference{Where: fmt.Sprintf("%s line %d", where, i+1), A: &a[i]})
		case i < 0:
			c.add(Difference{Where: fmt.Sprintf("%s line %d", where, j+1), B: &b[j]})
		case a[i] != b[j]:
			c.add(Difference{Where: fmt.Sprintf("%s line %d", where, i+1), A: &a[i], B: &b[j]})
		}
	})
}
