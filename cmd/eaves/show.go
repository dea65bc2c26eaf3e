package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"eaves/capture"
	"eaves/cmd/eaves/internal/client"
	"eaves/cmd/eaves/internal/failure"
)

func (p *program) showCommand() *cobra.Command {
	var body string
	var raw, asJSON bool
	c := &cobra.Command{
		Use:   "show ID",
		Short: "one exchange with its receipts",
		Example: `  eaves show 42
  eaves show 42 --body response > answer.json
  eaves show 42 --body request --raw      the bytes as transferred, still compressed
  eaves show 42 --raw                     both messages, heads and bodies
  eaves show 42 --json | jq .timings`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := oneID(cmd, args[0])
			if err != nil {
				return err
			}
			side := capture.Side(body)
			if body != "" && side != capture.SideRequest && side != capture.SideResponse {
				return failure.Wrong("show", fmt.Errorf("--body %q: expected request or response", body), "")
			}
			if asJSON && (body != "" || raw) {
				return failure.Wrong("show", errors.New("--json excludes --body and --raw"), "")
			}
			return p.withAPI(cmd, func(api *client.Client) error {
				ctx := cmd.Context()
				x, err := api.Exchange(ctx, id)
				if err != nil {
					return err
				}
				switch {
				case asJSON:
					return json.NewEncoder(p.out).Encode(x)
				case body != "":
					return copyBody(ctx, api, p.out, id, side, !raw)
				case raw:
					return writeRaw(ctx, api, p.out, x)
				}
				return p.describe(ctx, api, x)
			})
		},
	}
	c.Flags().StringVar(&body, "body", "", "write just the decoded body of the `SIDE`: request or response")
	c.Flags().BoolVar(&raw, "raw", false, "write the bytes as seen on the wire")
	c.Flags().BoolVar(&asJSON, "json", false, "print the exchange as JSON")
	return c
}

// copyBody writes one body.
func copyBody(ctx context.Context, api *client.Client, w io.Writer, id int64, side capture.Side, decoded bool) error {
	b, err := api.Body(ctx, id, side, decoded)
	if err != nil {
		return err
	}
	defer b.Close()
	_, err = io.Copy(w, b)
	return err
}

