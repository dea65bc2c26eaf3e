package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"eaves/cmd/eaves/internal/config"
	"eaves/cmd/eaves/internal/datadir"
	"eaves/cmd/eaves/internal/failure"
	"eaves/webui"
)

// grace is how long exchanges under way may take to finish after the signal to stop. The contract allows five seconds for
// all of stopping; the rest is for committing, on a busy machine too.
const grace = 3500 * time.Millisecond

// Run runs proxy and console until a signal or the end of ctx, and prints where they are to out.
func Run(ctx context.Context, cfg *config.Config, out io.Writer, log func(string)) error {
	// Who reads our output may go away; traffic goes on.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := onSignals(ctx, log)
	defer stop()
	a, err := Start(ctx, cfg, log)
	if err != nil {
		return err
	}
	if err := a.announce(); err != nil {
		return errors.Join(err, a.Stop(ctx))
	}
	a.banner(out, log)
	for _, line := range a.core.certificateWarnings(time.Now()) {
		log(line)
	}
	if cfg.Open {
		if err := openBrowser(a.consoleURL() + "/?token=" + a.core.console.Ticket()); err != nil {
			log("opening the console in a browser: " + err.Error())
		}
	}
	select {
	case <-ctx.Done():
		err = nil
	case err = <-a.failed:
	}
	return errors.Join(err, a.Stop(context.WithoutCancel(ctx)))
}

// sameSignal is how soon a second signal is still the first one: timeout(1), for one, signals its child and then the
// child's whole group.
const sameSignal = 5 * time.Millisecond

// onSignals returns a context that ends with the first signal to stop. The second one ends the process.
func onSignals(ctx context.Context, log func(string)) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	stopping := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // a closed terminal; nohup asks to stay
		stopping = append(stopping, syscall.SIGHUP)
	}
	signal.Notify(signals, stopping...)
	done := make(chan struct{})
	go func() {
		var first time.Time
		for {
			select {
			case <-done:
				return
			case <-signals:
				switch {
				case first.IsZero():
					first = time.Now()
					cancel()
				case time.Since(first) > sameSignal:
					log("stopped at once: exchanges under way are cut")
					os.Exit(failure.Work)
				}
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel()
	}
}

// App is a running eaves.
type App struct {
	cfg  *config.Config
	core *core
	log  func(string)
	// proxyAddr and consoleAddr are where it listens.
	proxyAddr, consoleAddr netip.AddrPort
	failed                 chan error
	cancel                 context.CancelFunc
	ended                  chan struct{}
}

// Start opens the data directory and begins to serve.
func Start(ctx context.Context, cfg *config.Config, log func(string)) (_ *App, err error) {
	waiting, cancel := context.WithTimeout(ctx, patience)
	dir, err := datadir.Wait(waiting, cfg.Data)
	cancel()
	var held *datadir.HeldError
	if errors.As(err, &held) {
		return nil, failure.New("starting", err, "use the one that runs, or another directory with --data DIR")
	}
	if err != nil {
		return nil, err
	}
	if cfg.ReadyFile != "" {
		// One that an earlier run left behind would send who waits for it to the wrong place.
		if err := os.Remove(cfg.ReadyFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(failure.New("writing the ready file", err, ""), dir.Close())
		}
	}
	a := &App{cfg: cfg, log: log, failed: make(chan error, 3), ended: make(chan struct{})}
	if a.core, err = openCore(ctx, cfg, dir, log); err != nil {
		return nil, err
	}
	proxyListener, consoleListener, err := a.listen()
	if err != nil {
		return nil, errors.Join(err, a.core.close(context.WithoutCancel(ctx)))
	}
	a.core.newConsole(webui.About{Proxy: reachable(a.proxyAddr), Console: a.consoleURL(), CA: a.core.ca.CertificateFile(), Data: dir.Path(), KeyLog: a.core.keylogPath()}, nil, onboarding{a}, log)
	if err := a.newOnboarding(); err != nil {
		proxyListener.Close()
		consoleListener.Close()
		return nil, errors.Join(err, a.core.close(context.WithoutCancel(ctx)))
	}
	for _, w := range cfg.UpstreamProxy.Warnings() {
		log("warning: " + w)
	}
	a.serve(context.WithoutCancel(ctx), proxyListener, consoleListener)
	return a, nil
}

// listen takes the addresses.
func (a *App) listen() (proxyListener, consoleListener net.Listener, err error) {
	address := a.cfg.Listen
	if a.cfg.LAN {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, nil, failure.Wrong("listening", err, "")
		}
		address = ":" + port
	}
	if proxyListener, err = listen(address); err != nil {
		return nil, nil, failure.New("listening for the proxy", err, "take a free port with --listen 127.0.0.1:0")
	}
	address = a.cfg.Console
	if address == config.Off {
		address = "127.0.0.1:0"
	}
	if consoleListener, err = listen(address); err != nil {
		proxyListener.Close()
		return nil, nil, failure.New("listening for the console", err, "take a free port with --console 127.0.0.1:0, or none with --console off")
	}
	a.proxyAddr, a.consoleAddr = addrPort(proxyListener), addrPort(consoleListener)
	a.core.mu.Lock()
	a.core.own = []netip.AddrPort{a.consoleAddr}
	a.core.listeners = []netip.AddrPort{a.proxyAddr, a.consoleAddr}
	a.core.mu.Unlock()
	return proxyListener, consoleListener, nil
}

