package main

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"eaves/cmd/eaves/internal/client"
	"eaves/cmd/eaves/internal/failure"
	"eaves/webui"
)

// proxyRoutes is the list of routes.
var proxyRoutes = list{path: "/routes", field: "routes", noun: "route", listing: "eaves route list"}

func (p *program) routeCommand() *cobra.Command {
	return group("route", "ways through parent proxies, by host", `  eaves route add '*.corp.test' --via http://proxy.corp.test:3128
  eaves route add '*.lab.test' --via socks5://jump.test --via http://inner.test:8080
  eaves route add '*.bank.test' --via direct --first
  eaves route default --via pac+http://wpad.corp.test/proxy.pac --bypass '*.lan,<local>'
  eaves route test https://api.corp.test/ --via http://proxy.corp.test:3128
  eaves route list
  eaves route remove 2`,
		p.routeAddCommand(), p.routeListCommand(), p.routeSwitchCommand("enable", true), p.routeSwitchCommand("disable", false), p.routeMoveCommand(),
		p.routeDefaultCommand(), p.routeTestCommand(), p.removeCommand(proxyRoutes, "remove routes"))
}

// ways makes paths of PAC files mean the same wherever eaves runs.
func ways(list []string) ([]string, error) {
	all := make([]string, len(list))
	for i, way := range list {
		all[i] = way
		path, ok := strings.CutPrefix(way, "pac+")
		if !ok || strings.Contains(path, ":") || path == "" {
			continue
		}
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		all[i] = "pac+" + abs
	}
	return all, nil
}

// proxyCredentials are what proxies may be shown, as flags name it.
type proxyCredentials struct {
	user, password, keytab, ccache, service string
	schemes                                 []string
}

func (s *proxyCredentials) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&s.user, "user", "", `the `+"`USER`"+` that proxies are told, such as alice or CORP\alice`)
	f.StringVar(&s.password, "password", "", "a `REFERENCE` to the password: env:NAME, file:PATH, cmd:COMMAND, vault:NAME")
	f.StringSliceVar(&s.schemes, "scheme", nil, "authenticate with basic, digest, ntlm or negotiate only (repeatable)")
	f.StringVar(&s.keytab, "keytab", "", "a `FILE` of Kerberos keys for the user")
	f.StringVar(&s.ccache, "ccache", "", "a `FILE` of Kerberos tickets (default: KRB5CCNAME)")
	f.StringVar(&s.service, "service-name", "", "the proxy's Kerberos `PRINCIPAL` (default: HTTP/ and its host)")
}

// into writes them into what the API is sent; paths mean the same wherever eaves runs.
func (s *proxyCredentials) into(in map[string]any) (err error) {
	in["user"], in["password"], in["serviceName"] = s.user, s.password, s.service
	if len(s.schemes) > 0 {
		in["schemes"] = s.schemes
	}
	for name, path := range map[string]string{"keytab": s.keytab, "ccache": s.ccache} {
		if path == "" {
			continue
		}
		if in[name], err = filepath.Abs(strings.TrimPrefix(path, "FILE:")); err != nil {
			return err
		}
	}
	return nil
}

