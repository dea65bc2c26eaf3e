// Package config is what the user may set for a run of eaves: flags, environment, a file and defaults become one typed
// Config.
//
// # Precedence
//
// A flag beats the environment, the environment beats the file, the file beats the default. The file is the one named
// by --config, else eaves.yaml in the data directory, else eaves/eaves.yaml in the user's config directory. Every key
// of the file has a flag and a variable: readyFile, --ready-file, EAVES_READY_FILE.
//
// # Mistakes
//
// An unknown key or a bad value is an error that names its place, and all of them are reported at once. Nothing here is
// ever written.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"eaves/capture/hostpattern"
	"eaves/cmd/eaves/internal/datadir"
	"eaves/cmd/eaves/internal/failure"
	"eaves/proxy/route"
)

// Config is everything that can be configured.
type Config struct {
	// Data is the data directory, File the configuration file that was read ("" for none).
	Data, File string
	// Listen is the proxy's address, Console that of the console; "off" leaves the console's API on a random port.
	Listen, Console string
	// UpstreamProxy is the way to origins, Bypass the hosts to which it is not taken. Where nothing but the default says
	// so (see From), the settings may say otherwise.
	UpstreamProxy route.Via
	Bypass        hostpattern.List
	// Insecure accepts origins whose certificates do not verify; the exchange then says what would have failed.
	Insecure bool
	// LAN listens on every interface, for private clients.
	LAN bool
	// KeyLog is a file that takes TLS secrets in the NSS format, "" for none. KeyLogBy is where that was said.
	KeyLog, KeyLogBy string
	// Open opens the console in a browser.
	Open bool
	// ReadyFile is written once everything listens, "" for none.
	ReadyFile string
	// Keep is how many bytes of a body are kept at most.
	Keep int64
	// MaxSize and MaxAge are the retention: what the oldest unmarked exchanges make room for. 0: no limit.
	MaxSize int64
	MaxAge  time.Duration
	// Passthrough are host patterns whose TLS is not intercepted.
	Passthrough []hostpattern.Pattern

	from map[string]From
}

// keylogKey has a variable that many programs know beside its own.
const (
	keylogKey = "keylog"
	keylogEnv = "SSLKEYLOGFILE"
)

// From is what gave a key its value.
type From string

// What gives values, the first before the others.
const (
	FromFlag        From = "flag"
	FromEnvironment From = "environment"
	FromFile        From = "file"
	FromDefault     From = "default"
)

// From says what gave a key its value.
func (c *Config) From(name string) From {
	if f, ok := c.from[name]; ok {
		return f
	}
	return FromDefault
}

// texts is a key whose flag may be repeated and takes each value as it is, commas included.
type texts []string

// Off is the value that turns the console off.
const Off = "off"

// Key is one thing that can be configured: its name in the file, its default, and its flag's help.
type Key struct {
	Name    string
	Default any
	Help    string
	set     func(c *Config, v any) error
}

// Flag is the key's name on the command line.
func (k Key) Flag() string { return words(k.Name, '-', false) }

// Env is the key's name in the environment.
func (k Key) Env() string { return "EAVES_" + words(k.Name, '_', true) }

// words joins the words and levels of a key's name.
func words(name string, sep byte, upper bool) string {
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		switch {
		case c == '.':
			c = sep
		case 'A' <= c && c <= 'Z':
			b.WriteByte(sep)
			c += 'a' - 'A'
		}
		if upper && 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		b.WriteByte(c)
	}
	return b.String()
}

// Keys are the keys of a run, in the order of the documentation.
func Keys() []Key {
	return []Key{
		{"listen", "127.0.0.1:8484", "address of the proxy; port 0 takes a free one", func(c *Config, v any) error { return address(&c.Listen, v) }},
		{"console", "127.0.0.1:8485", `address of the console, or "off"`, func(c *Config, v any) error {
			if v == Off {
				c.Console = Off
				return nil
			}
			return address(&c.Console, v)
		}},
		{"upstreamProxy", texts{"system"}, "way to origins: system, none, pac+URL, or `PROXY`, repeated to make a chain", func(c *Config, v any) error { return via(&c.UpstreamProxy, v) }},
		{"bypass", "", "hosts to reach without it: a `LIST` of names, *.example.com, .example.com, 10.0.0.0/8, <local>", func(c *Config, v any) error { return bypass(&c.Bypass, v) }},
		{"insecure", false, "accept origins whose certificates do not verify", func(c *Config, v any) error { return boolean(&c.Insecure, v) }},
		{"lan", false, "listen on every interface, for clients on private networks", func(c *Config, v any) error { return boolean(&c.LAN, v) }},
		{keylogKey, "", "append TLS secrets of both sides to `FILE`, for Wireshark; SSLKEYLOGFILE does the same", func(c *Config, v any) error { return text(&c.KeyLog, v) }},
		{"open", false, "open the console in a browser", func(c *Config, v any) error { return boolean(&c.Open, v) }},
		{"readyFile", "", "write addresses and token to `FILE` once everything listens", func(c *Config, v any) error { return text(&c.ReadyFile, v) }},
		{"keep", "1g", "keep at most this much of each body", func(c *Config, v any) error {
			if err := size(&c.Keep, v); err != nil || c.Keep > 0 {
				return err
			}
			return fmt.Errorf("%s: expected more than 0", quote(v))
		}},
		{"retention.maxSize", "20g", "let the oldest exchanges go when the store is larger; 0: never", func(c *Config, v any) error { return size(&c.MaxSize, v) }},
		{"retention.maxAge", "0", "let exchanges go when they are older, such as 30d; 0: never", func(c *Config, v any) error { return age(&c.MaxAge, v) }},
		{"passthrough", []string(nil), "host pattern whose TLS is not intercepted (repeatable)", func(c *Config, v any) error { return patterns(&c.Passthrough, v) }},
	}
}

