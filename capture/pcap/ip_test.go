package pcap

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// serialized is what layers make of themselves. What an earlier packet left in the buffer must not show.
func serialized(t *testing.T, l ...gopacket.SerializableLayer) []byte {
	t.Helper()
	buf := gopacket.NewSerializeBuffer()
	dirty, err := buf.PrependBytes(200)
	if err != nil {
		t.Fatal(err)
	}
	copy(dirty, bytes.Repeat([]byte{0xa5}, len(dirty)))
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, l...); err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(buf.Bytes())
}

// network is gopacket's layer for the same header.
func network(ip ipHeader) interface {
	gopacket.SerializableLayer
	gopacket.NetworkLayer
} {
	if ip.from.Is4() {
		return &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, Flags: layers.IPv4DontFragment, SrcIP: ip.from.AsSlice(), DstIP: ip.to.AsSlice()}
	}
	return &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolTCP, SrcIP: ip.from.AsSlice(), DstIP: ip.to.AsSlice()}
}

func between(from, to string) ipHeader {
	return ipHeader{netip.MustParseAddr(from), netip.MustParseAddr(to)}
}

var pairs = []ipHeader{
	between("127.0.0.1", "192.0.2.9"),
	between("255.255.255.255", "255.255.255.254"),
	between("0.0.0.0", "0.0.0.0"),
	between("2001:db8::1", "fe80::2"),
	between("::ffff:192.0.2.1", "2001:db8::1"),
	between("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::"),
}

func TestIPHeaders(t *testing.T) {
	for _, ip := range pairs {
		for _, length := range []int{0, 1, 2, 1439, 1440, maxIPLength - ipv4HeaderSize} {
			payload := gopacket.Payload(bytes.Repeat([]byte{0xc3}, length))
			if got, want := serialized(t, ip, payload), serialized(t, network(ip), payload); !bytes.Equal(got, want) {
				t.Errorf("%v, %d bytes: got\n%.40x, want\n%.40x", ip, length, got, want)
			}
		}
		if got, want := ip.LayerType(), network(ip).LayerType(); got != want {
			t.Errorf("%v is of type %d, gopacket's of %d", ip, got, want)
		}
	}
}

func TestIPHeadersThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		ip     ipHeader
		length int
		want   string
	}{
		{between("127.0.0.1", "192.0.2.9"), 65516, "packet from 127.0.0.1 to 192.0.2.9: 65536 bytes do not fit into IPv4"},
		{between("::1", "::2"), 65536, "packet from ::1 to ::2: 65536 bytes do not fit into IPv6"},
		{between("::1", "127.0.0.1"), 0, "packet from ::1 to 127.0.0.1: addresses of two families"},
		{between("127.0.0.1", "::1"), 0, "packet from 127.0.0.1 to ::1: addresses of two families"},
	} {
		err := gopacket.SerializeLayers(gopacket.NewSerializeBuffer(), gopacket.SerializeOptions{}, c.ip, gopacket.Payload(strings.Repeat("x", c.length)))
		if err == nil || err.Error() != c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}
