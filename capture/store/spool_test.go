package store

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	"eaves/capture"
)

// Whatever pieces a body comes in, and however long it is, what is kept is what came.
func TestBodiesKeepTheirOrder(t *testing.T) {
	s := openStore(t, Config{})
	defer closeStore(t, s)
	rnd := rand.New(rand.NewPCG(1, 2))
	sizes := []int{1, 100, spillBuffer/2 - 1, spillBuffer / 2, spillBuffer - 1, spillBuffer, 3 * spillBuffer}
	for round := range 20 {
		r := s.Begin(&capture.Exchange{Request: capture.Request{Method: "GET", URL: "http://a.test/"}, Response: &capture.Response{Status: 200}})
		var want []byte
		for len(want) < 1<<20 {
			p := make([]byte, max(1, sizes[rnd.IntN(len(sizes))]-rnd.IntN(2)))
			for i := range p {
				p[i] = byte(rnd.Uint32())
			}
			want = append(want, p...)
			r.Body(capture.SideResponse, p)
		}
		r.Finish(func(x *capture.Exchange) { x.State = capture.StateDone })
		flush(t, s)
		b, err := s.Body(testContext(t), r.ID(), capture.SideResponse)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(b)
		b.Close()
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("round %d: %d bytes came, %d were kept, %v; they differ", round, len(want), len(got), err)
		}
	}
}
