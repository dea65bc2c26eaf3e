package app

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"eaves/cmd/eaves/internal/client"
	"eaves/cmd/eaves/internal/config"
	"eaves/webui"
)

// TestRetentionIsSetAndKept: what is set while eaves runs holds after the next start, and a flag wins over it.
func TestRetentionIsSetAndKept(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	with := func(flags ...string) (*App, *client.Client) {
		t.Helper()
		fs := pflag.NewFlagSet("run", pflag.ContinueOnError)
		config.AddFlags(fs)
		config.AddPlaceFlags(fs)
		if err := fs.Parse(append(flags, "--data", data, "--listen", "127.0.0.1:0", "--console", "127.0.0.1:0")); err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Load(fs)
		if err != nil {
			t.Fatal(err)
		}
		a, err := Start(t.Context(), cfg, func(line string) { t.Log(line) })
		if err != nil {
			t.Fatal(err)
		}
		return a, client.New(a.consoleURL(), a.core.token, true, nil)
	}
	ask := func(api *client.Client, method string, in any) (got webui.Retention, err error) {
		err = api.Do(t.Context(), method, "/retention", nil, in, &got)
		return got, err
	}
	a, api := with()
	got, err := ask(api, http.MethodGet, nil)
	if err != nil || got.Keep != (webui.Limit{Value: 1 << 30, Source: "default"}) || got.MaxSize != (webui.Limit{Value: 20 << 30, Source: "default"}) || got.MaxAge != (webui.Limit{Source: "default"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err = ask(api, http.MethodPut, map[string]int64{"keep": 1000, "maxSize": 0, "maxAge": 86_400_000}); err != nil || got.Keep != (webui.Limit{Value: 1000, Source: "settings"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := ask(api, http.MethodPut, map[string]int64{"maxAge": 1 << 62}); err == nil || !strings.Contains(err.Error(), "milliseconds") {
		t.Errorf("an age that no clock can measure: %v", err)
	}
	if err := a.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	a, api = with("--keep", "2k")
	got, err = ask(api, http.MethodGet, nil)
	if err != nil || got.Keep != (webui.Limit{Value: 2048, Source: "flag", Locked: true}) || got.MaxSize != (webui.Limit{Source: "settings"}) || got.MaxAge != (webui.Limit{Value: 86_400_000, Source: "settings"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := ask(api, http.MethodPut, map[string]int64{"keep": 5}); err == nil || !strings.Contains(err.Error(), "a flag of eaves run") {
		t.Errorf("changing what a flag says: %v", err)
	}
	if err := a.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}
