package pac

import (
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct{ text, entries, notes string }{
		{"DIRECT", "DIRECT", ""},
		{"", "DIRECT", ""},
		{" ; ", "", ""},
		{"PROXY p1:8080", "PROXY p1:8080", ""},
		{"HTTPS secure:443; PROXY p1:8080; SOCKS5 s:1080; DIRECT", "HTTPS secure:443|PROXY p1:8080|SOCKS5 s:1080|DIRECT", ""},
		{"proxy P1 ;http p2;https p3;socks s;socks4 s;SOCKS5 s;direct", "PROXY p1:80|PROXY p2:80|HTTPS p3:443|SOCKS4 s:1080|SOCKS4 s:1080|SOCKS5 s:1080|DIRECT", ""},
		{"PROXY [2001:db8::1]:3128;\tPROXY\t[::1]", "PROXY [2001:db8::1]:3128|PROXY [::1]:80", ""},
		{"PROXY p:0; PROXY p:70000; PROXY p:x; PROXY p:", "", "PROXY p:0: not a port|PROXY p:70000: not a port|PROXY p:x: not a port|PROXY p:: not a port"},
		{"PROXY; PROXY a b; DIRECT now", "", "expected HOST:PORT|expected HOST:PORT|\"DIRECT\": not"},
		{"QUIC q:1; PROXY p:1", "PROXY p:1", "left out \"QUIC\""},
		{"PROXY user:secret@p:1", "", "a PAC file cannot give user and password"},
		{"PROXY ::1:80; PROXY [::1; PROXY [a]; PROXY [::1]x; PROXY :80; PROXY http://p:1", "",
			"an IPv6 address stands in brackets|the bracket is not closed|brackets are for IPv6|only a port|not a host|in brackets"},
	} {
		entries, notes := Parse(c.text)
		var got []string
		for _, e := range entries {
			got = append(got, e.String())
		}
		if strings.Join(got, "|") != c.entries {
			t.Errorf("%q: %q", c.text, got)
		}
		var want []string
		if c.notes != "" {
			want = strings.Split(c.notes, "|")
		}
		if len(notes) != len(want) {
			t.Errorf("%q: notes %q", c.text, notes)
			continue
		}
		for i := range notes {
			if !strings.Contains(notes[i], want[i]) || strings.Contains(notes[i], "secret") {
				t.Errorf("%q: note %q, want %q", c.text, notes[i], want[i])
			}
		}
	}
	if entries, notes := Parse(strings.Repeat("DIRECT;", 100)); len(entries) != maxEntries || len(notes) != 1 {
		t.Errorf("a hundred: %d entries, %q", len(entries), notes)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"HTTPS secure:443; PROXY p1:8080; SOCKS5 s:1080; DIRECT", "PROXY [::1]:1;;", "SOCKS a\x00:1", "x", "PROXY É:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		entries, notes := Parse(text)
		if len(entries) > maxEntries || len(notes) > maxNotes+1 {
			t.Fatalf("%d entries, %d notes", len(entries), len(notes))
		}
		for _, e := range entries {
			again, notes := Parse(e.String())
			if len(notes) > 0 || !reflect.DeepEqual(again, []Entry{e}) {
				t.Fatalf("%q holds %#v, which reads as %#v (%q)", text, e, again, notes)
			}
		}
	})
}
