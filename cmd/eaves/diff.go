package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"eaves/capture"
	"eaves/cmd/eaves/internal/client"
	"eaves/cmd/eaves/internal/failure"
)

func (p *program) diffCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "diff ID ID",
		Short: "two exchanges side by side",
		Example: `  eaves diff 42 57
  eaves diff 42 57 --json`,
		Long: `diff compares heads, bodies (JSON by its structure), TLS, route and timings, one difference a line: - is the first
exchange, + the second. The exit status is diff's: 0 when they are the same, 1 when they differ. What only says when an
exchange happened (timings, the header Date) is shown, marked with ~, and makes no difference.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var pair [2]int64
			for i, a := range args {
				var err error
				if pair[i], err = oneID(cmd, a); err != nil {
					return err
				}
			}
			return p.withAPI(cmd, func(api *client.Client) error {
				ds, err := compare(cmd.Context(), api, pair[0], pair[1])
				if err != nil {
					return err
				}
				if asJSON {
					enc := json.NewEncoder(p.out)
					for _, d := range ds {
						if err := enc.Encode(d); err != nil {
							return err
						}
					}
				} else {
					printDifferences(p.out, ds)
				}
				if differ(ds) {
					return failure.Status(1)
				}
				return nil
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print each difference as a line of JSON")
	return c
}

// difference is one place in which two exchanges differ. A nil side has nothing there.
type difference struct {
	Where string  `json:"where"`
	A     *string `json:"a"`
	B     *string `json:"b"`
	// Incidental says that the difference only tells when, or after what, the exchanges happened.
	Incidental bool `json:"incidental"`
}

// differ says whether any difference counts.
func differ(ds []difference) bool {
	for _, d := range ds {
		if !d.Incidental {
			return true
		}
	}
	return false
}

// printDifferences prints differences for a person.
func printDifferences(w io.Writer, ds []difference) {
	for _, d := range ds {
		mark := ""
		if d.Incidental {
			mark = "~ "
		}
		fmt.Fprintf(w, "%s%s\n", mark, harmless(d.Where))
		if d.A != nil {
			fmt.Fprintf(w, "  - %s\n", harmless(*d.A))
		}
		if d.B != nil {
			fmt.Fprintf(w, "  + %s\n", harmless(*d.B))
		}
	}
}

// comparer collects differences.
type comparer struct{ found []difference }

// values compares two values of the same place; "" means that nothing is there.
func (c *comparer) values(where, a, b string, incidental bool) {
	if a == b {
		return
	}
	d := difference{Where: where, Incidental: incidental}
	if a != "" {
		d.A = &a
	}
	if b != "" {
		d.B = &b
	}
	c.found = append(c.found, d)
}

// compare asks for two exchanges and returns what differs.
func compare(ctx context.Context, api *client.Client, first, second int64) ([]difference, error) {
	a, err := api.Exchange(ctx, first)
	if err != nil {
		return nil, err
	}
	b, err := api.Exchange(ctx, second)
	if err != nil {
		return nil, err
	}
	c := &comparer{}
	c.values("kind", string(a.Kind), string(b.Kind), false)
	c.values("state", string(a.State), string(b.State), false)
	c.values("error", errorText(a), errorText(b), false)
	c.values("request", requestLine(a), requestLine(b), false)
	c.values("url", a.Request.URL, b.Request.URL, false)
	c.headers("request header", a.Request.Header, b.Request.Header)
	c.headers("request trailer", a.Request.Trailer, b.Request.Trailer)
	if err := c.bodies(ctx, api, capture.SideRequest, a, b); err != nil {
		return nil, err
	}
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
	if err := c.bodies(ctx, api, capture.SideResponse, a, b); err != nil {
		return nil, err
	}
	c.tls("tls", a.TLS, b.TLS)
	c.values("route", routeText(a.Route), routeText(b.Route), false)
	c.values("answered by", string(a.AnsweredBy), string(b.AnsweredBy), false)
	for _, t := range []struct {
		name string
		a, b float64
	}{{"time", a.Time, b.Time}, {"timings.dns", a.Timings.DNS, b.Timings.DNS}, {"timings.connect", a.Timings.Connect, b.Timings.Connect},
		{"timings.ssl", a.Timings.SSL, b.Timings.SSL}, {"timings.wait", a.Timings.Wait, b.Timings.Wait}, {"timings.receive", a.Timings.Receive, b.Timings.Receive}} {
		c.values(t.name, milliseconds(t.a), milliseconds(t.b), true)
	}
	return c.found, nil
}

func answerLine(r *capture.Response) string {
	if r == nil || r.Status == 0 {
		return ""
	}
	return statusLine(r)
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
			c.values(where+" "+f.Name, at(va, i), at(vb, i), name == "date")
		}
	}
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return ""
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

// comparedBody is how much of a body is compared by its structure or lines; beyond it only whether it is the same.
const comparedBody = 4 << 20

// bodies compares decoded bodies: JSON by its structure, text by its lines, the rest by its bytes.
func (c *comparer) bodies(ctx context.Context, api *client.Client, side capture.Side, x, y *capture.Exchange) error {
	a, err := readBody(ctx, api, x.ID, side)
	if err != nil {
		return err
	}
	b, err := readBody(ctx, api, y.ID, side)
	if err != nil {
		return err
	}
	if bytes.Equal(a, b) {
		if len(a) > comparedBody {
			c.values(string(side)+" body size", fmt.Sprint(bodySize(x, side)), fmt.Sprint(bodySize(y, side)), false)
		}
		return nil
	}
	where := string(side) + " body"
	ja, oka := parseJSON(a)
	jb, okb := parseJSON(b)
	switch {
	case oka && okb:
		c.json(where, ja, jb)
	case len(a) <= comparedBody && len(b) <= comparedBody && isText("", a) && isText("", b):
		c.lines(where, strings.Split(string(a), "\n"), strings.Split(string(b), "\n"))
	default:
		n := 0
		for n < len(a) && n < len(b) && a[n] == b[n] {
			n++
		}
		c.values(fmt.Sprintf("%s from byte %d", where, n), fmt.Sprintf("%d bytes", bodySize(x, side)), fmt.Sprintf("%d bytes, other ones", bodySize(y, side)), false)
	}
	return nil
}

func bodySize(x *capture.Exchange, side capture.Side) int64 {
	if side == capture.SideRequest {
		return x.Request.BodySize
	}
	if x.Response == nil {
		return 0
	}
	return x.Response.BodySize
}

// readBody reads as much of a body as is compared, and a byte more.
func readBody(ctx context.Context, api *client.Client, id int64, side capture.Side) ([]byte, error) {
	b, err := api.Body(ctx, id, side, true)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	return io.ReadAll(io.LimitReader(b, comparedBody+1))
}

func parseJSON(b []byte) (any, bool) {
	if t := bytes.TrimSpace(b); len(t) == 0 || len(b) > comparedBody || t[0] != '{' && t[0] != '[' {
		return nil, false
	}
	var v any
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if dec.Decode(&v) != nil || dec.More() {
		return nil, false
	}
	return v, true
}

// json compares by structure: members by name, elements by position.
func (c *comparer) json(where string, a, b any) {
	switch a := a.(type) {
	case map[string]any:
		if b, ok := b.(map[string]any); ok {
			names := map[string]bool{}
			for n := range a {
				names[n] = true
			}
			for n := range b {
				names[n] = true
			}
			sorted := make([]string, 0, len(names))
			for n := range names {
				sorted = append(sorted, n)
			}
			sort.Strings(sorted)
			for _, n := range sorted {
				va, ina := a[n]
				vb, inb := b[n]
				c.member(where+"."+n, va, ina, vb, inb)
			}
			return
		}
	case []any:
		if b, ok := b.([]any); ok {
			for i := range max(len(a), len(b)) {
				var va, vb any
				if i < len(a) {
					va = a[i]
				}
				if i < len(b) {
					vb = b[i]
				}
				c.member(fmt.Sprintf("%s[%d]", where, i), va, i < len(a), vb, i < len(b))
			}
			return
		}
	}
	c.values(where, jsonText(a, true), jsonText(b, true), false)
}

func (c *comparer) member(where string, a any, ina bool, b any, inb bool) {
	if ina && inb {
		c.json(where, a, b)
		return
	}
	c.values(where, jsonText(a, ina), jsonText(b, inb), false)
}

func jsonText(v any, there bool) string {
	if !there {
		return ""
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
