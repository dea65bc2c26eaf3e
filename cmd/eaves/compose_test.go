package main

import (
	"context"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mccutchen/go-httpbin/v2/httpbin"
	"go.yaml.in/yaml/v3"

	"eaves/proxy/upstream/hop/hoptest"
)

// compose is what docker-compose.yml says.
type compose struct {
	Services map[string]struct {
		Build struct {
			Context, Target string
		}
		Command     string
		Environment map[string]string
		Ports       []string
		Volumes     []string
		Networks    yaml.Node
		DependsOn   []string `yaml:"depends_on"`
	}
	Networks, Volumes map[string]any
}

func readCompose(t *testing.T) *compose {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	c := new(compose)
	if err := yaml.Unmarshal(b, c); err != nil {
		t.Fatal(err)
	}
	return c
}

// networks are those of a service.
func (c *compose) networks(t *testing.T, service string) []string {
	t.Helper()
	node := c.Services[service].Networks
	if node.Kind == yaml.SequenceNode {
		var list []string
		if err := node.Decode(&list); err != nil {
			t.Fatal(err)
		}
		return list
	}
	var list []string
	for i := 0; i < len(node.Content); i += 2 {
		list = append(list, node.Content[i].Value)
	}
	return list
}

// TestComposeFits: what docker-compose.yml names is there, and each origin is reached through both proxies only.
func TestComposeFits(t *testing.T) {
	c := readCompose(t)
	dockerfile, err := os.ReadFile(filepath.Join("..", "..", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range c.Services {
		if !regexp.MustCompile(`(?m)^FROM \S+ AS ` + s.Build.Target + `$`).Match(dockerfile) {
			t.Errorf("%s: the Dockerfile has no stage %q", name, s.Build.Target)
		}
		for _, d := range s.DependsOn {
			if _, ok := c.Services[d]; !ok {
				t.Errorf("%s depends on %s, which is no service", name, d)
			}
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s is seen by others than this machine: %s", name, p)
			}
		}
		for _, v := range s.Volumes {
			if volume, _, _ := strings.Cut(v, ":"); !slices.Contains(keysOf(c.Volumes), volume) {
				t.Errorf("%s: there is no volume %s", name, volume)
			}
		}
		for _, n := range c.networks(t, name) {
			if _, ok := c.Networks[n]; !ok {
				t.Errorf("%s: there is no network %s", name, n)
			}
		}
		if s.Build.Target == "squid" {
			if _, err := os.Stat(filepath.Join("..", "..", "docker", path.Base(s.Command))); err != nil || !strings.HasPrefix(s.Command, "/etc/squid/lab/") {
				t.Errorf("%s: %s: %v", name, s.Command, err)
			}
		}
	}
	meet := func(a, b string) bool {
		return slices.ContainsFunc(c.networks(t, a), func(n string) bool { return slices.Contains(c.networks(t, b), n) })
	}
	for pair, want := range map[[2]string]bool{
		{"eaves", "corp"}: true, {"corp", "edge"}: true, {"edge", "origin"}: true, {"edge", "lab"}: true,
		{"eaves", "edge"}: false, {"eaves", "origin"}: false, {"eaves", "lab"}: false, {"corp", "origin"}: false, {"corp", "lab"}: false,
	} {
		if meet(pair[0], pair[1]) != want {
			t.Errorf("that %s and %s meet is %v", pair[0], pair[1], !want)
		}
	}
}

func keysOf(m map[string]any) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	return keys
}

// composeLab is what docker-compose.yml starts, started without Docker: the same programs with the same files, at other
// addresses and places.
type composeLab struct {
	t       *testing.T
	dir     string
	names   []string
	squids  map[string]*hoptest.Proxy
	port    map[string]int
	moved   *strings.Replacer
	compose *compose
}

