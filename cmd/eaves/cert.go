package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"eaves/capture"
	"eaves/cmd/eaves/internal/client"
	"eaves/cmd/eaves/internal/failure"
	"eaves/webui"
)

// clientCertificates is the list of client certificates.
var clientCertificates = list{path: "/client-certificates", field: "clientCertificates", noun: "client certificate", listing: "eaves cert list"}

func (p *program) certCommand() *cobra.Command {
	return group("cert", "client certificates per host", `  eaves cert add '*.bank.test' --cert alice.pem --key alice.key
  eaves cert add api.bank.test:8443 --pfx alice.p12
  eaves cert list
  eaves cert inventory
  eaves cert show 1
  eaves cert disable 1
  eaves cert remove 1`,
		p.certAddCommand(),
		listCommand(p, clientCertificates, "the client certificates, their expiry and what is wrong with them", p.printCertificate), p.certInventoryCommand(),
		p.certShowCommand(), p.certSwitchCommand("enable", true), p.certSwitchCommand("disable", false),
		p.removeCommand(clientCertificates, "remove client certificates; the files stay where they are"))
}

// certSource are the flags that say where a client certificate comes from.
type certSource struct {
	cert, key, pfx, token      string
	passphrase, passphraseFile string
	server, name               string // server is origin or proxy
	disabled                   bool
}

