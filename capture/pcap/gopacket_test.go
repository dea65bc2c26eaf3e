package pcap

import (
	"bytes"
	"encoding/binary"
	"go/build"
	"runtime"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"eaves/capture"
	"eaves/capture/internal/sample"
)

// gopacket's layers are what this package's headers and blocks are held against, byte for byte.

// pcapgosProlog is the start of a file as pcapgo writes it.
func pcapgosProlog(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	ng, err := pcapgo.NewNgWriterInterface(&out,
		pcapgo.NgInterface{Name: "eaves", LinkType: layers.LinkTypeRaw, TimestampResolution: 9},
		pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{OS: runtime.GOOS, Application: "eaves"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := ng.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// seen counts the kinds of packets that were compared.
type seen struct{ v4, v6, odd, cut, options, packets int }

// reference is the packet that gopacket's layers make of a packet's addresses, ports, numbers, flags and payload.
func reference(t *testing.T, data []byte, missing int, n *seen) []byte {
	t.Helper()
	var (
		ip   gopacket.SerializableLayer
		in   []byte
		tcp  layers.TCP
		made layers.TCP
	)
	if data[0]>>4 == 4 {
		var got layers.IPv4
		if err := got.DecodeFromBytes(data, gopacket.NilDecodeFeedback); err != nil {
			t.Fatal(err)
		}
		v4 := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, Flags: layers.IPv4DontFragment, SrcIP: got.SrcIP, DstIP: got.DstIP}
		ip, in = v4, got.Payload
		if err := made.SetNetworkLayerForChecksum(v4); err != nil {
			t.Fatal(err)
		}
		n.v4++
	} else {
		var got layers.IPv6
		if err := got.DecodeFromBytes(data, gopacket.NilDecodeFeedback); err != nil {
			t.Fatal(err)
		}
		v6 := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolTCP, SrcIP: got.SrcIP, DstIP: got.DstIP}
		ip, in = v6, got.Payload
		if err := made.SetNetworkLayerForChecksum(v6); err != nil {
			t.Fatal(err)
		}
		n.v6++
	}
	if err := tcp.DecodeFromBytes(in, gopacket.NilDecodeFeedback); err != nil {
		t.Fatal(err)
	}
	made.SrcPort, made.DstPort, made.Seq, made.Ack, made.Window = tcp.SrcPort, tcp.DstPort, tcp.Seq, tcp.Ack, 65535
	made.SYN, made.ACK, made.PSH, made.FIN, made.RST = tcp.SYN, tcp.ACK, tcp.PSH, tcp.FIN, tcp.RST
	if tcp.SYN {
		made.Options = []layers.TCPOption{{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{mss >> 8, mss & 0xff}}}
		n.options++
	}
	payload := append(bytes.Clone(tcp.Payload), make([]byte, missing)...)
	n.odd += len(payload) % 2
	n.cut += missing
	n.packets++
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, &made, gopacket.Payload(payload)); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()[:len(buf.Bytes())-missing]
}

// rewritten is the file as it would be had gopacket's layers and pcapgo written it.
func rewritten(t *testing.T, file []byte, n *seen) []byte {
	t.Helper()
	start := pcapgosProlog(t)
	if !bytes.HasPrefix(file, start) {
		t.Fatalf("the file begins with\n%x, want\n%x", file[:min(len(start), len(file))], start)
	}
	out := bytes.Clone(start)
	le := binary.LittleEndian
	for rest := file[len(start):]; len(rest) > 0; {
		size := le.Uint32(rest[4:])
		captured, length := le.Uint32(rest[20:]), le.Uint32(rest[24:])
		out = append(out, rest[:28]...)
		out = append(out, reference(t, rest[28:28+captured], int(length-captured), n)...)
		out = append(out, rest[28+captured:size]...)
		rest = rest[size:]
	}
	return out
}

// corners are exchanges of both families, with bodies of lengths around those where segments and words end, some of them
// cut, and with each end that a connection has.
func corners() *sample.Source {
	s := &sample.Source{Bodies: map[sample.Key][]byte{}}
	for _, url := range []string{"http://192.0.2.7/", "http://[2001:db8::7]:8080/", "http://a.test/"} {
		for _, version := range []string{"HTTP/1.1", "HTTP/2"} {
			for i, length := range []int{0, 1, 2, 3, mss - 1, mss, mss + 1, 2*mss + 1, ackEach*mss + 1} {
				body := bytes.Repeat([]byte{0xff, 0x00, 0xfe}, length/3+1)[:length]
				h := capture.Header{{Name: "Content-Type", Value: "text/plain"}, {Name: "X-Pad", Value: strings.Repeat("p", i)}}
				cut := i%2 == 1
				x := &capture.Exchange{ID: int64(len(s.Exchanges) + 1), Started: sample.Now, State: []capture.State{capture.StateDone, capture.StateFailed, capture.StateOpen}[i%3],
					Client:   capture.Client{Address: []string{"10.1.2.3:5", "[fe80::1%eth0]:5"}[i%2]},
					Request:  capture.Request{Method: "POST", URL: url, HTTPVersion: version, Header: h, Truncated: cut},
					Response: &capture.Response{Status: 200, StatusText: "OK", HTTPVersion: version, Header: h, Truncated: cut}}
				s.Exchanges = append(s.Exchanges, x)
				for _, side := range []capture.Side{capture.SideRequest, capture.SideResponse} {
					s.Bodies[sample.Key{ID: x.ID, Side: side}] = body
				}
			}
		}
	}
	return s
}

func TestGopacketWouldWriteTheSameBytes(t *testing.T) {
	var n seen
	for name, s := range map[string]*sample.Source{"samples": sample.Exchanges(), "corners": corners()} {
		var out bytes.Buffer
		write(t, &out, s, s.Exchanges...)
		if want := rewritten(t, out.Bytes(), &n); !bytes.Equal(out.Bytes(), want) {
			t.Errorf("%s: %d bytes differ from gopacket's %d, first at %d", name, out.Len(), len(want), difference(out.Bytes(), want))
		}
	}
	if n.v4 == 0 || n.v6 == 0 || n.odd == 0 || n.cut == 0 || n.options == 0 {
		t.Errorf("some kind of packet was not compared: %+v", n)
	}
	t.Logf("compared %+v", n)
}

// difference is where a and b part.
func difference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// A program that has gopacket's layers in it fills their tables when it starts: megabytes for an idle eaves to hold.
func TestOnlyTestsImportGopacketsLayers(t *testing.T) {
	p, err := build.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range p.Imports {
		if strings.HasPrefix(i, "github.com/google/gopacket/") {
			t.Errorf("%s imports %s: import gopacket alone, and write the header here", p.Name, i)
		}
	}
}