// composeWalk are the commands of README.md's walk through the lab, and what each must print.
var composeWalk = []struct{ command, prints string }{
	{`docker compose up --build -d`, ``},
	{`docker compose exec -T eaves eaves ca export > eaves.pem`, ``},
	{`curl --proxy http://127.0.0.1:8484 http://origin:8080/get`, `(?s)"Via".*edge\.lab.*"url": "http://origin:\d+/get"`},
	{`docker compose exec -T eaves eaves show 1`, `(?s)HTTP/1\.1 200 OK.*route: http 127\.0\.0\.1:\d+ → http 127\.0\.0\.1:\d+ → origin origin:\d+ .*  http 127\.0\.0\.1:\d+: 200 Connection established, authentication basic, `},
	{`curl --proxy http://127.0.0.1:8484 --cacert eaves.pem https://lab:9443/`, `(?s)unknown authority.*hint: .*eaves trust add FILE --host lab`},
	{`docker compose exec -T eaves eaves trust add /lab/ca.pem --host lab`, ``},
	{`curl --proxy http://127.0.0.1:8484 --cacert eaves.pem https://lab:9443/`, `You sent no client certificate`},
	{`docker compose exec -T eaves eaves cert add lab:9443 --cert /lab/client.pem --key /lab/client.key`, ``},
	{`curl --proxy http://127.0.0.1:8484 --cacert eaves.pem https://lab:9443/`, `Your client certificate is accepted`},
	{`docker compose exec -T eaves eaves list 'cert.verdict:accepted'`, `200 +GET .* lab:\d+ +/ `},
	{`docker compose exec -T eaves eaves explain https://lab:9443/`, `(?s)127\.0\.0\.1:\d+.*client certificate.*lab:\d+`},
	{`docker compose exec -T eaves eaves doctor https://lab:9443/`, `(?s)CONNECT.*200`},
	{`curl --proxy http://127.0.0.1:8484 http://blocked.test/`, `(?s)Access Denied.*edge\.lab`},
	{`docker compose exec -T eaves eaves list 'answered:proxy'`, `403 +GET .* blocked\.test +/ `},
	{`docker compose exec -T eaves eaves route add origin --via http://corp:3128 --via http://edge:3128`, `^1\n`},
	{`curl --proxy http://127.0.0.1:8484 http://origin:8080/get`, `(?s)proxy 1 of 2, http proxy 127\.0\.0\.1:\d+: it wants authentication for "Example Corp" \(basic\).*hint: `},
	{`docker compose exec -T eaves eaves route remove 1`, ``},
	{`docker compose stop edge`, ``},
	{`curl --proxy http://127.0.0.1:8484 http://origin:8080/get`, `(?s)proxy 1 of 2, http proxy 127\.0\.0\.1:\d+: it could not connect to the next proxy, 127\.0\.0\.1:\d+: 503`},
	{`docker compose start edge`, ``},
	{`docker compose exec -T eaves eaves replay 1`, ` 200 `},
}

// TestComposeWalk types what README.md says to type in the lab.
func TestComposeWalk(t *testing.T) {
	need(t, "curl")
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "\n## Ten minutes in the lab\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var said, tried []string
	for line := range strings.Lines(section) {
		if command, ok := strings.CutPrefix(line, "    "); ok {
			said = append(said, strings.TrimSpace(command))
		}
	}
	for _, w := range composeWalk {
		tried = append(tried, w.command)
	}
	if !slices.Equal(said, tried) {
		t.Fatalf("README.md says to type\n%s\nand this test types\n%s", strings.Join(said, "\n"), strings.Join(tried, "\n"))
	}
	l := startComposeLab(t)
	e := l.eaves()
	for _, w := range composeWalk {
		out, err := l.types(e, w.command)
		if err != nil || !regexp.MustCompile(w.prints).MatchString(out) {
			t.Errorf("%s\n%v, printed, without %q:\n%s", w.command, err, w.prints, out)
		}
	}
	if log := l.squids["corp"].Log(); !strings.Contains(log, " alice ") {
		t.Errorf("the corporate proxy does not know alice:\n%s", log)
	}
}

