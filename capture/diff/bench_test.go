package diff

import (
	"fmt"
	"strings"
	"testing"
)

// Two long lists whose elements differ in noise only: what a large API's answer is like.
func BenchmarkCompareLongJSON(b *testing.B) {
	list := func(seed int) string {
		var s strings.Builder
		s.WriteString(`{"items":[`)
		for i := range 18_000 {
			if i > 0 {
				s.WriteByte(',')
			}
			fmt.Fprintf(&s, `{"id":"%08x-0c1e-4b8e-9d53-0123456789ab","at":"2026-01-02T03:04:%02d.%03dZ","name":"item %d","tags":["a","b",%d],"nested":{"price":%d.5,"list":[{"x":%d}]}}`, i*seed, i%60, seed, i, i%7, i, i)
		}
		s.WriteString(`]}`)
		return s.String()
	}
	bodies := kept{"1 response": list(3), "2 response": list(7)}
	b.Logf("%d bytes", len(bodies["1 response"]))
	masks, _ := ParseMasks("noise")
	for b.Loop() {
		r, err := Compare(b.Context(), sample(1, ""), sample(2, ""), bodies, masks)
		if err != nil || !r.Same {
			b.Fatalf("%v, %d differences", err, len(r.Differences)+r.More)
		}
	}
}
