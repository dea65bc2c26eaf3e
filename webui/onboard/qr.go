package onboard

import (
	"fmt"
	"html/template"
	"strings"

	"github.com/skip2/go-qrcode"
)

// quiet is the width of the light border around a code, in modules (ISO/IEC 18004, 9.1).
const quiet = 4

// bitmap returns the dark modules of a code for text, without its border.
func bitmap(text string) ([][]bool, error) {
	q, err := qrcode.New(text, qrcode.Medium)
	if err != nil {
		return nil, fmt.Errorf("making a QR code: %w", err)
	}
	q.DisableBorder = true
	return q.Bitmap(), nil
}

// Code returns a code for text as the path of an SVG of size by size modules, its light border included. Each run of dark
// modules in a row is one piece of the path.
func Code(text string) (size int, path string, err error) {
	rows, err := bitmap(text)
	if err != nil {
		return 0, "", err
	}
	var b strings.Builder
	for y, row := range rows {
		for x := 0; x < len(row); x++ {
			from := x
			for x < len(row) && row[x] {
				x++
			}
			if x > from {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", from+quiet, y+quiet, x-from, x-from)
			}
		}
	}
	return len(rows) + 2*quiet, b.String(), nil
}

// qrSVG returns a code for text as an SVG element of dark modules on a light ground, whatever colours the page has:
// not every reader takes an inverted code.
func qrSVG(text string) (template.HTML, error) {
	size, path, err := Code(text)
	if err != nil {
		return "", err
	}
	return template.HTML(fmt.Sprintf(`<svg class="qr" role="img" aria-label="QR code of %s" viewBox="0 0 %d %d" shape-rendering="crispEdges">`+
		`<path fill="#fff" d="M0 0h%dv%dH0z"/><path fill="#000" d="%s"/></svg>`, template.HTMLEscapeString(text), size, size, size, size, path)), nil
}

// TerminalQR returns a code for text as lines for a terminal, two rows of modules to a line. Its colours are set
// (black on white, out of the part of the palette that themes leave alone), so that it can be read on dark and light
// terminals alike.
func TerminalQR(text string) (string, error) {
	const on, off = "\x1b[38;5;16;48;5;231m", "\x1b[0m"
	rows, err := bitmap(text)
	if err != nil {
		return "", err
	}
	// Two modules of border do for a screen, which has no edge to be mistaken for one.
	const border = 2
	dark := func(x, y int) bool {
		x, y = x-border, y-border
		return y >= 0 && y < len(rows) && x >= 0 && x < len(rows[y]) && rows[y][x]
	}
	var b strings.Builder
	size := len(rows) + 2*border
	for y := 0; y < size; y += 2 {
		b.WriteString(on)
		for x := range size {
			switch upper, lower := dark(x, y), dark(x, y+1); {
			case upper && lower:
				b.WriteRune('█')
			case upper:
				b.WriteRune('▀')
			case lower:
				b.WriteRune('▄')
			default:
				b.WriteByte(' ')
			}
		}
		b.WriteString(off + "\n")
	}
	return b.String(), nil
}
