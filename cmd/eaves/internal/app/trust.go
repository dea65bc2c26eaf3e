package app

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"eaves/certs/tlspolicy"
	"eaves/certs/trustanchor"
	"eaves/certs/vault"
	"eaves/webui"
)

// trustKeeper is the settings' trust anchors as the console knows them.
type trustKeeper struct{ c *core }

func (k trustKeeper) List(context.Context) ([]webui.TrustAnchor, error) {
	states := k.c.anchors.States()
	all := make([]webui.TrustAnchor, len(states))
	for i, s := range states {
		all[i] = showAnchor(s)
	}
	return all, nil
}

func showAnchor(s trustanchor.State) webui.TrustAnchor {
	e := s.Entry
	t := webui.TrustAnchor{ID: e.ID, Enabled: e.Enabled, Host: e.Host, File: e.File, Uploaded: e.Uploaded, Certificates: describeAll(s.Certificates), Warnings: []webui.Warning{}}
	for _, w := range trustanchor.Check(s.Certificates, time.Now()) {
		t.Warnings = append(t.Warnings, webui.Warning{Code: w.Code, Message: w.Message})
	}
	switch {
	case s.Err != nil && len(s.Certificates) == 0:
		t.Problem = s.Err.Error()
	case s.Err != nil:
		t.Warnings = append(t.Warnings, webui.Warning{Code: "rotated-badly", Message: "the file has changed and cannot be used (" + s.Err.Error() + "); what was read before stays trusted"})
	}
	return t
}

func (k trustKeeper) Add(ctx context.Context, in webui.TrustAnchorInput) (webui.TrustAnchor, error) {
	return k.put(0, in)
}

func (k trustKeeper) Replace(ctx context.Context, id int64, in webui.TrustAnchorInput) (webui.TrustAnchor, error) {
	return k.put(id, in)
}

func (k trustKeeper) Remove(_ context.Context, id int64) error {
	k.c.editing.Lock()
	defer k.c.editing.Unlock()
	var gone trustanchor.Entry
	_, err := k.c.settings.EditTrust(func(now []trustanchor.Entry) ([]trustanchor.Entry, error) {
		i := slices.IndexFunc(now, func(e trustanchor.Entry) bool { return e.ID == id })
		if i < 0 {
			return nil, webui.ErrNoItem
		}
		gone = now[i]
		return slices.Delete(now, i, i+1), nil
	})
	if err == nil {
		k.c.forget(gone.File)
	}
	return err
}

// put adds an entry (id 0) or changes one.
func (k trustKeeper) put(id int64, in webui.TrustAnchorInput) (none webui.TrustAnchor, err error) {
	k.c.editing.Lock()
	defer k.c.editing.Unlock()
	before := trustanchor.Entry{Enabled: true}
	if id != 0 {
		now := k.c.settings.Get().Trust
		i := slices.IndexFunc(now, func(e trustanchor.Entry) bool { return e.ID == id })
		if i < 0 {
			return none, webui.ErrNoItem
		}
		before = now[i]
	}
	if in.File != nil && in.Data != nil {
		return none, &webui.Refusal{Parameter: "data", Detail: "file and data exclude one another"}
	}
	d := &draft{c: k.c}
	defer d.drop()
	e := before
	assign(&e.Enabled, in.Enabled)
	assign(&e.Host, in.Host)
	assign(&e.File, in.File)
	e.Host = strings.TrimSpace(e.Host)
	renamed := map[string]string{}
	if in.Data != nil {
		// Looked at before it is kept, so that the message does not speak of the copy.
		renamed["file"] = "data"
		if _, err := trustanchor.Read(*in.Data); err != nil {
			return none, refusal(err, renamed)
		}
		if e.File, err = d.upload(*in.Data, ".pem"); err != nil {
			return none, err
		}
	}
	e.Uploaded = k.c.isCopy(e.File)
	if id == 0 || e.File != before.File {
		if _, err := trustanchor.Load(e); err != nil {
			return none, refusal(err, renamed)
		}
	}
	at := 0
	now, err := k.c.settings.EditTrust(func(now []trustanchor.Entry) (_ []trustanchor.Entry, err error) {
		now, at, err = placed(now, e, func(other trustanchor.Entry) bool { return other.ID == id }, id == 0)
		return now, err
	})
	if err != nil {
		return none, refusal(err, renamed)
	}
	d.keep()
	k.c.forget(before.File)
	for _, s := range k.c.anchors.States() {
		if s.Entry.ID == now[at].ID {
			return showAnchor(s), nil
		}
	}
	return none, webui.ErrNoItem
}

// policyKeeper is the settings' TLS policies as the console knows them.
type policyKeeper struct{ c *core }

