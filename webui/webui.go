// Package webui serves the console: an HTTP API over what was captured, a stream of what is being captured, and the
// files of the page that uses both.
//
// # Guard
//
// Nothing is answered before three questions: is the Host one of the console's own names (a page that rebinds its name to
// this machine's address stops here), is the Origin the console's own (a foreign page stops here, for the stream too),
// and does the request carry the token, as a bearer or in the cookie that opening /?token=… sets. There is no CORS. Every
// answer carries a content security policy under which nothing captured can run.
//
// # Stream
//
// GET /api/v1/stream is a WebSocket. The server sends, each as one text message:
//
//	{"type":"hello","seq":N,"store":"UUID","version":"…"}   where the stream begins; 0 before a reset
//	{"type":"exchange","seq":N,"exchange":{summary}}        a committed revision that matches the filter
//	{"type":"removed","seq":N,"ids":[…]}                    deleted, or matching no longer
//	{"type":"message","exchange":ID,"n":…,…}                a message of a subscribed exchange
//	{"type":"status","seq":N,…}                             what GET /status says; at most once a second
//	{"type":"gap","from":A,"to":B}                          changes after A up to B were left out: read changedAfter=A
//	{"type":"reset"}                                        the cursor means nothing here: read everything anew
//
// and takes
//
//	{"type":"subscribe","exchange":ID,"after":N}
//	{"type":"unsubscribe","exchange":ID}
//
// Every seq sent is a cursor: all changes up to it have been sent, superseded by a later one, or did not match. A client
// that comes back with after=SEQ misses nothing and is sent nothing twice.
//
// # Bounds
//
// A console holds at most one mebibyte of what waits to be sent to it, is sent about one megabyte a second in at most ten
// flushes, and is let go when it takes nothing for ten seconds. None of this is ever waited for by the traffic.
//
// The package knows the store, the proxy and the settings only through the interfaces it declares.
package webui

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// Config is what a Server needs.
type Config struct {
	// Token is what a request must carry. Required.
	Token string
	// Hosts are the values of Host that are the console's own, with port, beside those of the listeners that Serve is
	// given.
	Hosts []string
	// Version is eaves' version, as status and hello say it.
	Version string
	// About is what status says of this process.
	About About
	// Store keeps the exchanges. Required.
	Store Store
	// Sender sends requests again, or for the first time. Without one, sending is refused.
	Sender Sender
	// Injector puts messages into open conversations. Without one, that is refused.
	Injector Injector
	// Recording switches recording on and off. Without one, recording is always on.
	Recording Recording
	// Rules keeps the rules. Without one, there are none and none can be added.
	Rules Rules
	// ClientCertificates, Trust and TLSPolicies keep what bears on TLS with servers, Secrets what opens keys. Without one,
	// there are none and none can be added.
	ClientCertificates Collection[ClientCertificate, ClientCertificateInput]
	Trust              Collection[TrustAnchor, TrustAnchorInput]
	TLSPolicies        Collection[TLSPolicy, TLSPolicyInput]
	Secrets            Secrets
	// Diagnostician answers explain and doctor. Without one, they are refused.
	Diagnostician Diagnostician
	// Inventory knows the certificates that are configured or were seen. Without one, there are none.
	Inventory Inventory
	// Routes keeps the ways through parent proxies. Without it, every host is reached directly.
	Routes ProxyRoutes
	// Retention says how much is kept. Without it, that is not for the console to know.
	Retention Retainer
	// Onboarding knows how devices reach the proxy, and which have. Without it, none do.
	Onboarding Onboarding
	// Filters keeps the filters that have names. Without it, there are none and none can be added.
	Filters Collection[SavedFilter, SavedFilterInput]
	// Certificate gives the interception CA's certificate as PEM. Without it, there is none to have.
	Certificate func() []byte
	// Assets are the console's files; nil means those built into the program.
	Assets fs.FS
	// Log is told of failures that no answer can tell, one line each. May be nil.
	Log func(string)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// About says where this eaves listens and keeps its things.
type About struct {
	// Proxy is the proxy's address, Console the console's URL.
	Proxy, Console string
	// CA is the path of the CA's certificate, Data the data directory.
	CA, Data string
	// KeyLog is the file that TLS secrets are written to, "" for none.
	KeyLog string
}

// Server serves the console. Its methods are safe for concurrent use.
type Server struct {
	cfg    Config
	guard  *guard
	assets *assets
	routes []route
	status *statusCache
	frames *frameCache
	edited *idRing
	http   *http.Server

	// quit is closed when Shutdown begins.
	quit     context.Context
	quitNow  context.CancelFunc
	consoles sync.WaitGroup
	mu       sync.Mutex
	open     int
	stopping bool
}

// Limits of the HTTP server itself. Answers have no deadline as a whole (an export may take long); each write has one.
const (
	headerTimeout  = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 64 << 10
	writeTimeout   = 30 * time.Second
)

// New makes a server. It starts nothing.
func New(cfg Config) *Server {
	if cfg.Assets == nil {
		cfg.Assets = built()
	}
	if cfg.Log == nil {
		cfg.Log = func(string) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{
		cfg:    cfg,
		guard:  newGuard(cfg.Token, cfg.Hosts),
		assets: newAssets(cfg.Assets),
		frames: &frameCache{},
		edited: &idRing{},
	}
	s.status = &statusCache{make: s.makeStatus, now: cfg.Now}
	s.routes = s.api()
	s.quit, s.quitNow = context.WithCancel(context.Background())
	s.http = &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		// Also OPTIONS * is for the guard.
		DisableGeneralOptionsHandler: true,
		// What net/http logs (a client that speaks no HTTP, a TLS greeting) is of no use to anybody, and may quote requests.
		ErrorLog: log.New(discard{}, "", 0),
	}
	return s
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// Handler answers the console's requests, guard included.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serveHTTP) }

// Serve takes consoles from ln until Shutdown, or until ctx is done. It closes ln. It returns nil after Shutdown.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	s.guard.listen(ln.Addr())
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	err := s.http.Serve(ln)
	if errors.Is(err, http.ErrServerClosed) || ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("serving the console on %v: %w", ln.Addr(), err)
}

// Ticket opens the console as the token does, in /?token=, but once and within a minute only: for places that others can
// read, such as a browser's command line.
func (s *Server) Ticket() string { return s.guard.issue() }

// Shutdown says good-bye to the consoles and waits for answers under way, until ctx is done; then it cuts them.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	s.quitNow()
	err := s.http.Shutdown(ctx)
	if err != nil {
		s.http.Close()
	}
	gone := make(chan struct{})
	go func() { s.consoles.Wait(); close(gone) }()
	select {
	case <-gone:
	case <-ctx.Done():
		return ctx.Err()
	}
	return err
}

