package hop

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/credentials"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/spnego"
	"github.com/jcmturner/gokrb5/v8/types"
)

// kerberos gets tickets by keytab, credential cache or password. It keeps those for a service for a while, so that not
// every connection asks the KDC; it keeps no password.
type kerberos struct {
	mu      sync.Mutex
	tickets map[ticketKey]*ticket
}

type ticketKey struct{ credentials, service string }

// ticket is a ticket for a service, with what is needed to show it.
type ticket struct {
	user, realm string
	config      *config.Config
	ticket      messages.Ticket
	key         types.EncryptionKey
	until       time.Time
}

// ticketFor is how long a service ticket is used. Realms give them for hours; a changed ticket cache should count soon.
const ticketFor = 5 * time.Minute

func newKerberos() *kerberos { return &kerberos{tickets: make(map[ticketKey]*ticket)} }

// Token is Tickets'.
func (k *kerberos) Token(ctx context.Context, c *Credentials, password, service string) ([]byte, error) {
	key := ticketKey{c.ID, service}
	k.mu.Lock()
	t := k.tickets[key]
	k.mu.Unlock()
	if t == nil || time.Now().After(t.until) {
		// The library knows no contexts. It gives up by itself, after seconds.
		type result struct {
			t   *ticket
			err error
		}
		done := make(chan result, 1)
		own := *c
		go func() {
			t, err := obtain(&own, password, service)
			done <- result{t, err}
		}()
		select {
		case r := <-done:
			if r.err != nil {
				return nil, plainKerberos(r.err, service, password)
			}
			t = r.t
		case <-ctx.Done():
			return nil, fmt.Errorf("no Kerberos ticket for %s in time: the KDC does not answer", service)
		}
		k.mu.Lock()
		if len(k.tickets) >= maxPlaces {
			clear(k.tickets)
		}
		k.tickets[key] = t
		k.mu.Unlock()
	}
	return t.token()
}

// Refused is Tickets'.
func (k *kerberos) Refused(c *Credentials, service string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.tickets, ticketKey{c.ID, service})
}

// token shows the ticket, with a fresh authenticator.
func (t *ticket) token() (token []byte, err error) {
	defer recovered(&err)
	cl := client.NewWithPassword(t.user, t.realm, "", t.config)
	init, err := spnego.NewNegTokenInitKRB5(cl, t.ticket, t.key)
	if err != nil {
		return nil, err
	}
	return (&spnego.SPNEGOToken{Init: true, NegTokenInit: init}).Marshal()
}

// recovered makes an error of a panic: the library takes files and answers to be well formed.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = errors.New("a Kerberos file or answer is malformed")
	}
}

// obtain gets a ticket for a service.
func obtain(c *Credentials, password, service string) (t *ticket, err error) {
	defer recovered(&err)
	user, realm := principal(c.User)
	cfg, err := krb5conf(c.Krb5Conf, realm)
	if err != nil {
		return nil, err
	}
	if realm == "" {
		realm = cfg.LibDefaults.DefaultRealm
	}
	cl, err := kerberosClient(c, cfg, user, realm, password)
	if err != nil {
		return nil, err
	}
	t = &ticket{user: cl.Credentials.UserName(), realm: cl.Credentials.Domain(), config: cfg, until: time.Now().Add(ticketFor)}
	defer cl.Destroy()
	if err := cl.AffirmLogin(); err != nil {
		return nil, err
	}
	t.ticket, t.key, err = cl.GetServiceTicket(service)
	return t, err
}

// kerberosClient takes the first of keytab, credential cache and password that there is.
func kerberosClient(c *Credentials, cfg *config.Config, user, realm, password string) (*client.Client, error) {
	fast := client.DisablePAFXFAST(true) // Active Directory refuses it
	if c.Keytab != "" {
		kt, err := keytab.Load(c.Keytab)
		if err != nil {
			return nil, fmt.Errorf("the keytab %s: %w", c.Keytab, bare(err))
		}
		if user == "" {
			if len(kt.Entries) == 0 {
				return nil, fmt.Errorf("the keytab %s has no key", c.Keytab)
			}
			p := kt.Entries[0].Principal
			user, realm = strings.Join(p.Components, "/"), p.Realm
		}
		return client.NewWithKeytab(user, realm, kt, cfg, fast), nil
	}
	name, named := ccacheName(c)
	cl, err := fromCache(name, cfg, fast)
	if err == nil && user != "" && !named && !strings.EqualFold(cl.Credentials.UserName(), user) {
		err = fmt.Errorf("the credential cache %s is of %s, not of %s", name, cl.Credentials.UserName(), user)
	}
	switch {
	case err == nil:
		return cl, nil
	case password == "" || named && c.CCache != "":
		return nil, err
	case user == "" || realm == "":
		return nil, errors.New("no Kerberos realm is known: write the user as user@REALM, or name a krb5.conf with a default_realm")
	}
	return client.NewWithPassword(user, realm, password, cfg, fast), nil
}

