package filter

import (
	"testing"

	"eaves/capture"
)

// BenchmarkMatch measures what a console's filter costs for each change.
func BenchmarkMatch(b *testing.B) {
	x := example()
	for name, text := range map[string]string{
		"host":     "host:*.bank.test status:4xx",
		"word":     "checkout",
		"header":   "header[content-type]:json",
		"receipts": "cert.asked -cert.sent tls.version>=1.2",
		"regexp":   `path~"^/v[0-9]+/(accounts|orders)"`,
	} {
		f, err := Parse(text)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f.Match(Subject{Exchange: x, Now: exampleNow})
			}
		})
	}
}

// BenchmarkRow measures what makes the columns that filters compare.
func BenchmarkRow(b *testing.B) {
	x := example()
	var values []any
	b.ReportAllocs()
	for b.Loop() {
		values = Row(values[:0], x)
	}
}

// BenchmarkHeaderTerm measures what makes the term of a header field, of which an exchange has some twenty.
func BenchmarkHeaderTerm(b *testing.B) {
	f := capture.Field{Name: "User-Agent", Value: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"}
	b.ReportAllocs()
	for b.Loop() {
		HeaderTerm(capture.SideRequest, f)
	}
}
