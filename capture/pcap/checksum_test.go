package pcap

import (
	"bytes"
	"testing"
)

func TestChecksum(t *testing.T) {
	for _, c := range []struct {
		name string
		data []byte
		want uint16
	}{
		{"RFC 1071, 3", []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}, ^uint16(0xddf2)},
		{"nothing", nil, 0xffff},
		{"an odd byte is the high one", []byte{0x12}, ^uint16(0x1200)},
		{"an odd byte after a word", []byte{0x00, 0x01, 0x12}, ^uint16(0x1201)},
		{"folding carries once more", []byte{0xff, 0xff, 0xff, 0xff, 0x00, 0x01}, ^uint16(1)},
		{"the largest packet", bytes.Repeat([]byte{0xff}, 65535), ^uint16(0xff00)},
	} {
		if got := checksum(sum(0, c.data)); got != c.want {
			t.Errorf("%s: got %04x, want %04x", c.name, got, c.want)
		}
	}
}

// What is sent with its checksum adds up to nothing.
func TestChecksumOfASumIsZero(t *testing.T) {
	data := []byte("eaves writes packets")
	c := checksum(sum(0, data))
	if got := checksum(sum(0, append(data, byte(c>>8), byte(c)))); got != 0 {
		t.Errorf("got %04x", got)
	}
}