// ccacheName is where the credential cache is, and whether somebody said so.
func ccacheName(c *Credentials) (name string, named bool) {
	if c.CCache != "" {
		return c.CCache, true
	}
	if name := os.Getenv("KRB5CCNAME"); name != "" {
		return name, false
	}
	return filepath.Join(os.TempDir(), "krb5cc_"+strconv.Itoa(os.Getuid())), false
}

func fromCache(name string, cfg *config.Config, fast func(*client.Settings)) (*client.Client, error) {
	kind, path, ok := strings.Cut(name, ":")
	switch {
	case !ok, len(kind) == 1: // a drive letter
		path = name
	case kind != "FILE":
		return nil, fmt.Errorf("a Kerberos credential cache of kind %s cannot be read: take one of kind FILE, as KRB5CCNAME=FILE:/path kinit makes it", kind)
	}
	cc, err := credentials.LoadCCache(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no Kerberos ticket (%s does not exist): run kinit", path)
	}
	if err != nil {
		return nil, fmt.Errorf("the Kerberos credential cache %s: %w", path, bare(err))
	}
	for _, e := range cc.GetEntries() {
		if len(e.Server.PrincipalName.NameString) > 0 && e.Server.PrincipalName.NameString[0] == "krbtgt" && time.Now().After(e.EndTime) {
			return nil, fmt.Errorf("the Kerberos ticket in %s has expired at %s: run kinit", path, e.EndTime.Local().Format(time.DateTime))
		}
	}
	return client.NewFromCCache(cc, cfg, fast)
}

// krb5conf reads the configuration: the named one, or that of the environment, or none where DNS may know the KDC.
func krb5conf(name, realm string) (*config.Config, error) {
	asked := name != ""
	if !asked {
		name, _, _ = strings.Cut(os.Getenv("KRB5_CONFIG"), string(os.PathListSeparator))
	}
	if name == "" {
		name = "/etc/krb5.conf"
	}
	cfg, err := config.Load(name)
	switch {
	case err == nil:
		return cfg, nil
	case errors.Is(err, fs.ErrNotExist) && !asked || strings.Contains(err.Error(), "could not be opened") && !asked:
		if realm == "" {
			return nil, fmt.Errorf("there is no Kerberos configuration (%s)", name)
		}
		cfg = config.New()
		cfg.LibDefaults.DefaultRealm, cfg.LibDefaults.DNSLookupKDC = realm, true
		return cfg, nil
	}
	var unsupported config.UnsupportedDirective
	if errors.As(err, &unsupported) && cfg != nil {
		return cfg, nil
	}
	return nil, fmt.Errorf("the Kerberos configuration %s: %w", name, bare(err))
}

// principal takes a user name apart: user@REALM. A domain of NTLM is no realm.
func principal(user string) (name, realm string) {
	if _, after, ok := strings.Cut(user, `\`); ok {
		user = after
	}
	name, realm, _ = strings.Cut(user, "@")
	return name, strings.ToUpper(realm)
}

// plainKerberos says in plain words what the library means.
func plainKerberos(err error, service, password string) error {
	s := err.Error()
	switch {
	case strings.Contains(s, "KDC_ERR_S_PRINCIPAL_UNKNOWN"):
		return fmt.Errorf("the KDC knows no service %s: the proxy has to be named as its Kerberos principal is", service)
	case strings.Contains(s, "KDC_ERR_C_PRINCIPAL_UNKNOWN"):
		return errors.New("the KDC does not know this user")
	case strings.Contains(s, "KDC_ERR_PREAUTH_FAILED"), strings.Contains(s, "integrity verification failed"):
		return errors.New("the KDC refused this user's password or key")
	case strings.Contains(s, "KRB_AP_ERR_SKEW"):
		return errors.New("this machine's clock and the KDC's are too far apart for Kerberos")
	case strings.Contains(s, "communicat") && strings.Contains(s, "KDC"), strings.Contains(s, "no KDCs defined"), strings.Contains(s, "no KDC SRV"),
		strings.Contains(s, "any defined KDCs"):
		return errors.New("the Kerberos KDC cannot be reached, or is not known")
	}
	if password != "" && strings.Contains(s, password) {
		return errors.New("there is no Kerberos ticket to be had")
	}
	return err
}

// bare takes off what the library says around an error of the file system.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
