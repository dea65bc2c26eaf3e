package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"eaves/cmd/eaves/internal/config"
	"eaves/cmd/eaves/internal/datadir"
	"eaves/cmd/eaves/internal/failure"
	"eaves/cmd/eaves/internal/lab"
)

func (p *program) labCommand() *cobra.Command {
	return group("lab", "origins to learn on: mtls", "  eaves lab mtls", p.labMTLSCommand())
}

// labAddress is where the lab listens unless it is told otherwise: the same place each time, so that rules go on fitting.
const labAddress = "127.0.0.1:9443"

func (p *program) labMTLSCommand() *cobra.Command {
	var o lab.Config
	c := &cobra.Command{
		Use:   "mtls",
		Short: "start an origin that asks for client certificates",
		Example: `  eaves lab mtls
  eaves lab mtls --strict --tls12             refuse whoever has none, within the handshake
  eaves lab mtls --listen 127.0.0.1:0 --dir /tmp/lab`,
		Long: `mtls starts a local origin that asks for a client certificate of a throw-away CA and answers with what it saw: TLS
version and cipher suite, the certificate's subject, serial, chain and verification. /optional needs no certificate,
/admin that of admin.

It writes certificates that are accepted, and some that are not (expired, not yet valid, of a foreign CA, for another
usage, with an incomplete chain), prints the commands that try them through eaves, and then a line for each request and
each refusal. The same commands are in commands.txt beside the certificates. SIGINT or SIGTERM ends it.

A certificate that the CA does not vouch for is always refused within the handshake. With TLS 1.3 that is seen only after
the handshake, with --tls12 within it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(cmd.InheritedFlags()) // --listen is the origin's here
			if err != nil {
				return err
			}
			if o.Dir == "" {
				if err := datadir.Prepare(cfg.Data); err != nil {
					return err
				}
				o.Dir = filepath.Join(cfg.Data, "lab")
			}
			if o.Dir, err = filepath.Abs(o.Dir); err != nil {
				return failure.New("lab mtls", err, "")
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return p.serveLab(ctx, cfg, o, cmd.Flags().Changed("listen"))
		},
	}
	c.Flags().StringVar(&o.Listen, "listen", labAddress, "`ADDRESS` of the origin; port 0 takes a free one, as the default does where it is taken")
	c.Flags().StringVar(&o.Name, "name", "localhost", "host `NAME` by which clients call it; its certificate covers the names below too")
	c.Flags().StringVar(&o.Dir, "dir", "", "keep certificates and keys in `DIR` (default: lab in the data directory)")
	c.Flags().BoolVar(&o.Strict, "strict", false, "refuse whoever has no certificate in the handshake, instead of answering 403")
	c.Flags().BoolVar(&o.TLS12, "tls12", false, "speak nothing newer than TLS 1.2")
	return c
}

// serveLab runs the origin until ctx ends. given says whether the user chose the address.
func (p *program) serveLab(ctx context.Context, cfg *config.Config, o lab.Config, given bool) error {
	var mu sync.Mutex
	o.Seen = func(line string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(p.out, harmless(line))
	}
	l, err := lab.Open(o)
	if errors.Is(err, syscall.EADDRINUSE) && !given {
		host, _, _ := net.SplitHostPort(o.Listen)
		o.Listen = net.JoinHostPort(host, "0")
		l, err = lab.Open(o)
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		return failure.New("lab mtls: listening on "+o.Listen, op.Err, "take a free port with --listen 127.0.0.1:0")
	}
	if err != nil {
		return failure.New("lab mtls", err, "name a directory that you may write to with --dir DIR")
	}
	commands := l.Commands(p.through(cfg))
	if err := datadir.Replace(filepath.Join(o.Dir, "commands.txt"), []byte(commands)); err != nil {
		return errors.Join(failure.New("lab mtls", err, "name a directory that you may write to with --dir DIR"), l.Close())
	}
	fmt.Fprintln(p.out, commands)
	if err := l.Serve(ctx); err != nil {
		return failure.New("lab mtls", err, "")
	}
	return nil
}

// through is the address of the eaves that the lab's commands go through, and its CA's certificate: the one that runs, else
// the one that would.
func (p *program) through(cfg *config.Config) (proxy, ca string) {
	proxy, ca = cfg.Listen, filepath.Join(cfg.Data, "ca.pem")
	dir, err := datadir.Open(cfg.Data)
	if held := (*datadir.HeldError)(nil); errors.As(err, &held) && held.Run != nil {
		return held.Run.Proxy, held.Run.CA
	}
	if err == nil {
		_ = dir.Close() // nothing was written
	}
	if host, port, err := net.SplitHostPort(proxy); err == nil && net.ParseIP(host).IsUnspecified() {
		proxy = net.JoinHostPort("127.0.0.1", port)
	}
	return proxy, ca
}
