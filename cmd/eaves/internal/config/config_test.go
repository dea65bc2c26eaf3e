package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"eaves/cmd/eaves/internal/failure"
)

// load loads a configuration in a home of its own.
func load(t *testing.T, env map[string]string, args ...string) (*Config, error) {
	t.Helper()
	for _, k := range Keys() {
		t.Setenv(k.Env(), "")
	}
	for _, name := range []string{"EAVES_DATA", "EAVES_CONFIG", "XDG_DATA_HOME"} {
		t.Setenv(name, "")
	}
	if _, ok := env["HOME"]; !ok {
		t.Setenv("HOME", t.TempDir())
	}
	t.Setenv("XDG_CONFIG_HOME", "")
	for name, v := range env {
		t.Setenv(name, v)
	}
	fs := pflag.NewFlagSet("eaves", pflag.ContinueOnError)
	AddFlags(fs)
	AddPlaceFlags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return Load(fs)
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaults(t *testing.T) {
	home := t.TempDir()
	c, err := load(t, map[string]string{"HOME": home})
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:8484" || c.Console != "127.0.0.1:8485" || c.Keep != 1<<30 || c.MaxSize != 20<<30 || c.MaxAge != 0 ||
		c.Insecure || c.LAN || c.Open || c.KeyLog != "" || c.ReadyFile != "" || len(c.Passthrough) != 0 || c.File != "" {
		t.Errorf("got %+v", c)
	}
	if want := filepath.Join(home, ".local", "share", "eaves"); c.Data != want {
		t.Errorf("data: got %s, want %s", c.Data, want)
	}
}

func TestPrecedence(t *testing.T) {
	data := t.TempDir()
	write(t, filepath.Join(data, "eaves.yaml"), `
listen: 127.0.0.1:1
readyFile: from-file
insecure: true
retention:
  maxSize: 2g
  maxAge: 7d
passthrough: [a.test, "*.b.test:8443"]
keep: 10
`)
	c, err := load(t, map[string]string{
		"EAVES_LISTEN": "127.0.0.1:2", "EAVES_READY_FILE": "from-env", "EAVES_RETENTION_MAX_SIZE": "3g", "EAVES_LAN": "true",
	}, "--data", data, "--listen", "127.0.0.1:3", "--insecure=false")
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:3" {
		t.Errorf("a flag beats the environment: got %s", c.Listen)
	}
	if c.Insecure {
		t.Error("a flag beats the file, also when it turns something off")
	}
	if c.ReadyFile != "from-env" || c.MaxSize != 3<<30 {
		t.Errorf("the environment beats the file: got %s, %d", c.ReadyFile, c.MaxSize)
	}
	if !c.LAN {
		t.Error("the environment beats the default")
	}
	if c.MaxAge != 7*24*time.Hour || c.Keep != 10 || len(c.Passthrough) != 2 || c.Passthrough[1].String() != "*.b.test:8443" {
		t.Errorf("the file beats the default: got %+v", c)
	}
}

func TestWhichFile(t *testing.T) {
	home, data := t.TempDir(), t.TempDir()
	user := write(t, filepath.Join(home, ".config", "eaves", "eaves.yaml"), "listen: 127.0.0.1:1\ndata: "+data+"\n")
	c, err := load(t, map[string]string{"HOME": home})
	if err != nil || c.Listen != "127.0.0.1:1" || c.File != user || c.Data != data {
		t.Fatalf("the user's file: %+v, %v", c, err)
	}
	other := t.TempDir()
	if c, err = load(t, map[string]string{"HOME": home}, "--data", other); err != nil || c.Data != other {
		t.Fatalf("--data beats the file: %+v, %v", c, err)
	}
	write(t, filepath.Join(other, "eaves.yaml"), "listen: 127.0.0.1:2\n")
	if c, err = load(t, map[string]string{"HOME": home, "EAVES_DATA": other}); err != nil || c.Listen != "127.0.0.1:2" {
		t.Fatalf("the data directory's file comes before the user's: %+v, %v", c, err)
	}
	named := write(t, filepath.Join(t.TempDir(), "x.yaml"), "listen: 127.0.0.1:3\n")
	if c, err = load(t, map[string]string{"HOME": home}, "--data", other, "--config", named); err != nil || c.Listen != "127.0.0.1:3" {
		t.Fatalf("--config names the file: %+v, %v", c, err)
	}
	if _, err = load(t, map[string]string{"HOME": home}, "--config", named+".none"); failure.Code(err) != failure.Usage {
		t.Fatalf("a named file that is not there: %v", err)
	}
}

