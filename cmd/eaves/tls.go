package main

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"eaves/cmd/eaves/internal/client"
	"eaves/cmd/eaves/internal/failure"
	"eaves/webui"
)

// tlsPolicies is the list of TLS policies.
var tlsPolicies = list{path: "/tls-policies", field: "tlsPolicies", noun: "TLS policy", listing: "eaves tls list"}

func (p *program) tlsCommand() *cobra.Command {
	return group("tls", "how TLS is spoken with hosts: versions, ciphers, verification", `  eaves tls set '*.old.test' --min 1.0 --max 1.2
  eaves tls set self.test --verify off
  eaves tls list
  eaves tls remove '*.old.test'`,
		p.tlsSetCommand(), listCommand(p, tlsPolicies, "the TLS policies", p.printPolicy), p.tlsRemoveCommand())
}

func (p *program) tlsSetCommand() *cobra.Command {
	var policy webui.TLSPolicy
	var verify string
	c := &cobra.Command{
		Use:   "set PATTERN [--min VERSION] [--max VERSION] [--ciphers LIST] [--alpn LIST] [--verify on|off] …",
		Short: "set the TLS policy for the hosts of a pattern",
		Example: `  eaves tls set '*.old.test' --min 1.0 --max 1.2 --ciphers AES128-SHA,DES-CBC3-SHA
  eaves tls set self.test:8443 --verify off
  eaves tls set iis.test --renegotiation freely --alpn http/1.1
  eaves tls set 10.0.0.7 --server-name api.bank.test`,
		Long: `set says how TLS is spoken with the hosts of a pattern, in the place of what was said of the same pattern before. What is left
out is eaves' own choice. Where several patterns match, the most specific one holds as a whole. It prints the policy's id.

Ciphers are those of TLS 1.2 and below, by their IANA or OpenSSL names, insecure ones included. Go chooses their order, and
those of TLS 1.3, itself. DHE and CCM suites, client certificates asked for after the handshake of TLS 1.3, and a range of
versions with a hole cannot be done.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			body := map[string]any{"host": args[0], "min": policy.Min, "max": policy.Max, "ciphers": policy.Ciphers, "alpn": policy.ALPN,
				"serverName": policy.ServerName, "renegotiation": policy.Renegotiation}
			on, err := onOff("--verify", verify)
			if err != nil {
				return failure.Within("tls set", err)
			}
			body["verify"] = on
			return p.withAPI(cmd, func(api *client.Client) error {
				var set webui.TLSPolicy
				err := api.Do(cmd.Context(), http.MethodPost, tlsPolicies.path, nil, body, &set)
				if err == nil {
					fmt.Fprintln(p.out, set.ID)
				}
				return err
			})
		},
	}
	f := c.Flags()
	f.StringVar(&policy.Min, "min", "", "lowest `VERSION`: 1.0, 1.1, 1.2, 1.3")
	f.StringVar(&policy.Max, "max", "", "highest `VERSION`: 1.0, 1.1, 1.2, 1.3")
	f.StringSliceVar(&policy.Ciphers, "ciphers", []string{}, "`LIST` of cipher suites, separated by commas")
	f.StringSliceVar(&policy.ALPN, "alpn", []string{}, "`LIST` of protocols to offer: h2,http/1.1")
	f.StringVar(&verify, "verify", "", "`on|off`: verify these servers or not, whatever --insecure says")
	f.StringVar(&policy.ServerName, "server-name", "", "`NAME` to ask for and verify in the host's place")
	f.StringVar(&policy.Renegotiation, "renegotiation", "", "`never|once|freely`: let servers renegotiate, as IIS does for a client certificate")
	return c
}

// onOff reads a switch; "" is nil.
func onOff(flag, value string) (*bool, error) {
	on := value == "on"
	switch value {
	case "":
		return nil, nil
	case "on", "off":
		return &on, nil
	}
	return nil, failure.Wrong(flag, fmt.Errorf("%q: expected on or off", value), "")
}

func (p *program) printPolicy(t webui.TLSPolicy) {
	var words []string
	add := func(name, value string) {
		if value != "" {
			words = append(words, name+" "+value)
		}
	}
	add("min", t.Min)
	add("max", t.Max)
	add("ciphers", strings.Join(t.Ciphers, ","))
	add("alpn", strings.Join(t.ALPN, ","))
	if t.Verify != nil {
		add("verify", map[bool]string{true: "on", false: "off"}[*t.Verify])
	}
	add("server-name", t.ServerName)
	add("renegotiation", t.Renegotiation)
	if !t.Enabled {
		words = append(words, "(off)")
	}
	fmt.Fprintln(p.out, harmless(fmt.Sprintf("%-4d %-28s %s", t.ID, t.Host, strings.Join(words, "  "))))
}

func (p *program) tlsRemoveCommand() *cobra.Command {
	c := p.removeCommand(tlsPolicies, "remove TLS policies")
	c.Use, c.Example = "remove ID|PATTERN…", "  eaves tls remove 2\n  eaves tls remove '*.old.test'"
	c.RunE = func(cmd *cobra.Command, args []string) error {
		return p.withAPI(cmd, func(api *client.Client) error {
			items, err := itemsOf[webui.TLSPolicy](cmd, api, tlsPolicies)
			if err != nil {
				return err
			}
			for _, arg := range args {
				id := int64(0)
				for _, t := range items {
					if t.Host == arg || number(t.ID) == arg {
						id = t.ID
					}
				}
				if id == 0 {
					return failure.New("", fmt.Errorf("there is no TLS policy %s", arg), tlsPolicies.listing)
				}
				if err := onItem(cmd, api, tlsPolicies, http.MethodDelete, id, nil, nil); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return c
}
