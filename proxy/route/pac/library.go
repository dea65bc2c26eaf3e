package pac

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

const (
	// refresh is how long a fetched script is used before its server is asked whether it has changed, again how long a
	// failure is remembered before it is asked anew, and fetching what one fetch may take.
	refresh  = 5 * time.Minute
	again    = 5 * time.Second
	fetching = 10 * time.Second
)

// Location is where a PAC file is.
type Location struct {
	// URL is its address, or "" and File its path.
	URL, File string
	// Name is what it is called in reasons: its last part.
	Name string
}

// ParseLocation reads a file's path or its http, https or file URL.
func ParseLocation(s string) (Location, error) {
	scheme, _, ok := strings.Cut(s, "://")
	if !ok {
		if s == "" {
			return Location{}, errors.New("names no PAC file")
		}
		file := strings.TrimPrefix(s, "file:")
		return Location{File: file, Name: filepath.Base(file)}, nil
	}
	u, err := url.Parse(s)
	if err != nil {
		return Location{}, fmt.Errorf("not a URL: %w", reason(err))
	}
	switch strings.ToLower(scheme) {
	case "file":
		file := u.Path
		if u.Host != "" && u.Host != "localhost" {
			if runtime.GOOS != "windows" {
				return Location{}, fmt.Errorf("a file URL has three slashes: file:///%s", strings.TrimPrefix(u.Host+u.Path, "/"))
			}
			file = `\\` + u.Host + file
		}
		if runtime.GOOS == "windows" && len(file) > 2 && file[0] == '/' && file[2] == ':' {
			file = file[1:]
		}
		if file == "" || file == "/" {
			return Location{}, errors.New("names no PAC file")
		}
		return Location{File: filepath.FromSlash(file), Name: path.Base(u.Path)}, nil
	case "http", "https":
		if u.Hostname() == "" {
			return Location{}, errors.New("the URL names no host")
		}
		u.Scheme = strings.ToLower(scheme)
		name := path.Base(u.Path)
		if name == "." || name == "/" {
			name = u.Host
		}
		return Location{URL: u.String(), Name: name}, nil
	}
	return Location{}, fmt.Errorf("scheme %q: a PAC file comes from a file, http or https", scheme)
}