func (k policyKeeper) List(context.Context) ([]webui.TLSPolicy, error) {
	now := k.c.settings.Get().TLSPolicies
	all := make([]webui.TLSPolicy, len(now))
	for i, e := range now {
		all[i] = showPolicy(e)
	}
	return all, nil
}

func showPolicy(e tlspolicy.Entry) webui.TLSPolicy {
	return webui.TLSPolicy{ID: e.ID, Enabled: e.Enabled, Host: e.Host, Min: e.Min, Max: e.Max, Ciphers: append([]string{}, e.Ciphers...), ALPN: append([]string{}, e.ALPN...),
		Verify: e.Verify, ServerName: e.ServerName, Renegotiation: e.Renegotiation}
}

// Add adds a policy, or puts it in the place of the one with the same host pattern.
func (k policyKeeper) Add(_ context.Context, in webui.TLSPolicyInput) (webui.TLSPolicy, error) {
	return k.edit(func(now []tlspolicy.Entry) ([]tlspolicy.Entry, int, error) {
		e := tlspolicy.Entry{Enabled: true}
		change(&e, in)
		i := slices.IndexFunc(now, func(old tlspolicy.Entry) bool { return old.SameHost(e) })
		if i < 0 {
			return append(now, e), len(now), nil
		}
		e.ID = now[i].ID
		now[i] = e
		return now, i, nil
	})
}

func (k policyKeeper) Replace(_ context.Context, id int64, in webui.TLSPolicyInput) (webui.TLSPolicy, error) {
	return k.edit(func(now []tlspolicy.Entry) ([]tlspolicy.Entry, int, error) {
		i := slices.IndexFunc(now, func(e tlspolicy.Entry) bool { return e.ID == id })
		if i < 0 {
			return nil, 0, webui.ErrNoItem
		}
		change(&now[i], in)
		return now, i, nil
	})
}

func (k policyKeeper) Remove(_ context.Context, id int64) error {
	_, err := k.c.settings.EditTLSPolicies(func(now []tlspolicy.Entry) ([]tlspolicy.Entry, error) {
		i := slices.IndexFunc(now, func(e tlspolicy.Entry) bool { return e.ID == id })
		if i < 0 {
			return nil, webui.ErrNoItem
		}
		return slices.Delete(now, i, i+1), nil
	})
	return err
}

// edit edits the policies and returns the one at the index that edit names.
func (k policyKeeper) edit(edit func([]tlspolicy.Entry) ([]tlspolicy.Entry, int, error)) (webui.TLSPolicy, error) {
	at := 0
	now, err := k.c.settings.EditTLSPolicies(func(now []tlspolicy.Entry) (next []tlspolicy.Entry, err error) {
		if next, at, err = edit(now); err == nil {
			err = next[at].Validate()
		}
		return next, err
	})
	if err != nil {
		return webui.TLSPolicy{}, refusal(err, nil)
	}
	return showPolicy(now[at]), nil
}

// change changes e as in says.
func change(e *tlspolicy.Entry, in webui.TLSPolicyInput) {
	assign(&e.Enabled, in.Enabled)
	assign(&e.Host, in.Host)
	assign(&e.Min, in.Min)
	assign(&e.Max, in.Max)
	assign(&e.Ciphers, in.Ciphers)
	assign(&e.ALPN, in.ALPN)
	if in.Verify.Given {
		e.Verify = in.Verify.On
	}
	assign(&e.ServerName, in.ServerName)
	assign(&e.Renegotiation, in.Renegotiation)
	e.Normalize()
}

// secretKeeper is the vault as the console knows it.
type secretKeeper struct{ c *core }

func (k secretKeeper) List() []webui.Secret {
	var all []webui.Secret
	for _, s := range k.c.vault.List() {
		all = append(all, webui.Secret{Name: s.Name, Created: s.Created.UTC()})
	}
	return all
}

func (k secretKeeper) Set(name string, value []byte) error {
	if err := validReference("vault:" + name); err != nil {
		return &webui.Refusal{Parameter: "name", Detail: err.Error()}
	}
	err := k.c.vault.Set(name, value)
	if v := (*vault.Error)(nil); errors.Is(err, vault.ErrForm) && errors.As(err, &v) {
		return &webui.Refusal{Parameter: "value", Detail: v.Error(), Hint: v.Hint()}
	}
	if err != nil {
		return err
	}
	k.c.identities.Retry()
	return nil
}

func (k secretKeeper) Remove(name string) error {
	if !slices.ContainsFunc(k.c.vault.List(), func(s vault.Secret) bool { return s.Name == name }) {
		return webui.ErrNoItem
	}
	return k.c.vault.Remove(name)
}

// validReference checks the form of a reference to a secret.
func validReference(ref string) error {
	if err := vault.Valid(ref); err != nil {
		return errors.New(strings.TrimSuffix(err.Error(), "."))
	}
	return nil
}