func (p *program) certAddCommand() *cobra.Command {
	s := &certSource{}
	c := &cobra.Command{
		Use:   "add HOST[:PORT] (--cert FILE [--key FILE] | --pfx FILE | --token URI)",
		Short: "show a client certificate to the hosts of a pattern",
		Example: `  eaves cert add '*.bank.test' --cert alice.pem --key alice.key
  eaves cert add api.bank.test:8443 --pfx alice.p12 --passphrase-file alice.pass
  eaves cert add 'api.bank.test:*' --cert alice.pem              key and chain in the same file
  eaves cert add '*.corp.test' --pfx alice.p12 --passphrase env:ALICE
  eaves cert add '*.bank.test' --token 'pkcs11:token=work;object=alice' --passphrase vault:pin
  eaves cert add proxy.corp.test:3129 --for proxy --pfx alice.p12`,
		Long: `add adds a client certificate, which is shown to a server that asks for one if it matches the pattern: a host, *.example.com,
an address, a block of addresses. Without a port that is port 443 only; ":*" means any. The most specific pattern wins, then
what the server says it accepts, then the last one added. It prints the new certificate's id.

Files are read where they lie, and again when they change. A passphrase comes from --passphrase-file, --passphrase (a
reference: env:NAME, file:PATH, cmd:COMMAND, vault:NAME, which eaves resolves when it reads the key), the variable
EAVES_PASSPHRASE, or a prompt; the last two are sealed in the vault. What cannot work is refused; what a server might refuse
(expired, not yet valid, wrong usage, incomplete chain) is added with a warning.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := s.body(args[0])
			if err != nil {
				return failure.Within("cert add", err)
			}
			return p.withAPI(cmd, func(api *client.Client) error {
				var added webui.ClientCertificate
				if err := p.addCertificate(cmd, api, body, &added); err != nil {
					return err
				}
				fmt.Fprintln(p.out, added.ID)
				p.warn(added.Warnings)
				return nil
			})
		},
	}
	f := c.Flags()
	f.StringVar(&s.cert, "cert", "", "certificate `FILE`, PEM or DER, chain included")
	f.StringVar(&s.key, "key", "", "key `FILE`; none: it stands in the certificate's")
	f.StringVar(&s.pfx, "pfx", "", "PKCS#12 `FILE`: certificate, key and chain")
	f.StringVar(&s.token, "token", "", "PKCS#11 `URI` (RFC 7512) of a key on a token")
	f.StringVar(&s.passphraseFile, "passphrase-file", "", "`FILE` that holds the passphrase, and nothing else but a line break at its end")
	f.StringVar(&s.passphrase, "passphrase", "", "`REF` to the passphrase: env:NAME, file:PATH, cmd:COMMAND, vault:NAME")
	f.StringVar(&s.name, "name", "", "what you call it")
	f.StringVar(&s.server, "for", "origin", "`origin|proxy`: show it to origins, or to parent proxies")
	f.BoolVar(&s.disabled, "disabled", false, "add it, but do not show it yet")
	return c
}

// body is what the API is told.
func (s *certSource) body(host string) (map[string]any, error) {
	body := map[string]any{"host": host, "enabled": !s.disabled, "for": s.server, "name": s.name, "token": s.token}
	sources := 0
	for _, given := range []string{s.cert, s.pfx, s.token} {
		if given != "" {
			sources++
		}
	}
	if sources != 1 {
		return nil, failure.Wrong("", errors.New("name one of --cert FILE, --pfx FILE and --token URI"), "eaves cert add --help")
	}
	for field, file := range map[string]string{"certificateFile": s.cert, "keyFile": s.key, "pfxFile": s.pfx} {
		path, err := whole(file)
		if err != nil {
			return nil, err
		}
		body[field] = path
	}
	switch {
	case s.passphraseFile != "" && s.passphrase != "":
		return nil, failure.Wrong("", errors.New("--passphrase-file and --passphrase exclude one another"), "")
	case s.passphrase != "":
		body["passphrase"] = s.passphrase
		if file, ok := strings.CutPrefix(s.passphrase, "file:"); ok && !strings.HasPrefix(file, "~/") {
			path, err := whole(file)
			if err != nil {
				return nil, err
			}
			body["passphrase"] = "file:" + path
		}
	case s.passphraseFile != "":
		path, err := whole(s.passphraseFile)
		if err != nil {
			return nil, err
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, failure.Wrong("--passphrase-file", err, "")
		}
		if info.Mode().IsRegular() {
			body["passphrase"] = "file:" + path
			break
		}
		// A pipe can be read once: what comes out of it is sealed.
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, failure.Wrong("--passphrase-file", err, "")
		}
		body["secret"] = string(oneLineBreakLess(b))
	}
	return body, nil
}

// addCertificate adds a client certificate, and asks for the passphrase where the key turns out to need one.
func (p *program) addCertificate(cmd *cobra.Command, api *client.Client, body map[string]any, added *webui.ClientCertificate) error {
	const most = 3
	given := body["passphrase"] != nil || body["secret"] != nil
	env := os.Getenv("EAVES_PASSPHRASE")
	for try := 1; ; try++ {
		err := api.Do(cmd.Context(), http.MethodPost, clientCertificates.path, nil, body, added)
		problem := (*client.Problem)(nil)
		if !errors.As(err, &problem) || given || problem.Parameter != "passphrase" && problem.Parameter != "secret" {
			return err
		}
		switch {
		case env != "" && try == 1:
			body["secret"] = env
		case env != "" || try > most:
			return err
		case p.asking():
			if try > 1 {
				p.say(problem.Detail)
				if problem.Hint != "" { // a card may have but one try left
					fmt.Fprintln(p.err, "hint: "+harmless(problem.Hint))
				}
			}
			secret, err := p.ask("passphrase: ")
			if err != nil {
				return err
			}
			body["secret"] = string(secret)
		default:
			return failure.Wrong("", err, "give it with --passphrase-file FILE, --passphrase REF or EAVES_PASSPHRASE")
		}
	}
}

// printCertificate prints one of a list.
func (p *program) printCertificate(c webui.ClientCertificate) {
	subject, expiry := "", ""
	if c.Certificate != nil {
		subject, expiry = c.Certificate.Subject, countdown(c.Certificate.NotAfter, time.Now())
		if time.Now().Before(c.Certificate.NotBefore) {
			expiry = "not valid before " + c.Certificate.NotBefore.Format(time.DateOnly)
		}
	}
	var marks []string
	if !c.Enabled {
		marks = append(marks, "(off)")
	}
	if c.For == "proxy" {
		marks = append(marks, "(for parent proxies)")
	}
	if c.Name != "" {
		marks = append(marks, c.Name)
	}
	fmt.Fprintln(p.out, harmless(strings.TrimRight(fmt.Sprintf("%-4d %-28s %-32s %-22s %s", c.ID, c.Host, subject, expiry, strings.Join(marks, "  ")), " ")))
	for _, w := range c.Warnings {
		fmt.Fprintf(p.out, "     warning: %s\n", harmless(w.Message))
	}
	if c.Problem != "" {
		fmt.Fprintf(p.out, "     cannot be used: %s\n", harmless(c.Problem))
	}
}

// countdown says when something ends.
func countdown(end, now time.Time) string {
	days := int(end.Sub(now).Hours() / 24)
	switch {
	case now.After(end) && days == 0:
		return "expired today"
	case now.After(end):
		if days == -1 {
			return "expired 1 day ago"
		}
		return fmt.Sprintf("expired %d days ago", -days)
	case days == 0:
		return "expires today"
	case days == 1:
		return "expires in 1 day"
	}
	return fmt.Sprintf("expires in %d days", days)
}

func (p *program) certShowCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "show ID",
		Short:   "one client certificate: where it comes from, its chain, its last use",
		Example: "  eaves cert show 1\n  eaves cert show 1 --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := itemIDs(cmd, clientCertificates, args)
			if err != nil {
				return err
			}
			return p.withAPI(cmd, func(api *client.Client) error {
				items, err := itemsOf[webui.ClientCertificate](cmd, api, clientCertificates)
				if err != nil {
					return err
				}
				for _, c := range items {
					switch {
					case c.ID != all[0]:
					case asJSON:
						return json.NewEncoder(p.out).Encode(c)
					default:
						p.showCertificate(&c)
						return nil
					}
				}
				return failure.New("", fmt.Errorf("there is no client certificate %d", all[0]), clientCertificates.listing)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	return c
}

func (p *program) showCertificate(c *webui.ClientCertificate) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(p.out, "%-12s %s\n", name, harmless(value))
		}
	}
	state := "enabled"
	if !c.Enabled {
		state = "disabled"
	}
	line("id", number(c.ID))
	line("state", state)
	line("name", c.Name)
	line("host", c.Host)
	line("for", c.For)
	line("certificate", c.CertificateFile)
	line("key file", c.KeyFile)
	line("pfx", c.PFXFile)
	line("token", c.Token)
	line("passphrase", c.Passphrase)
	line("key", c.Key)
	for i, x := range c.Chain {
		name := "chain"
		if i == 0 {
			name = "subject"
		}
		line(name, x.Subject)
		if i == 0 {
			line("issuer", x.Issuer)
			line("serial", x.Serial)
			line("valid", fmt.Sprintf("%s to %s, %s", x.NotBefore.Format("2006-01-02"), x.NotAfter.Format("2006-01-02"), countdown(x.NotAfter, time.Now())))
			line("sha256", x.SHA256)
		}
	}
	use := func(name string, u *capture.CertificateUse) {
		if u != nil {
			alert := ""
			if u.Alert != "" {
				alert = " with the alert " + u.Alert
			}
			line(name, fmt.Sprintf("%s by %s in exchange %d%s", u.Time.Local().Format("2006-01-02 15:04:05"), u.Host, u.Exchange, alert))
		}
	}
	use("accepted", c.LastAccepted)
	use("rejected", c.LastRejected)
	for _, w := range c.Warnings {
		line("warning", w.Message)
	}
	line("problem", c.Problem)
	line("hint", c.Hint)
}

// certSwitchCommand is enable or disable.
func (p *program) certSwitchCommand(name string, on bool) *cobra.Command {
	short := "show client certificates again"
	if !on {
		short = "do not show client certificates, but keep them"
	}
	return &cobra.Command{
		Use:     name + " ID…",
		Short:   short,
		Example: "  eaves cert " + name + " 1",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := itemIDs(cmd, clientCertificates, args)
			if err != nil {
				return err
			}
			return p.withAPI(cmd, func(api *client.Client) error {
				for _, id := range all {
					if err := onItem(cmd, api, clientCertificates, http.MethodPut, id, map[string]any{"enabled": on}, nil); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}
