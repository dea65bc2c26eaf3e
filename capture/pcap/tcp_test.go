package pcap

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// transport is gopacket's layer for the same header, with the same options.
func transport(t *testing.T, h *tcp, ip gopacket.NetworkLayer, options []layers.TCPOption) *layers.TCP {
	t.Helper()
	l := &layers.TCP{SrcPort: layers.TCPPort(h.from), DstPort: layers.TCPPort(h.to), Seq: h.seq, Ack: h.ack, Window: h.window, Options: options,
		FIN: h.flags&flagFIN != 0, SYN: h.flags&flagSYN != 0, RST: h.flags&flagRST != 0, PSH: h.flags&flagPSH != 0, ACK: h.flags&flagACK != 0}
	if err := l.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestTCPHeaders(t *testing.T) {
	nop := layers.TCPOption{OptionType: layers.TCPOptionKindNop}
	options := []struct {
		ours   []byte
		theirs []layers.TCPOption
	}{
		{},
		{maximumSegmentSize(1440), []layers.TCPOption{{OptionType: layers.TCPOptionKindMSS, OptionData: []byte{1440 >> 8, 1440 & 0xff}}}},
		{[]byte{1}, []layers.TCPOption{nop}},
		{[]byte{4, 2}, []layers.TCPOption{{OptionType: layers.TCPOptionKindSACKPermitted}}},
		{[]byte{3, 3, 7}, []layers.TCPOption{{OptionType: layers.TCPOptionKindWindowScale, OptionData: []byte{7}}}},
		{append([]byte{1, 1}, bytes.Repeat([]byte{253, 19, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}, 2)...), // the most there can be
			[]layers.TCPOption{nop, nop, {OptionType: 253, OptionData: []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}}, {OptionType: 253, OptionData: []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}}}},
	}
	random := rand.New(rand.NewPCG(9293, 791))
	for _, ip := range pairs {
		for flags := range tcpFlags(1 << 5) {
			for _, length := range []int{0, 1, 2, 3, mss - 1, mss, maxHead + 1} {
				o := options[random.IntN(len(options))]
				h := &tcp{ip: ip, from: uint16(random.Uint32()), to: uint16(random.Uint32()), seq: random.Uint32(), ack: random.Uint32(), flags: flags, window: uint16(random.Uint32()), options: o.ours}
				payload := make(gopacket.Payload, length)
				for i := range payload {
					payload[i] = byte(random.Uint32()) | byte(length) // some of them nearly all ones
				}
				theirs := network(ip)
				if got, want := serialized(t, ip, h, payload), serialized(t, theirs, transport(t, h, theirs, o.theirs), payload); !bytes.Equal(got, want) {
					t.Fatalf("%+v, %d bytes: got\n%.100x, want\n%.100x", h, length, got, want)
				}
			}
		}
	}
	if got := (&tcp{}).LayerType(); got != layers.LayerTypeTCP {
		t.Errorf("a segment is of type %d, gopacket's of %d", got, layers.LayerTypeTCP)
	}
}

func TestTooManyTCPOptions(t *testing.T) {
	h := &tcp{ip: pairs[0], from: 1024, to: 80, options: make([]byte, 41)}
	err := gopacket.SerializeLayers(gopacket.NewSerializeBuffer(), gopacket.SerializeOptions{}, h)
	if want := "segment from port 1024 to 80: 41 bytes of options do not fit into TCP's header"; fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
