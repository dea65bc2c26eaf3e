package pcap

import (
	"bytes"
	"testing"

	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

func TestPrologIsPcapgos(t *testing.T) {
	if got, want := appendProlog(nil), pcapgosProlog(t); !bytes.Equal(got, want) {
		t.Errorf("got\n%x, want\n%x", got, want)
	}
}

func TestPcapgoReadsTheProlog(t *testing.T) {
	r, err := pcapgo.NewNgReader(bytes.NewReader(appendProlog(nil)), pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	i, err := r.Interface(0)
	if err != nil {
		t.Fatal(err)
	}
	if i.Name != "eaves" || i.LinkType != layers.LinkTypeRaw || i.TimestampResolution != 9 || i.SnapLength != 0 {
		t.Errorf("%+v", i)
	}
}

// Options of every length end where a word does.
func TestOptionsArePadded(t *testing.T) {
	for value, want := range map[string]string{
		"":      "\x05\x00\x00\x00",
		"a":     "\x05\x00\x01\x00a\x00\x00\x00",
		"abc":   "\x05\x00\x03\x00abc\x00",
		"abcd":  "\x05\x00\x04\x00abcd",
		"abcde": "\x05\x00\x05\x00abcde\x00\x00\x00",
	} {
		if got := appendOption([]byte("odd"), 5, value); string(got) != "odd"+want {
			t.Errorf("%q: got %q, want %q", value, got[3:], want)
		}
	}
}