func startComposeLab(t *testing.T) *composeLab {
	t.Helper()
	l := &composeLab{t: t, dir: t.TempDir(), names: []string{"origin", "lab"}, squids: map[string]*hoptest.Proxy{}, port: map[string]int{}, compose: readCompose(t)}
	origin := httptest.NewServer(httpbin.New())
	t.Cleanup(origin.Close)
	l.port["origin"] = origin.Listener.Addr().(*net.TCPAddr).Port
	l.port["corp"], l.port["edge"], l.port["lab"] = restartPort(t, 0), restartPort(t, 1), restartPort(t, 2)
	at := func(name string) string { return fmt.Sprintf("127.0.0.1:%d", l.port[name]) }
	l.moved = strings.NewReplacer("corp:3128", at("corp"), "edge:3128", at("edge"), "origin:8080", fmt.Sprint("origin:", l.port["origin"]), "lab:9443", fmt.Sprint("lab:", l.port["lab"]),
		"0.0.0.0:9443", at("lab"), "/lab/", filepath.Join(l.dir, "lab")+"/", "--dir /lab", "--dir "+filepath.Join(l.dir, "lab"))
	l.squid("corp")
	l.squid("edge")
	l.origin()
	return l
}

// squid starts the one that a service is.
func (l *composeLab) squid(service string) {
	l.t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "docker", path.Base(l.compose.Services[service].Command)))
	if err != nil {
		l.t.Fatal(err)
	}
	conf, dir := string(b), hoptest.Dir(l.t)
	for from, to := range map[string]string{
		"http_port 3128\n":                       fmt.Sprintf("http_port 127.0.0.1:%d\n", l.port[service]),
		"access_log stdio:/dev/stdout\n":         "access_log stdio:" + filepath.Join(dir, "access.log") + "\n",
		"visible_hostname " + service + ".lab\n": "visible_hostname " + service + ".lab\n",
	} {
		if !strings.Contains(conf, from) {
			l.t.Fatalf("%s.conf has no line %q", service, from)
		}
		conf = strings.ReplaceAll(conf, from, to)
	}
	conf = strings.ReplaceAll(conf, "/etc/squid/lab/", dir+"/")
	files, err := filepath.Glob(filepath.Join("..", "..", "docker", "*.users"))
	if err != nil || len(files) == 0 {
		l.t.Fatal("there are no users: ", err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(f)), b, 0o644)
		}
		if err != nil {
			l.t.Fatal(err)
		}
	}
	l.squids[service] = hoptest.Configured(l.t, dir, l.port[service], conf, l.names...)
}

// origin starts what the service lab is.
func (l *composeLab) origin() {
	l.t.Helper()
	args := strings.Fields(l.moved.Replace(l.compose.Services["lab"].Command))
	cmd := exec.Command("eaves", args...)
	cmd.Dir = l.dir
	cmd.Env = append(os.Environ(), "HOME="+l.dir, "EAVES_DATA="+filepath.Join(l.dir, "lab-data"))
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			l.t.Errorf("eaves lab mtls: %v", err)
		}
	})
	limit := time.Now().Add(deadline)
	for {
		c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", l.port["lab"]), time.Second)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(limit) {
			l.t.Fatal(err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// eaves starts what the service eaves is.
func (l *composeLab) eaves() *instance {
	l.t.Helper()
	env := append(os.Environ(), "HOME="+l.dir, "XDG_CONFIG_HOME=", "EAVES_DATA="+filepath.Join(l.dir, "data"), "NO_PROXY=", "no_proxy=")
	for name, value := range l.compose.Services["eaves"].Environment {
		env = append(env, name+"="+l.moved.Replace(value))
	}
	i, err := start(l.dir, env)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		if took, err := i.stop(syscall.SIGTERM); err != nil || took > busy {
			l.t.Errorf("stopping took %s and gave %v\n%s", took, err, i.err)
		}
	})
	return i
}

// types does what a command of the walk does, without Docker.
func (l *composeLab) types(e *instance, command string) (string, error) {
	l.t.Helper()
	switch command {
	case "docker compose up --build -d":
		return "", nil // all of it runs
	case "docker compose stop edge":
		l.squids["edge"].Stop()
		return "", nil
	case "docker compose start edge":
		l.squid("edge")
		return "", nil
	}
	command = strings.TrimPrefix(command, "docker compose exec -T eaves ")
	command = strings.ReplaceAll(l.moved.Replace(command), "http://127.0.0.1:8484", "http://"+e.run.Proxy)
	ctx, cancel := context.WithTimeout(context.Background(), 2*deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Dir, cmd.Env = l.dir, e.cmd.Env
	out, err := cmd.CombinedOutput()
	return string(out), err
}