// writeRaw writes both messages as HTTP/1 writes them: heads in the order and case of the wire, bodies as transferred.
func writeRaw(ctx context.Context, api *client.Client, w io.Writer, x *capture.Exchange) error {
	if _, err := io.WriteString(w, x.RequestLine()+"\r\n"+fields(x.Request.Header, "\r\n")+"\r\n"); err != nil {
		return err
	}
	if err := copyBody(ctx, api, w, x.ID, capture.SideRequest, false); err != nil {
		return err
	}
	if x.Response == nil || x.Response.Status == 0 {
		return nil
	}
	for _, i := range x.Response.Informational {
		if _, err := fmt.Fprintf(w, "%s %d %s\r\n%s\r\n", x.Response.HTTPVersion, i.Status, i.StatusText, fields(i.Header, "\r\n")); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(w, x.Response.StatusLine()+"\r\n"+fields(x.Response.Header, "\r\n")+"\r\n"); err != nil {
		return err
	}
	return copyBody(ctx, api, w, x.ID, capture.SideResponse, false)
}

// fields are header lines, each with its line end.
func fields(h capture.Header, end string) string {
	var b strings.Builder
	for _, f := range h {
		b.WriteString(f.Name + ": " + f.Value + end)
	}
	return b.String()
}

// shownBody is how much of a body is shown with its exchange.
const shownBody = 64 << 10

// describe prints an exchange for a person.
func (p *program) describe(ctx context.Context, api *client.Client, x *capture.Exchange) error {
	say := func(format string, args ...any) { fmt.Fprintln(p.out, harmless(fmt.Sprintf(format, args...))) }
	say("exchange %d: %s %s", x.ID, x.Kind, x.State)
	say("started %s, took %s, from %s by %s", x.Started.Local().Format("2006-01-02 15:04:05.000 MST"), orDash(milliseconds(x.Time)), orDash(x.Client.Address), x.Source)
	if x.ReplayOf > 0 {
		say("replay of %d", x.ReplayOf)
	}
	if x.Error != nil {
		say("failed: %s", x.Error)
		if x.Error.Hint != "" {
			say("hint: %s", x.Error.Hint)
		}
	}
	if x.Mark != "" || x.Comment != "" {
		say("note: %s", strings.TrimSpace(x.Mark+" "+x.Comment))
	}
	say("")
	say("%s", x.RequestLine())
	p.printFields(x.Request.Header)
	if err := p.printBody(ctx, api, x, capture.SideRequest); err != nil {
		return err
	}
	p.printFields(x.Request.Trailer)
	if r := x.Response; r != nil && r.Status > 0 {
		say("")
		for _, i := range r.Informational {
			say("%s %d %s", r.HTTPVersion, i.Status, i.StatusText)
			p.printFields(i.Header)
			say("")
		}
		say("%s", r.StatusLine())
		p.printFields(r.Header)
		if err := p.printBody(ctx, api, x, capture.SideResponse); err != nil {
			return err
		}
		p.printFields(r.Trailer)
	}
	if x.Messages > 0 {
		say("")
		if err := p.printMessages(ctx, api, x); err != nil {
			return err
		}
	}
	say("")
	p.printReceipts(x)
	return nil
}

// shownMessages is how many messages of a conversation are shown with it.
const shownMessages = 100

// printMessages prints the first messages of a conversation.
func (p *program) printMessages(ctx context.Context, api *client.Client, x *capture.Exchange) error {
	list, err := api.Messages(ctx, x.ID, shownMessages)
	if err != nil {
		return err
	}
	for _, m := range list {
		arrow := "→"
		if m.Direction == "received" {
			arrow = "←"
		}
		text := fmt.Sprintf("(%d bytes that are not text)", m.Size)
		if isText("", m.Data) {
			text = strings.ReplaceAll(string(m.Data), "\n", "⏎")
		}
		fmt.Fprintln(p.out, harmless(fmt.Sprintf("%s %s %s %s", arrow, m.Time.Local().Format("15:04:05.000"), m.Kind, text)))
	}
	if more := x.Messages - int64(len(list)); more > 0 {
		fmt.Fprintf(p.out, "… and %d more\n", more)
	}
	return nil
}

func (p *program) printFields(h capture.Header) {
	for _, f := range h {
		fmt.Fprintln(p.out, harmless(f.Name+": "+f.Value))
	}
}

// printBody prints a body that is text, and says what else there is.
func (p *program) printBody(ctx context.Context, api *client.Client, x *capture.Exchange, side capture.Side) error {
	size, header, truncated := x.Request.BodySize, x.Request.Header, x.Request.Truncated
	if side == capture.SideResponse {
		size, header, truncated = x.Response.BodySize, x.Response.Header, x.Response.Truncated
	}
	if size == 0 {
		return nil
	}
	b, err := api.Body(ctx, x.ID, side, true)
	if err != nil {
		return err
	}
	defer b.Close()
	head, err := io.ReadAll(io.LimitReader(b, shownBody+1))
	if err != nil {
		return err
	}
	if len(head) == 0 {
		return nil
	}
	cutShort := len(head) > shownBody
	head = head[:min(len(head), shownBody)]
	fmt.Fprintln(p.out)
	if isText(header.Get("Content-Type"), head) {
		fmt.Fprintln(p.out, harmlessText(strings.ToValidUTF8(strings.TrimSuffix(string(head), "\n"), "\uFFFD")))
		if cutShort {
			fmt.Fprintf(p.out, "… (%d bytes in all; eaves show %d --body %s writes them)\n", size, x.ID, side)
		}
	} else {
		fmt.Fprintf(p.out, "(%d bytes that are not text; eaves show %d --body %s writes them)\n", size, x.ID, side)
	}
	if truncated {
		fmt.Fprintln(p.out, "(only a part of this body is kept)")
	}
	return nil
}

// isText says whether a body can be shown as text.
func isText(contentType string, head []byte) bool {
	if media, _, err := mime.ParseMediaType(contentType); err == nil {
		if kind, _, _ := strings.Cut(media, "/"); kind == "image" && !strings.HasSuffix(media, "+xml") || kind == "video" || kind == "audio" || kind == "font" {
			return false
		}
	}
	for range utf8.UTFMax { // the cut may have gone through a character
		if utf8.Valid(head) || len(head) == 0 {
			break
		}
		head = head[:len(head)-1]
	}
	return utf8.Valid(head) && !strings.ContainsRune(string(head), 0)
}

// printReceipts prints timings, route and TLS.
func (p *program) printReceipts(x *capture.Exchange) {
	say := func(format string, args ...any) { fmt.Fprintln(p.out, harmless(fmt.Sprintf(format, args...))) }
	var phases []string
	connect := x.Timings.Connect
	if x.Timings.SSL >= 0 && connect >= 0 {
		connect = max(0, connect-x.Timings.SSL) // HAR counts TLS into it
	}
	for _, t := range []struct {
		name string
		ms   float64
	}{{"blocked", x.Timings.Blocked}, {"dns", x.Timings.DNS}, {"connect", connect}, {"ssl", x.Timings.SSL},
		{"send", x.Timings.Send}, {"wait", x.Timings.Wait}, {"receive", x.Timings.Receive}} {
		if t.ms >= 0 {
			phases = append(phases, t.name+" "+milliseconds(t.ms))
		}
	}
	if len(phases) > 0 {
		say("timings: %s", strings.Join(phases, ", "))
	}
	if x.AnsweredBy != "" {
		say("answered by: %s", x.AnsweredBy)
	}
	if r := x.Route; r != nil {
		var hops []string
		for _, h := range r.Hops {
			hops = append(hops, h.Kind+" "+h.Address)
		}
		say("route: %s (%s)", strings.Join(hops, " → "), r.Decided())
		for i := range len(r.Hops) - 1 {
			say("  %s", throughHop(&r.Hops[i]))
		}
	}
	if x.ServerIPAddress != "" {
		reused := ""
		if x.Reused {
			reused = ", reused"
		}
		say("connection: %s (%s%s)", orDash(x.Connection), x.ServerIPAddress, reused)
	}
	if t := x.TLS; t != nil && (t.Version != "" || len(t.PeerCertificates) > 0 || t.VerifyError != "") { // else it never began
		verified := "verified"
		if !t.Verified {
			verified = "not verified"
			if t.VerifyError != "" {
				verified += ": " + t.VerifyError
			}
		}
		say("tls: %s %s alpn %s name %s, %s", orDash(t.Version), orDash(t.CipherSuite), orDash(t.ALPN), orDash(t.ServerName), verified)
		for _, c := range t.PeerCertificates {
			say("  certificate %s, issued by %s, until %s", c.Subject, c.Issuer, c.NotAfter.Format("2006-01-02"))
		}
		if c := t.ClientCertificate; c != nil && c.Requested {
			say("  client certificate asked for: %s", strings.TrimSuffix(c.Verdict+": "+c.Explanation, ": "))
		}
	}
	if t := x.ClientTLS; t != nil {
		say("client tls: %s %s alpn %s name %s", t.Version, t.CipherSuite, orDash(t.ALPN), orDash(t.ServerName))
	}
}

// throughHop says what became of the way at a parent proxy.
func throughHop(h *capture.Hop) string {
	what := []string{}
	add := func(format string, a ...any) { what = append(what, fmt.Sprintf(format, a...)) }
	if h.TLS != nil && h.TLS.Version != "" {
		add("%s", h.TLS.Version)
	}
	if h.Status != 0 {
		add("%s", strings.TrimSpace(fmt.Sprintf("%d %s", h.Status, h.StatusText)))
	}
	if h.Authentication != "" {
		add("authentication %s", h.Authentication)
	}
	switch {
	case h.Reused:
		add("connected before")
	case h.Time > 0:
		add("%s", milliseconds(h.Time))
	}
	if h.Error != "" {
		add("%s", h.Error)
	}
	return h.Kind + " " + h.Address + ": " + strings.Join(what, ", ")
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
