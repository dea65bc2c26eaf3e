package onboard

import (
	"encoding/xml"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const address = "http://192.168.178.123:8484/"

func TestSVGIsTheBitmap(t *testing.T) {
	svg, err := qrSVG(address)
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(strings.NewReader(string(svg))); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	rows, err := bitmap(address)
	if err != nil {
		t.Fatal(err)
	}
	drawn := map[[2]int]bool{}
	for _, m := range regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-`).FindAllStringSubmatch(string(svg), -1) {
		x, _ := strconv.Atoi(m[1])
		y, _ := strconv.Atoi(m[2])
		n, _ := strconv.Atoi(m[3])
		for i := range n {
			drawn[[2]int{x + i - quiet, y - quiet}] = true
		}
	}
	for y, row := range rows {
		for x, dark := range row {
			if drawn[[2]int{x, y}] != dark {
				t.Fatalf("module %d, %d", x, y)
			}
		}
	}
}

func TestQRTextIsEscaped(t *testing.T) {
	svg, err := qrSVG(`"><script>`)
	if err != nil || strings.Contains(string(svg), "<script>") {
		t.Errorf("%v: %s", err, svg)
	}
}

func TestTooLongForACode(t *testing.T) {
	if _, err := TerminalQR(strings.Repeat("x", 5000)); err == nil {
		t.Error("no error")
	}
	if _, err := qrSVG(strings.Repeat("x", 5000)); err == nil {
		t.Error("no error")
	}
}

// A reader of codes reads the terminal's picture.
func TestTerminalQRCanBeRead(t *testing.T) {
	text, err := TerminalQR(address)
	if err != nil {
		t.Fatal(err)
	}
	plain := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(text, "")
	lines := strings.Split(strings.TrimSuffix(plain, "\n"), "\n")
	const scale = 8
	var img *image.Gray
	for y, line := range lines {
		cells := []rune(line)
		if img == nil {
			img = image.NewGray(image.Rect(0, 0, len(cells)*scale, len(lines)*2*scale))
		}
		for x, cell := range cells {
			for half := range 2 {
				dark := cell == '█' || half == 0 && cell == '▀' || half == 1 && cell == '▄'
				for dy := range scale {
					for dx := range scale {
						c := color.Gray{255}
						if dark {
							c.Y = 0
						}
						img.SetGray(x*scale+dx, (y*2+half)*scale+dy, c)
					}
				}
			}
		}
	}
	if len(lines) > 24 {
		t.Errorf("%d lines do not fit on a small terminal", len(lines))
	}
	program, err := exec.LookPath("zbarimg")
	if err != nil {
		t.Skip("zbarimg is not installed: the picture's form is tested, not that it can be read")
	}
	file := filepath.Join(t.TempDir(), "code.png")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
	f.Close()
	out, err := exec.Command(program, "-q", "--raw", file).Output()
	if err != nil || strings.TrimSpace(string(out)) != address {
		t.Errorf("read %q (%v)", out, err)
	}
}