// keyFlag marks the flags of keys: those of commands may have the same name and mean something else.
const keyFlag = "eaves_key"

// AddFlags adds a flag for each key.
func AddFlags(fs *pflag.FlagSet) {
	for _, k := range Keys() {
		switch d := k.Default.(type) {
		case bool:
			fs.Bool(k.Flag(), d, k.Help)
		case string:
			fs.String(k.Flag(), d, k.Help)
		case []string:
			fs.StringSlice(k.Flag(), d, k.Help)
		case texts:
			fs.StringArray(k.Flag(), d, k.Help)
		}
		fs.Lookup(k.Flag()).Annotations = map[string][]string{keyFlag: {k.Name}}
	}
}

// AddPlaceFlags adds the flags that say where data and configuration are.
func AddPlaceFlags(fs *pflag.FlagSet) {
	fs.String("data", "", "data `DIR`ectory (default: eaves in the user's data directory)")
	fs.String("config", "", "configuration `FILE` (default: eaves.yaml in the data directory, else in the user's config directory)")
}

// Load reads flags, environment and file. Its error names every mistake.
func Load(flags *pflag.FlagSet) (*Config, error) {
	c := &Config{from: map[string]From{}}
	doc, err := c.places(flags)
	if err != nil {
		return nil, err
	}
	v := viper.New()
	mistakes := doc.check()
	if err := v.MergeConfigMap(doc.values()); err != nil {
		mistakes = append(mistakes, fmt.Errorf("%s: %w", doc.path, err))
	}
	for _, k := range Keys() {
		v.SetDefault(k.Name, k.Default)
		if err := v.BindEnv(k.Name, k.Env()); err != nil {
			return nil, err
		}
		from := "default of " + k.Name
		switch f := flags.Lookup(k.Flag()); {
		case f != nil && f.Changed && f.Annotations[keyFlag] != nil:
			from = "--" + f.Name
			c.from[k.Name] = FromFlag
			if err := v.BindPFlag(k.Name, f); err != nil {
				return nil, err
			}
		case os.Getenv(k.Env()) != "":
			from = k.Env()
			c.from[k.Name] = FromEnvironment
		case doc.line(k.Name) > 0:
			from = fmt.Sprintf("%s:%d: %s", doc.path, doc.line(k.Name), k.Name)
			c.from[k.Name] = FromFile
		case k.Name == keylogKey && os.Getenv(keylogEnv) != "":
			from = keylogEnv
			v.SetDefault(k.Name, os.Getenv(keylogEnv))
		}
		if k.Name == keylogKey {
			c.KeyLogBy = from
		}
		if err := k.set(c, v.Get(k.Name)); err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", from, err))
		}
	}
	if len(mistakes) > 0 {
		return nil, failure.Wrong("configuration", errors.Join(mistakes...), "eaves run --help lists every key")
	}
	return c, nil
}

// places finds the data directory and reads the configuration file.
func (c *Config) places(flags *pflag.FlagSet) (*document, error) {
	flag := func(name string) string {
		if f := flags.Lookup(name); f != nil && f.Changed {
			return f.Value.String()
		}
		return os.Getenv("EAVES_" + strings.ToUpper(name))
	}
	c.Data = flag("data")
	named := flag("config")
	given := c.Data != ""
	if !given {
		var err error
		if c.Data, err = datadir.Default(); err != nil && named == "" {
			return nil, err
		}
	}
	inData := filepath.Join(c.Data, datadir.ConfigName)
	candidates := []string{inData}
	if user, err := os.UserConfigDir(); err == nil {
		candidates = append(candidates, filepath.Join(user, "eaves", datadir.ConfigName))
	}
	if named != "" {
		candidates = []string{named}
	}
	doc := &document{}
	for _, path := range candidates {
		b, err := os.ReadFile(path)
		if named == "" && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)) {
			continue
		}
		if err != nil {
			return nil, failure.Wrong("configuration", err, "")
		}
		doc = parse(path, b)
		c.File = path
		break
	}
	if at := doc.line(dataKey); at > 0 {
		dir, err := doc.dataDir()
		switch {
		case err != nil:
		case c.File == inData:
			err = errors.New("a file in the data directory cannot name another one")
		case !given:
			c.Data = dir
		}
		if err != nil {
			return nil, failure.Wrong("configuration", fmt.Errorf("%s:%d: %s: %w", c.File, at, dataKey, err), "")
		}
	}
	abs, err := filepath.Abs(c.Data)
	if err != nil {
		return nil, failure.Wrong("finding the data directory", err, "name one with --data DIR")
	}
	c.Data = abs
	return doc, nil
}