func TestMistakes(t *testing.T) {
	for _, c := range []struct {
		name, file string
		env        map[string]string
		args       []string
		want       []string
	}{
		{"all at once", "lisen: 127.0.0.1:1\nconsole: nowhere\nretention:\n  maxSize: lots\n  maxAges: 1\nkeep: 0\n", map[string]string{"EAVES_LAN": "perhaps"},
			[]string{"--passthrough", "a b,c.test"}, []string{
				`eaves.yaml:1: unknown key "lisen" (did you mean listen?)`,
				`eaves.yaml:5: unknown key "retention.maxAges" (did you mean retention.maxAge?)`,
				`eaves.yaml:2: console: "nowhere"`, `eaves.yaml:4: retention.maxSize: "lots"`, `eaves.yaml:6: keep: "0"`,
				`EAVES_LAN: "perhaps"`, `--passthrough: `}},
		{"no yaml", "listen: [\n", nil, nil, []string{"eaves.yaml:"}},
		{"a list", "- listen\n", nil, nil, []string{"eaves.yaml:1: expected keys and values"}},
		{"twice", "lan: true\nlan: false\n", nil, nil, []string{"eaves.yaml:2: lan stands there twice, first in line 1"}},
		{"a value for a level", "retention: 5\n", nil, nil, []string{"eaves.yaml:1: retention takes keys below it"}},
		{"a list for a value", "listen: [a, b]\n", nil, nil, []string{"eaves.yaml:1: listen: "}},
		{"keys below a value", "listen:\n  host: a\n", nil, nil, []string{"eaves.yaml:1: listen: "}},
		{"a parent proxy", "", nil, []string{"--upstream-proxy", "gopher://127.0.0.1"}, []string{`--upstream-proxy: proxy URL: scheme "gopher": `}},
		{"a port", "", nil, []string{"--listen", "127.0.0.1:65536"}, []string{`--listen: "127.0.0.1:65536": the port`}},
		{"itself", "data: elsewhere\n", nil, nil, []string{"eaves.yaml:1: data: "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := t.TempDir()
			write(t, filepath.Join(data, "eaves.yaml"), c.file)
			_, err := load(t, c.env, append(c.args, "--data", data)...)
			if failure.Code(err) != failure.Usage {
				t.Fatalf("got %v, want a failure of usage", err)
			}
			var out strings.Builder
			failure.Print(&out, err)
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%s\nsays nothing of %s", out.String(), want)
				}
			}
			for _, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
				if !strings.HasPrefix(line, "eaves: configuration: ") && !strings.HasPrefix(line, "hint: ") {
					t.Errorf("line %q", line)
				}
			}
			if got := strings.Count(out.String(), "eaves: "); got != len(c.want) {
				t.Errorf("%s\nare %d mistakes, want %d", out.String(), got, len(c.want))
			}
		})
	}
}

func TestEveryKeyHasItsNames(t *testing.T) {
	for name, want := range map[string][2]string{
		"readyFile":         {"ready-file", "EAVES_READY_FILE"},
		"retention.maxSize": {"retention-max-size", "EAVES_RETENTION_MAX_SIZE"},
		"upstreamProxy":     {"upstream-proxy", "EAVES_UPSTREAM_PROXY"},
		"keylog":            {"keylog", "EAVES_KEYLOG"},
	} {
		k := Key{Name: name}
		if k.Flag() != want[0] || k.Env() != want[1] {
			t.Errorf("%s: got %s, %s", name, k.Flag(), k.Env())
		}
	}
}

