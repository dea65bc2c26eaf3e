package pcap

import (
	"encoding/binary"
	"fmt"

	"github.com/google/gopacket"
)

// tcpFlags are the control bits (RFC 9293, 3.1).
type tcpFlags uint8

const (
	flagFIN tcpFlags = 1 << iota
	flagSYN
	flagRST
	flagPSH
	flagACK
)

const (
	tcpHeaderSize = 20
	// maxTCPHeaderSize is what the four bits of the data offset can say.
	maxTCPHeaderSize = 15 * 4

	optionMSS = 2
)

// tcp is the header of a TCP segment.
type tcp struct {
	// ip is what the checksum takes its pseudo header from.
	ip       ipHeader
	from, to uint16
	seq, ack uint32
	flags    tcpFlags
	window   uint16
	// options as they are written, but for the padding.
	options []byte
}

// maximumSegmentSize is the option of that name (RFC 9293, 3.7.1).
func maximumSegmentSize(n uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{optionMSS, 4}, n)
}

func (*tcp) LayerType() gopacket.LayerType { return layerTypeTCP }

// SerializeTo puts the header before what is in b, and its checksum into it (RFC 9293, 3.1).
func (t *tcp) SerializeTo(b gopacket.SerializeBuffer, _ gopacket.SerializeOptions) error {
	size := tcpHeaderSize + padded(len(t.options))
	if size > maxTCPHeaderSize {
		return fmt.Errorf("segment from port %d to %d: %d bytes of options do not fit into TCP's header", t.from, t.to, len(t.options))
	}
	h, err := b.PrependBytes(size)
	if err != nil {
		return err
	}
	be := binary.BigEndian
	be.PutUint16(h, t.from)
	be.PutUint16(h[2:], t.to)
	be.PutUint32(h[4:], t.seq)
	be.PutUint32(h[8:], t.ack)
	h[12], h[13] = byte(size/4)<<4, byte(t.flags)
	be.PutUint16(h[14:], t.window)
	be.PutUint32(h[16:], 0) // the checksum, made of the segment without it, and the urgent pointer
	clear(h[tcpHeaderSize+copy(h[tcpHeaderSize:], t.options):])
	segment := b.Bytes()
	be.PutUint16(h[16:], checksum(sum(t.ip.pseudoHeader(len(segment)), segment)))
	return nil
}