// enter counts a console in, unless the server is stopping. Who is counted in calls leave.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping || s.open >= maxConsoles {
		return false
	}
	s.open++
	s.consoles.Add(1)
	return true
}

func (s *Server) leave() {
	s.mu.Lock()
	s.open--
	s.mu.Unlock()
	s.consoles.Done()
}

// consolesOpen is how many consoles there are.
func (s *Server) consolesOpen() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		e := recover()
		if e == nil {
			return
		}
		if e == http.ErrAbortHandler {
			panic(e)
		}
		s.cfg.Log(fmt.Sprintf("console: answering %s %s: %v", r.Method, r.URL.Path, e))
		// If an answer has begun, the client must see that it is cut.
		if rec, ok := w.(*answer); ok && rec.begun {
			panic(http.ErrAbortHandler)
		}
		problem{Status: http.StatusInternalServerError, Detail: "eaves failed to answer; its log says more"}.write(w, r)
	}()
	a := &answer{ResponseWriter: w}
	w = a
	secure(w.Header(), r)
	if p := s.guard.check(w, r); p != nil {
		// net/http reads a moderate rest of the body before it goes on: not for ever, for a stranger.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(headerTimeout))
		p.write(w, r)
		return
	}
	if w.Header().Get("Location") != "" {
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	s.dispatch(w, r)
}

// answer knows whether an answer has begun, and gives each write a deadline of its own.
type answer struct {
	http.ResponseWriter
	begun    bool
	deadline time.Time
}

func (a *answer) WriteHeader(status int) {
	a.begin()
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	a.begin()
	return a.ResponseWriter.Write(p)
}

// begin notes that something is written. A deadline would outlast the answer and meet the next one on the connection, so
// that one which writes no body sets it anew, too.
func (a *answer) begin() {
	a.begun = true
	if now := time.Now(); a.deadline.Sub(now) < writeTimeout/2 {
		a.deadline = now.Add(writeTimeout)
		// Recorders in tests have no deadlines: they need none.
		_ = http.NewResponseController(a.ResponseWriter).SetWriteDeadline(a.deadline)
	}
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// digest is what secrets are compared by: equal lengths, so that comparing tells nothing of them.
func digest(s string) [sha256.Size]byte { return sha256.Sum256([]byte(s)) }
