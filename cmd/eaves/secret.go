package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"eaves/cmd/eaves/internal/client"
	"eaves/cmd/eaves/internal/failure"
	"eaves/proxy/route"
	"eaves/webui"
)

// secrets is the vault's list.
var secrets = list{path: "/secrets", field: "secrets", noun: "secret", listing: "eaves secret list"}

func (p *program) secretCommand() *cobra.Command {
	return group("secret", "secrets of the vault, which vault:NAME refers to", `  eaves secret set bank
  eaves secret set bank < passphrase.txt
  eaves secret list
  eaves secret remove bank`, p.secretSetCommand(), p.secretListCommand(), p.secretRemoveCommand())
}

func (p *program) secretSetCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "set NAME [--file FILE]",
		Short: "seal a secret in the vault",
		Example: `  eaves secret set bank                      asks for it
  eaves secret set bank --file pass.txt
  pass show bank | eaves secret set bank`,
		Long: `set seals a secret in the data directory's vault, in the place of one with the same name. Where a passphrase or password is
asked for, vault:NAME refers to it. It is read from the terminal without echo, from FILE, or from standard input; one line
break at its end is not part of it. Nothing ever prints it.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			value, err := p.secretValue(file, "secret "+args[0]+": ")
			if err != nil {
				return failure.New("secret set", err, "")
			}
			return p.withAPI(cmd, func(api *client.Client) error {
				return api.Do(cmd.Context(), http.MethodPost, secrets.path, nil, map[string]string{"name": args[0], "value": string(value)}, nil)
			})
		},
	}
	c.Flags().StringVar(&file, "file", "", "read it from `FILE`")
	return c
}

func (p *program) secretListCommand() *cobra.Command {
	type secret struct {
		Name    string    `json:"name"`
		Created time.Time `json:"created"`
	}
	return listCommand(p, secrets, "the names of the secrets", func(s secret) {
		fmt.Fprintf(p.out, "%-32s %s\n", harmless(s.Name), s.Created.Local().Format("2006-01-02 15:04"))
	})
}

func (p *program) secretRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "remove NAME…",
		Short:   "forget secrets",
		Example: "  eaves secret remove bank",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withAPI(cmd, func(api *client.Client) error {
				for _, name := range args {
					using, err := usersOf(cmd, api, "vault:"+name)
					if err != nil {
						return err
					}
					err = api.Do(cmd.Context(), http.MethodDelete, secrets.path+"/"+url.PathEscape(name), nil, nil, nil)
					if problem := (*client.Problem)(nil); errors.As(err, &problem) && problem.Status == http.StatusNotFound {
						err = failure.New("", fmt.Errorf("there is no secret %q", name), secrets.listing)
					}
					if err != nil {
						return err
					}
					for _, u := range using {
						p.say(harmless(fmt.Sprintf("warning: %s still refers to vault:%s", u, name)))
					}
				}
				return nil
			})
		},
	}
}

// usersOf names the client certificates and routes that refer to a secret.
func usersOf(cmd *cobra.Command, api *client.Client, reference string) ([]string, error) {
	var users []string
	certificates, err := itemsOf[webui.ClientCertificate](cmd, api, clientCertificates)
	if err != nil {
		return nil, err
	}
	for _, c := range certificates {
		if c.Passphrase == reference {
			users = append(users, fmt.Sprintf("client certificate %d (%s)", c.ID, c.Host))
		}
	}
	routes, err := itemsOf[webui.ProxyRoute](cmd, api, proxyRoutes)
	if err != nil {
		return nil, err
	}
	for _, r := range routes {
		v, err := route.ParseVia(r.Via...)
		if r.Password == reference || err == nil && slices.Contains(v.References(), reference) {
			users = append(users, fmt.Sprintf("route %d (%s)", r.ID, r.Host))
		}
	}
	return users, nil
}

// secretValue reads a secret from a file if one is named, else from standard input: without echo where that is a terminal.
func (p *program) secretValue(file, prompt string) ([]byte, error) {
	var b []byte
	var err error
	switch {
	case file != "":
		b, err = readAll(file, p.in)
	case p.asking():
		return p.ask(prompt)
	default:
		b, err = readFrom(p.in)
	}
	if err == nil && len(b) == 0 {
		err = errors.New("it is empty")
	}
	return oneLineBreakLess(b), err
}

// oneLineBreakLess takes the line break off that editors and echo put behind a secret.
func oneLineBreakLess(b []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
}

// asking says whether there is somebody to ask.
func (p *program) asking() bool {
	f, ok := p.in.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// ask asks for a secret on the terminal, without echo.
func (p *program) ask(prompt string) ([]byte, error) {
	f, ok := p.in.(*os.File)
	if !ok {
		return nil, errors.New("there is nobody to ask")
	}
	fmt.Fprint(p.err, prompt)
	b, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(p.err)
	return b, err
}