// reason is an error of net/url without the URL, which may hold a password.
func reason(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// String returns the location without user, password and query.
func (l Location) String() string {
	if l.File != "" {
		return l.File
	}
	u, err := url.Parse(l.URL)
	if err != nil {
		return l.Name
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// Library keeps scripts by where they are, and reads them again when they change: a file whenever it is not the one that
// was read, one from a server when the server says so, asked each five minutes while the script is used. It is safe for
// concurrent use.
type Library struct {
	env    Env
	client *http.Client

	mu     sync.Mutex
	volume map[Location]*copied
}

// copied is a script as it was last read.
type copied struct {
	mu     sync.Mutex
	script *Script
	err    error

	info os.FileInfo // of a file

	etag, modified string // of one from a server
	checked        time.Time
	stale          error         // why the last fetch failed, where the script from before still holds
	running        chan struct{} // closed when the fetch under way has ended
}

// NewLibrary makes a library. PAC files are fetched with client; nil means directly, through no proxy.
func NewLibrary(env Env, client *http.Client) *Library {
	if client == nil {
		// The way to the file that names the ways leads through none of them.
		client = &http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	}
	return &Library{env: env.withDefaults(), client: client, volume: map[Location]*copied{}}
}

// Script returns the script at l. The note says what is not as it should be with a script that can be used.
func (b *Library) Script(ctx context.Context, l Location) (s *Script, note string, err error) {
	b.mu.Lock()
	c := b.volume[l]
	if c == nil {
		c = &copied{}
		b.volume[l] = c
	}
	b.mu.Unlock()
	if l.File != "" {
		s, err := b.file(c, l)
		return s, "", err
	}
	return b.fetched(ctx, c, l)
}

// file reads a file unless it is the one that was read before.
func (b *Library) file(c *copied, l Location) (*Script, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	info, err := os.Stat(l.File)
	if err != nil {
		c.info = nil
		return nil, unreadable(l, err)
	}
	if c.info != nil && os.SameFile(info, c.info) && info.ModTime().Equal(c.info.ModTime()) && info.Size() == c.info.Size() {
		return c.script, c.err
	}
	if !info.Mode().IsRegular() {
		return nil, &Error{Where: l.File, Message: "is not a file"}
	}
	f, err := os.Open(l.File)
	if err != nil {
		return nil, unreadable(l, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, unreadable(l, err)
	}
	c.info = info
	c.script, c.err = Compile(l.String(), text, b.env)
	return c.script, c.err
}

func unreadable(l Location, err error) *Error {
	e := &Error{Where: l.String(), Message: "cannot be read: " + err.Error()}
	var p *fs.PathError
	if errors.As(err, &p) {
		e.Message = "cannot be read: " + p.Err.Error()
	}
	if errors.Is(err, fs.ErrNotExist) {
		e.Message, e.Hint = "there is no such file", "check the path of the PAC file"
	}
	return e
}

// fetched returns the script of a server, and fetches it where there is none yet or it is due.
func (b *Library) fetched(ctx context.Context, c *copied, l Location) (*Script, string, error) {
	c.mu.Lock()
	age := b.env.Now().Sub(c.checked)
	due := c.checked.IsZero() || age >= refresh || age < 0 || (c.err != nil || c.stale != nil) && age >= again
	if due && c.running == nil {
		c.running = make(chan struct{})
		go b.fetch(c, l)
	}
	running := c.running
	wait := running != nil && c.script == nil
	c.mu.Unlock()
	if wait {
		select {
		case <-running:
		case <-ctx.Done():
			return nil, "", context.Cause(ctx)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	note := ""
	if c.stale != nil {
		note = "the PAC file could not be fetched again, so the one from before holds: " + c.stale.Error()
	}
	return c.script, note, c.err
}

// fetch asks the server for the file and takes it over where it has changed.
func (b *Library) fetch(c *copied, l Location) {
	ctx, cancel := context.WithTimeout(context.Background(), fetching)
	defer cancel()
	begun := b.env.Now()
	c.mu.Lock()
	etag, modified := c.etag, c.modified
	c.mu.Unlock()
	text, head, err := b.get(ctx, l, etag, modified)
	var s *Script
	var broken error
	if err == nil && head != nil {
		s, broken = Compile(l.String(), text, b.env)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil && c.script != nil:
		c.stale = err
	case err != nil:
		c.err = err
	case head == nil: // not modified
		c.stale = nil
	default:
		c.script, c.err, c.stale = s, broken, nil
		c.etag, c.modified = head.Get("Etag"), head.Get("Last-Modified")
	}
	c.checked = begun
	close(c.running)
	c.running = nil
}

// get fetches the file; its head is nil where it has not changed.
func (b *Library) get(ctx context.Context, l Location, etag, modified string) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.URL, nil)
	if err != nil {
		return nil, nil, &Error{Where: l.String(), Message: "cannot be fetched: " + reason(err).Error()}
	}
	req.Header.Set("Accept", "application/x-ns-proxy-autoconfig, */*;q=0.8")
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	if modified != "" {
		req.Header.Set("If-Modified-Since", modified)
	}
	resp, err := b.client.Do(req)
	if err != nil {
		e := &Error{Where: l.String(), Message: "cannot be fetched: " + reason(err).Error(), Hint: "the PAC file is fetched directly, through no proxy: check its address"}
		if ctx.Err() != nil {
			e.Message = fmt.Sprintf("cannot be fetched: no answer within %v", fetching)
		}
		return nil, nil, e
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotModified && (etag != "" || modified != "") {
		return nil, nil, nil
	}
	if resp.StatusCode != http.StatusOK {
		return nil, nil, &Error{Where: l.String(), Message: "cannot be fetched: the server answered " + resp.Status, Hint: "check the address of the PAC file"}
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, MaxSize+1))
	if err != nil {
		return nil, nil, &Error{Where: l.String(), Message: "cannot be fetched: " + err.Error()}
	}
	return text, resp.Header, nil
}
