package pcap

import (
	"encoding/binary"
	"runtime"
)

// Blocks, options and their codes are those of draft-ietf-opsawg-pcapng, sections 3.5, 4.1 and 4.2. All is little endian,
// which the byte-order magic tells.

const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1

	byteOrderMagic = 0x1a2b3c4d
	versionMajor   = 1
	versionMinor   = 0

	// linkTypeRaw is that of packets that begin with an IP header.
	linkTypeRaw = 101

	optionEnd         = 0
	optionComment     = 1
	optionName        = 2 // if_name
	optionSystem      = 3 // shb_os
	optionApplication = 4 // shb_userappl
	optionResolution  = 9 // if_tsresol

	// nanoseconds is the resolution of times, as the negative power of ten.
	nanoseconds = 9
)

// appendProlog appends what a file begins with: a section header and the description of its one interface.
func appendProlog(b []byte) []byte {
	le := binary.LittleEndian

	section := le.AppendUint32(nil, byteOrderMagic)
	section = le.AppendUint16(section, versionMajor)
	section = le.AppendUint16(section, versionMinor)
	section = le.AppendUint64(section, 1<<64-1) // the section's length is not known
	section = appendOption(section, optionApplication, "eaves")
	section = appendOption(section, optionSystem, runtime.GOOS)
	section = appendOption(section, optionEnd, "")

	description := le.AppendUint16(nil, linkTypeRaw)
	description = le.AppendUint16(description, 0)
	description = le.AppendUint32(description, 0) // packets of any length
	description = appendOption(description, optionName, "eaves")
	description = appendOption(description, optionResolution, string([]byte{nanoseconds}))
	description = appendOption(description, optionEnd, "")

	return appendBlock(appendBlock(b, blockSection, section), blockInterface, description)
}

// appendBlock appends a block. Its body must fill whole words.
func appendBlock(b []byte, kind uint32, body []byte) []byte {
	const around = 3 * 4 // type, and the length before and after
	le := binary.LittleEndian
	b = le.AppendUint32(b, kind)
	b = le.AppendUint32(b, uint32(around+len(body)))
	b = append(b, body...)
	return le.AppendUint32(b, uint32(around+len(body)))
}

// appendOption appends an option. The last one of a block is optionEnd.
func appendOption(b []byte, code uint16, value string) []byte {
	le := binary.LittleEndian
	b = le.AppendUint16(b, code)
	b = le.AppendUint16(b, uint16(len(value)))
	return pad(append(b, value...), len(value))
}

func padded(n int) int { return (n + 3) &^ 3 }

func pad(b []byte, n int) []byte {
	for ; n%4 != 0; n++ {
		b = append(b, 0)
	}
	return b
}