func (p *program) routeAddCommand() *cobra.Command {
	var via []string
	var shown proxyCredentials
	var first bool
	c := &cobra.Command{
		Use:   "add PATTERN --via WAY…",
		Short: "route the hosts of a pattern, behind the other routes",
		Example: `  eaves route add '*.corp.test' --via http://proxy.corp.test:3128
  eaves route add '*.corp.test' --via http://proxy.corp.test:3128 --user 'CORP\alice' --password env:PROXY_PASSWORD
  eaves route add '*.lab.test' --via socks5://jump.test --via http://inner.test:8080    one behind the other
  eaves route add '*.bank.test' --via direct --first`,
		Long: `add says by which way the hosts of PATTERN are reached: direct, system, pac+URL, or proxies (http, https, socks5,
socks4a), which make a chain where there are several. The first route that matches decides; bypass lists do not
apply to routes. It prints the new route's id.

The password is a reference: env:NAME, file:PATH, cmd:COMMAND or vault:NAME (see eaves secret). User and password are for those
proxies whose URL names no user, also those that a PAC file or the system names.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(via) == 0 {
				return failure.Wrong("route add", errors.New("say by which way with --via"), "eaves route add --help")
			}
			list, err := ways(via)
			if err != nil {
				return failure.New("route add", err, "")
			}
			in := map[string]any{"host": args[0], "via": list}
			if err := shown.into(in); err != nil {
				return failure.New("route add", err, "")
			}
			if first {
				in["position"] = 0
			}
			return p.withAPI(cmd, func(api *client.Client) error {
				var added webui.ProxyRoute
				if err := api.Do(cmd.Context(), http.MethodPost, proxyRoutes.path, nil, in, &added); err != nil {
					return err
				}
				fmt.Fprintln(p.out, added.ID)
				p.warn(added.Warnings)
				return nil
			})
		},
	}
	f := c.Flags()
	f.StringArrayVar(&via, "via", nil, "direct, system, pac+URL, or `PROXY`, repeated to make a chain")
	shown.flags(c)
	f.BoolVar(&first, "first", false, "put it in front of the other routes")
	return c
}

func (p *program) routeListCommand() *cobra.Command {
	c := listCommand(p, proxyRoutes, "the routes in their order, and what holds where none matches", func(r webui.ProxyRoute) {
		line := fmt.Sprintf("%-4d %-28s %s", r.ID, r.Host, strings.Join(r.Via, " → "))
		if r.User != "" {
			line += "  user " + r.User
		}
		if r.Password != "" {
			line += "  password " + r.Password
		}
		if len(r.Schemes) > 0 {
			line += "  " + strings.Join(r.Schemes, ",")
		}
		if !r.Enabled {
			line += "  (off)"
		}
		fmt.Fprintln(p.out, harmless(line))
		for _, w := range r.Warnings {
			fmt.Fprintf(p.out, "     warning: %s\n", harmless(w.Message))
		}
	})
	items := c.RunE
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if err := items(cmd, args); err != nil {
			return err
		}
		if asJSON, err := cmd.Flags().GetBool("json"); err != nil || asJSON {
			return err
		}
		return p.withAPI(cmd, func(api *client.Client) error {
			var answer struct {
				Default webui.DefaultRoute `json:"default"`
			}
			if err := api.Do(cmd.Context(), http.MethodGet, proxyRoutes.path, nil, nil, &answer); err != nil {
				return err
			}
			p.printDefault(answer.Default)
			return nil
		})
	}
	return c
}

// printDefault prints what holds where no route matches.
func (p *program) printDefault(d webui.DefaultRoute) {
	line := fmt.Sprintf("%-4s %-28s %s", "else", "*", strings.Join(d.UpstreamProxy, " → "))
	if d.Bypass != "" {
		line += "  but not for " + d.Bypass
	}
	if d.Locked {
		line += "  (" + d.Source + ")"
	}
	fmt.Fprintln(p.out, harmless(line))
}

func (p *program) routeSwitchCommand(name string, on bool) *cobra.Command {
	short := map[bool]string{true: "let routes hold again", false: "keep routes, but do not use them"}[on]
	return &cobra.Command{
		Use:     name + " ID…",
		Short:   short,
		Example: "  eaves route " + name + " 2",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := itemIDs(cmd, proxyRoutes, args)
			if err != nil {
				return err
			}
			return p.withAPI(cmd, func(api *client.Client) error {
				for _, id := range all {
					if err := onItem(cmd, api, proxyRoutes, http.MethodPut, id, map[string]any{"enabled": on}, nil); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

func (p *program) routeMoveCommand() *cobra.Command {
	var to int
	c := &cobra.Command{
		Use:     "move ID --to N",
		Short:   "put a route at another place among the others",
		Example: "  eaves route move 3 --to 1        in front of all others",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := itemIDs(cmd, proxyRoutes, args)
			if err != nil {
				return err
			}
			if to < 1 {
				return failure.Wrong("route move", errors.New("say where to with --to, from 1"), "eaves route list")
			}
			return p.withAPI(cmd, func(api *client.Client) error {
				return onItem(cmd, api, proxyRoutes, http.MethodPut, all[0], map[string]any{"position": to - 1}, nil)
			})
		},
	}
	c.Flags().IntVar(&to, "to", 0, "the `PLACE` from 1, which is asked first")
	return c
}

func (p *program) routeDefaultCommand() *cobra.Command {
	var via []string
	var bypass string
	c := &cobra.Command{
		Use:   "default [--via WAY…] [--bypass LIST]",
		Short: "the way where no route matches",
		Example: `  eaves route default
  eaves route default --via http://proxy.corp.test:3128 --bypass '*.lan,10.0.0.0/8,<local>'
  eaves route default --via system --bypass ''`,
		Long: `default shows or changes the way that is taken where no route matches, and the hosts that are reached directly all the
same: names, *.example.com or .example.com (what lies below), addresses, 10.0.0.0/8, each with a port or without, <local> for
names without a dot and loopback, with commas or semicolons between them. Of the variables of the environment that name
proxies, NO_PROXY and loopback are heeded too; <-loopback> in the list takes the latter back.

--upstream-proxy and --bypass of eaves run, their variables and their keys in the file come before it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			in := map[string]any{}
			if cmd.Flags().Changed("via") {
				list, err := ways(via)
				if err != nil {
					return failure.New("route default", err, "")
				}
				in["upstreamProxy"] = list
			}
			if cmd.Flags().Changed("bypass") {
				in["bypass"] = bypass
			}
			return p.withAPI(cmd, func(api *client.Client) error {
				if len(in) > 0 {
					return api.Do(cmd.Context(), http.MethodPut, proxyRoutes.path+"/default", nil, in, nil)
				}
				var answer struct {
					Default webui.DefaultRoute `json:"default"`
				}
				if err := api.Do(cmd.Context(), http.MethodGet, proxyRoutes.path, nil, nil, &answer); err != nil {
					return err
				}
				p.printDefault(answer.Default)
				return nil
			})
		},
	}
	c.Flags().StringArrayVar(&via, "via", nil, "direct, system, pac+URL, or `PROXY`, repeated to make a chain")
	c.Flags().StringVar(&bypass, "bypass", "", "a `LIST` of hosts to reach without it")
	return c
}

