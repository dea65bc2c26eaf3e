package app

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"eaves/cmd/eaves/internal/client"
	"eaves/cmd/eaves/internal/config"
	"eaves/cmd/eaves/internal/datadir"
	"eaves/cmd/eaves/internal/failure"
	"eaves/webui"
)

// pipeHost is the console's name where it is served within the process.
const pipeHost = "eaves.invalid"

// patience is how long a command waits for a data directory that is about to become free, or whose holder is about to
// listen.
const patience = 10 * time.Second

// Connect reaches the API of the data directory: that of the eaves which runs on it, else one within this process. The
// caller calls the returned function in the end: what a command began is recorded before it returns.
func Connect(ctx context.Context, cfg *config.Config, log func(string)) (*client.Client, func() error, error) {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		dir, err := datadir.Wait(waiting, cfg.Data)
		var held *datadir.HeldError
		switch {
		case err == nil:
			return serveWithin(ctx, cfg, dir, log)
		case !errors.As(err, &held):
			return nil, nil, err
		case held.Run == nil:
			return nil, nil, failure.New("reaching eaves", err, "try again when it is done")
		}
		err = reach(waiting, held.Run)
		if err == nil {
			dialer := &net.Dialer{}
			c := client.New(held.Run.Console, held.Run.Token, true, dialer.DialContext)
			return c, func() error { c.Close(); return nil }, nil
		}
		// The note may be of a holder that is just ending, or was killed a moment ago.
		select {
		case <-waiting.Done():
			return nil, nil, failure.New("reaching eaves", errors.Join(held, err), "look whether it still runs")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// reach says whether anybody listens where the note says.
func reach(ctx context.Context, run *datadir.Run) error {
	dialer := &net.Dialer{Timeout: 2 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", strings.TrimPrefix(run.Console, "http://"))
	if err != nil {
		return err
	}
	return conn.Close()
}

// serveWithin serves the API within this process over an opened store.
func serveWithin(ctx context.Context, cfg *config.Config, dir *datadir.Dir, log func(string)) (*client.Client, func() error, error) {
	core, err := openCore(ctx, cfg, dir, log)
	if err != nil {
		return nil, nil, err
	}
	core.newConsole(webui.About{CA: core.ca.CertificateFile(), Data: dir.Path()}, []string{pipeHost}, nil, log)
	pipe := client.NewPipeListener()
	served := make(chan error, 1)
	go func() { served <- core.console.Serve(context.WithoutCancel(ctx), pipe) }()
	c := client.New("http://"+pipeHost, core.token, false, pipe.Dial)
	return c, func() error {
		c.Close()
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		errs := []error{core.proxy.Shutdown(ending), core.console.Shutdown(ending), <-served}
		pipe.Close()
		return errors.Join(append(errs, core.close(context.WithoutCancel(ctx)))...)
	}, nil
}
