package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"eaves/capture/hostpattern"
	"eaves/proxy/route"
	"eaves/proxy/route/pac"
	"eaves/webui"
)

// showRoutes are routes as the console knows them, with what may not work about each.
func (k routeKeeper) showRoutes(ctx context.Context, entries []route.Entry) []webui.ProxyRoute {
	all := make([]webui.ProxyRoute, len(entries))
	var earlier []route.Rule // the enabled ones
	for i, e := range entries {
		all[i] = showRoute(e)
		all[i].Warnings = []webui.Warning{}
		rule, err := e.Rule()
		if err != nil || !e.Enabled { // settings are checked when they are read
			continue
		}
		all[i].Warnings = k.warnings(ctx, rule)
		if by := covering(earlier, rule.Pattern); by != nil {
			all[i].Warnings = append(all[i].Warnings, webui.Warning{Code: "never-decides", Message: fmt.Sprintf(
				"route %d (%s) comes before and matches whatever %s does, so this route never decides: put it in front (route add --first, or eaves route move %d --to 1)", by.ID, by.Pattern, rule.Pattern, e.ID)})
		}
		earlier = append(earlier, rule)
	}
	return all
}

// covering is the first rule that matches whatever a pattern does, or nil.
func covering(rules []route.Rule, p hostpattern.Pattern) *route.Rule {
	for i := range rules {
		if rules[i].Pattern.Covers(p) {
			return &rules[i]
		}
	}
	return nil
}

// warnings says what a rule's way needs and is not there. What may be there in a moment, such as the server of a PAC file,
// is not asked, and no command is run.
func (k routeKeeper) warnings(ctx context.Context, r route.Rule) []webui.Warning {
	list := []webui.Warning{}
	warn := func(code, format string, a ...any) {
		list = append(list, webui.Warning{Code: code, Message: fmt.Sprintf(format, a...)})
	}
	c := r.Way.Credentials
	for _, ref := range slices.Compact(append([]string{c.Password}, r.Way.Via.References()...)) {
		if ref == "" || strings.HasPrefix(ref, "cmd:") {
			continue
		}
		if _, err := k.c.vault.Resolve(ctx, ref); err != nil {
			hint := ""
			var h interface{ Hint() string }
			if errors.As(err, &h) && h.Hint() != "" {
				hint = "; " + h.Hint()
			}
			warn("password-missing", "the password cannot be had from %s: %v%s", ref, err, hint)
		}
	}
	for _, f := range []struct{ name, path string }{{"keytab", c.Keytab}, {"ccache", c.CCache}, {"krb5Conf", c.Krb5Conf}} {
		if f.path == "" {
			continue
		}
		if _, err := os.Stat(f.path); err != nil {
			warn("file-missing", "%s: the file %s cannot be read: %v", f.name, f.path, cmp.Or(errors.Unwrap(err), err))
		}
	}
	if l, ok := r.Way.Via.Script(); ok && l.File != "" {
		if _, _, err := k.c.routing.scripts.Script(ctx, l); err != nil {
			hint := ""
			var e *pac.Error
			if errors.As(err, &e) && e.Hint != "" {
				hint = "; " + e.Hint
			}
			warn("pac-unusable", "PAC file %v%s", err, hint)
		}
	}
	needsPassword := len(c.Schemes) == 0 && c.Keytab+c.CCache == "" || slices.ContainsFunc(c.Schemes, func(s string) bool { return s != "negotiate" })
	switch {
	case c.User != "" && c.Password == "" && needsPassword:
		warn("user-without-password", "there is a user but no password: only Kerberos does without, so a proxy that asks for basic, digest or ntlm will refuse")
	case c.User == "" && c.Password != "":
		warn("password-without-user", "there is a password but no user: a proxy that asks for basic, digest or ntlm wants both")
	}
	return list
}
