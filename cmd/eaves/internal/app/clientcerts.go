package app

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"eaves/capture"
	"eaves/certs/identity"
	"eaves/webui"
)

// certificateKeeper is the settings' client certificates as the console knows them.
type certificateKeeper struct{ c *core }

func (k certificateKeeper) List(ctx context.Context) ([]webui.ClientCertificate, error) {
	states := k.c.identities.States()
	all := make([]webui.ClientCertificate, len(states))
	for i, s := range states {
		var err error
		if all[i], err = k.show(ctx, s); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (k certificateKeeper) Add(ctx context.Context, in webui.ClientCertificateInput) (webui.ClientCertificate, error) {
	return k.put(ctx, 0, in)
}

func (k certificateKeeper) Replace(ctx context.Context, id int64, in webui.ClientCertificateInput) (webui.ClientCertificate, error) {
	return k.put(ctx, id, in)
}

func (k certificateKeeper) Remove(_ context.Context, id int64) error {
	k.c.editing.Lock()
	defer k.c.editing.Unlock()
	var gone identity.Entry
	_, err := k.c.settings.EditClientCertificates(func(now []identity.Entry) ([]identity.Entry, error) {
		i := slices.IndexFunc(now, func(e identity.Entry) bool { return e.ID == id })
		if i < 0 {
			return nil, webui.ErrNoItem
		}
		gone = now[i]
		return slices.Delete(now, i, i+1), nil
	})
	if err == nil {
		k.c.forget(belongings(gone)...)
	}
	return err
}

// belongings are what an entry may have beside the settings.
func belongings(e identity.Entry) []string {
	return []string{e.CertificateFile, e.KeyFile, e.PFXFile, e.Passphrase}
}

// put adds an entry (id 0) or changes one. What cannot work is refused before anything is changed.
func (k certificateKeeper) put(ctx context.Context, id int64, in webui.ClientCertificateInput) (none webui.ClientCertificate, err error) {
	k.c.editing.Lock()
	defer k.c.editing.Unlock()
	before := identity.Entry{Enabled: true, For: identity.ForOrigin}
	if id != 0 {
		now := k.c.settings.Get().ClientCertificates
		i := slices.IndexFunc(now, func(e identity.Entry) bool { return e.ID == id })
		if i < 0 {
			return none, webui.ErrNoItem
		}
		before = now[i]
	}
	d := &draft{c: k.c}
	defer d.drop()
	e := before
	renamed, err := d.clientCertificate(&e, in)
	if err != nil {
		return none, err
	}
	if id == 0 || !e.SameSource(before) {
		loaded, err := identity.Load(ctx, e, k.c.sources())
		if err != nil {
			return none, refusal(err, renamed)
		}
		if err := loaded.Close(); err != nil {
			return none, err
		}
	}
	at := 0
	now, err := k.c.settings.EditClientCertificates(func(now []identity.Entry) (_ []identity.Entry, err error) {
		now, at, err = placed(now, e, func(other identity.Entry) bool { return other.ID == id }, id == 0)
		return now, err
	})
	if err != nil {
		return none, refusal(err, renamed)
	}
	d.keep()
	k.c.forget(belongings(before)...)
	for _, s := range k.c.identities.States() {
		if s.Entry.ID == now[at].ID {
			return k.show(ctx, s)
		}
	}
	return none, webui.ErrNoItem // changed by hand in this very moment
}

// clientCertificate changes e as in says, and returns which fields came under another name.
func (d *draft) clientCertificate(e *identity.Entry, in webui.ClientCertificateInput) (renamed map[string]string, err error) {
	if in.Secret != nil && in.Passphrase != nil {
		return nil, &webui.Refusal{Parameter: "secret", Detail: "secret and passphrase exclude one another: one is the passphrase, the other refers to it"}
	}
	assign(&e.Enabled, in.Enabled)
	assign(&e.Host, in.Host)
	assign(&e.For, in.For)
	assign(&e.Name, in.Name)
	assign(&e.Passphrase, in.Passphrase)
	e.Host = strings.TrimSpace(e.Host)
	if e.Passphrase != "" && in.Passphrase != nil {
		if err := validReference(e.Passphrase); err != nil {
			return nil, &webui.Refusal{Parameter: "passphrase", Detail: err.Error(), Hint: "a passphrase is a reference: env:NAME, file:PATH, cmd:COMMAND or vault:NAME; the passphrase itself is taken by --passphrase-file FILE, or by eaves secret set NAME and then vault:NAME (over the API, as secret)"}
		}
	}
	if in.Secret != nil {
		e.Passphrase = ""
		if *in.Secret != "" {
			if e.Passphrase, err = d.seal(sealedCertificate, *in.Secret); err != nil {
				return nil, err
			}
		}
	}
	// A source that is named takes the place of another.
	given := func(s *string) bool { return s != nil && *s != "" }
	switch {
	case given(in.CertificateFile) || in.CertificateData != nil:
		e.PFXFile, e.Token = "", ""
		if in.KeyFile == nil && in.KeyData == nil {
			e.KeyFile = ""
		}
	case given(in.PFXFile) || in.PFXData != nil:
		e.CertificateFile, e.KeyFile, e.Token = "", "", ""
	case given(in.Token):
		e.CertificateFile, e.KeyFile, e.PFXFile = "", "", ""
	}
	assign(&e.CertificateFile, in.CertificateFile)
	assign(&e.KeyFile, in.KeyFile)
	assign(&e.PFXFile, in.PFXFile)
	assign(&e.Token, in.Token)
	renamed = make(map[string]string)
	for _, u := range []struct {
		data          []byte
		to            *string
		field, ending string
	}{{in.CertificateData, &e.CertificateFile, "certificate", ".crt"}, {in.KeyData, &e.KeyFile, "key", ".key"}, {in.PFXData, &e.PFXFile, "pfx", ".p12"}} {
		if len(u.data) == 0 {
			continue
		}
		if *u.to, err = d.upload(u.data, u.ending); err != nil {
			return nil, err
		}
		renamed[u.field+"File"] = u.field + "Data"
	}
	e.Uploaded = d.c.isCopy(e.CertificateFile) || d.c.isCopy(e.KeyFile) || d.c.isCopy(e.PFXFile)
	if in.Secret != nil {
		renamed["passphrase"] = "secret"
	}
	return renamed, nil
}

// show says how an entry is.
func (k certificateKeeper) show(ctx context.Context, s identity.State) (webui.ClientCertificate, error) {
	e := s.Entry
	c := webui.ClientCertificate{
		ID: e.ID, Enabled: e.Enabled, Host: e.Host, For: e.For, Name: e.Name, CertificateFile: e.CertificateFile, KeyFile: e.KeyFile, PFXFile: e.PFXFile, Token: e.Token,
		Uploaded: e.Uploaded, Passphrase: e.Passphrase, Chain: []capture.Certificate{}, Warnings: []webui.Warning{},
	}
	hint := ""
	if r, ok := refusal(s.Err, nil).(*webui.Refusal); ok {
		hint = r.Hint
	}
	if s.Loaded == nil {
		if s.Err != nil {
			c.Problem, c.Hint = s.Err.Error(), hint
		}
		return c, nil
	}
	now := time.Now()
	c.Chain, c.Key = describeAll(s.Loaded.Chain), s.Loaded.Key
	c.Certificate = &c.Chain[0]
	days := int(math.Floor(c.Certificate.NotAfter.Sub(now).Hours() / 24))
	c.ExpiresInDays = &days
	for _, w := range s.Loaded.Warnings(now) {
		c.Warnings = append(c.Warnings, webui.Warning{Code: w.Code, Message: w.Message})
	}
	if s.Err != nil {
		c.Warnings = append(c.Warnings, webui.Warning{Code: "rotated-badly", Message: s.Note()})
	}
	var err error
	c.LastAccepted, c.LastRejected, err = k.c.store.CertificateUse(ctx, c.Certificate.SHA256)
	return c, err
}