func TestSizesAndAges(t *testing.T) {
	for in, want := range map[string]int64{"0": 0, "17": 17, "1k": 1024, "1.5M": 3 << 19, "2GiB": 2 << 30, "3 gb": 3 << 30, "1t": 1 << 40} {
		if got, err := ParseSize(in); err != nil || got != want {
			t.Errorf("size %q: got %d, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "x", "1x", "-1", "1e30g", "nan", "inf", "k", "1 2"} {
		if got, err := ParseSize(in); err == nil {
			t.Errorf("size %q: got %d", in, got)
		}
	}
	for in, want := range map[string]time.Duration{"0": 0, "90s": 90 * time.Second, "7d": 168 * time.Hour, "1.5d": 36 * time.Hour, "2w": 336 * time.Hour, "1h30m": 90 * time.Minute} {
		if got, err := ParseAge(in); err != nil || got != want {
			t.Errorf("age %q: got %s, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "d", "7", "-1d", "-5s", "1e300d", "nand"} {
		if got, err := ParseAge(in); err == nil {
			t.Errorf("age %q: got %s", in, got)
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add("listen: 127.0.0.1:1\nretention:\n  maxSize: 2g\n")
	f.Add("a: &a [*a]\n")
	f.Add("passthrough: {a: b}\n")
	f.Fuzz(func(t *testing.T, text string) {
		d := parse("eaves.yaml", []byte(text))
		if len(d.check()) == 0 {
			_ = d.values()
		}
	})
}

func TestUpstreamProxy(t *testing.T) {
	data := t.TempDir()
	yaml := func(text string) { write(t, filepath.Join(data, "eaves.yaml"), text) }
	for _, c := range []struct {
		name, file  string
		env         map[string]string
		args        []string
		via, bypass string
		from        From
	}{
		{name: "default", via: "system", from: FromDefault},
		{name: "a chain of flags", args: []string{"--upstream-proxy", "http://a:1", "--upstream-proxy", "socks5://b"}, via: "http://a:1, socks5://b:1080", from: FromFlag},
		{name: "flag before environment", env: map[string]string{"EAVES_UPSTREAM_PROXY": "http://a:1"}, args: []string{"--upstream-proxy", "none"}, via: "direct", from: FromFlag},
		{name: "environment before file", file: "upstreamProxy: http://b:1", env: map[string]string{"EAVES_UPSTREAM_PROXY": "http://a:1,https://c"}, via: "http://a:1, https://c:443", from: FromEnvironment},
		{name: "file", file: "upstreamProxy: pac+http://wpad/x.pac\nbypass: '*.corp.test'", via: "pac+http://wpad/x.pac", bypass: "*.corp.test", from: FromFile},
		{name: "lists in the file", file: "upstreamProxy: [http://a:1, 'https=b']\n", from: ""},
		{name: "file's lists", file: "upstreamProxy:\n- http://a:1\n- socks4://b\nbypass: [.lan, <local>]", via: "http://a:1, socks4a://b:1080", bypass: ".lan,<local>", from: FromFile},
		{name: "a PAC file's commas", args: []string{"--upstream-proxy", "pac+http://wpad/x.pac?a,b", "--bypass", "a.test;10.0.0.0/8, <-loopback>"}, via: "pac+http://wpad/x.pac", bypass: "a.test,10.0.0.0/8,<-loopback>", from: FromFlag},
	} {
		t.Run(c.name, func(t *testing.T) {
			yaml(c.file)
			cfg, err := load(t, c.env, append(c.args, "--data", data)...)
			if c.from == "" {
				if err == nil || !strings.Contains(err.Error(), "either one chain") {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || cfg.UpstreamProxy.String() != c.via || cfg.Bypass.String() != c.bypass || cfg.From("upstreamProxy") != c.from {
				t.Errorf("got %+v, %v", cfg, err)
			}
		})
	}
	yaml("upstreamProxy: gopher://x\nbypass: a..b\n")
	if _, err := load(t, map[string]string{"EAVES_BYPASS": "<lokal>"}, "--data", data); err == nil || !strings.Contains(err.Error(), `eaves.yaml:1: upstreamProxy: proxy URL: scheme "gopher"`) ||
		!strings.Contains(err.Error(), `EAVES_BYPASS: bypass entry "<lokal>"`) {
		t.Errorf("got %v", err)
	}
	if _, err := load(t, nil, "--data", t.TempDir(), "--upstream-proxy", "http://u:secret@h:x"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}