func (p *program) routeTestCommand() *cobra.Command {
	var asJSON bool
	var via []string
	var bypass string
	var shown proxyCredentials
	c := &cobra.Command{
		Use:   "test URL --via ROUTE…",
		Short: "connect to a URL by a route before it is kept",
		Example: `  eaves route test https://api.corp.test/ --via http://proxy.corp.test:3128
  eaves route test https://api.corp.test/ --via http://proxy.corp.test:3128 --user 'CORP\alice' --password env:PROXY_PASSWORD
  eaves route test https://api.lab.test/ --via socks5://jump.test --via http://inner.test:8080
  eaves route test https://api.corp.test/ --via pac+proxy.pac --bypass '*.lan'`,
		Long: `test does what eaves doctor does, by a route that need not be configured: it connects hop by hop and prints each stage.
Nothing is kept or recorded. The exit status is 1 unless the origin answered.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(via) == 0 {
				return failure.Wrong("route test", errors.New("which route? Give --via"), "eaves route test --help")
			}
			list, err := ways(via)
			if err != nil {
				return failure.New("route test", err, "")
			}
			in := map[string]any{"url": args[0], "via": list, "bypass": bypass}
			if err := shown.into(in); err != nil {
				return failure.New("route test", err, "")
			}
			return p.examine(cmd, "/routes/test", in, asJSON)
		},
	}
	c.Flags().StringArrayVar(&via, "via", nil, "direct, system, pac+`URL` or the URL of a proxy; several are a chain, in order")
	c.Flags().StringVar(&bypass, "bypass", "", "`LIST` of hosts that the route is not for")
	shown.flags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print each stage as a line of JSON")
	return c
}