// listen listens and says in its error what the address was.
func listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		return nil, fmt.Errorf("%s: %w", address, op.Err)
	}
	return l, err
}

func addrPort(l net.Listener) netip.AddrPort {
	if a, ok := l.Addr().(*net.TCPAddr); ok {
		ap := a.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// serve serves until Stop.
func (a *App) serve(ctx context.Context, proxyListener, consoleListener net.Listener) {
	ctx, a.cancel = context.WithCancel(ctx)
	// Reading the system's hundred roots takes as long as many exchanges: the first one shall not wait for it.
	go x509.SystemCertPool()
	parts := []func() error{
		func() error { return a.core.proxy.Serve(ctx, proxyListener) },
		func() error { return a.core.console.Serve(ctx, consoleListener) },
		func() error { return a.core.settings.Watch(ctx) },
	}
	done := make(chan struct{})
	for _, part := range parts {
		go func() {
			if err := part(); err != nil {
				a.failed <- err
			}
			done <- struct{}{}
		}()
	}
	go func() {
		for range parts {
			<-done
		}
		close(a.ended)
	}()
}

// Stop ends everything, losing nothing that was recorded.
func (a *App) Stop(ctx context.Context) error {
	ending, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	// That time was up for some exchanges is no failure of the stop: they are recorded as cut.
	if err := a.core.proxy.Shutdown(ending); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		a.log("stopping the proxy: " + err.Error())
	}
	consoleEnding, cancelConsole := context.WithTimeout(ctx, time.Second/2)
	defer cancelConsole()
	if err := a.core.console.Shutdown(consoleEnding); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		a.log("stopping the console: " + err.Error())
	}
	a.cancel()
	<-a.ended
	return a.core.close(ctx)
}

// announce writes run.json and the ready file.
func (a *App) announce() error {
	run := a.Note()
	if err := a.core.dir.Announce(run); err != nil {
		return failure.New("writing run.json", err, "")
	}
	if a.cfg.ReadyFile == "" {
		return nil
	}
	path, err := filepath.Abs(a.cfg.ReadyFile)
	if err == nil {
		err = datadir.WriteJSON(path, run)
	}
	if err != nil {
		return failure.New("writing the ready file", err, "")
	}
	return nil
}

// Note is what this eaves says of itself.
func (a *App) Note() datadir.Run {
	return datadir.Run{PID: os.Getpid(), Proxy: reachable(a.proxyAddr), Console: a.consoleURL(), Token: a.core.token, CA: a.core.ca.CertificateFile(), Data: a.core.dir.Path()}
}

// consoleURL is where this machine reaches the console.
func (a *App) consoleURL() string { return "http://" + reachable(a.consoleAddr) }

// ConsoleURL opens the console, token included.
func (a *App) ConsoleURL() string { return a.consoleURL() + "/?token=" + a.core.token }

// reachable is an address to connect to: a listener on every interface is reached on the loopback one. (One on [::]
// takes IPv4 as well: Go switches IPV6_V6ONLY off for it.)
func reachable(a netip.AddrPort) string {
	if a.Addr().IsUnspecified() {
		a = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), a.Port())
	}
	return a.String()
}
