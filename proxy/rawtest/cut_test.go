package rawtest

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"eaves/proxy/wire"
)

// An origin's reset within an answer that ends with the connection is a reset for the client, in TLS as well: without
// it, clients that do not mind a missing close_notify take what they got for the whole.
func TestResetOfAnAnswerWithoutLength(t *testing.T) {
	inModes(t, func(t *testing.T, p *play) {
		passed := make(chan struct{})
		go func() {
			o := <-p.origin.peers
			if _, err := wire.ReadRequestHead(o.r, wire.Limits{}); err == nil && o.send("HTTP/1.1 200 OK\r\n\r\nabc") == nil {
				// Not before the answer is on its way, or the reset would overtake it.
				<-passed
			}
			o.reset()
		}()
		if err := p.client.send(p.expand("GET $URL/ HTTP/1.1\r\nHost: $HOST\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		p.client.tcp.SetReadDeadline(time.Now().Add(10 * time.Second))
		got := ""
		b := make([]byte, 1000)
		var err error
		for told := false; err == nil; {
			var n int
			n, err = p.client.r.Read(b)
			got += string(b[:n])
			if n > 0 && got[len(got)-3:] == "abc" && !told {
				close(passed)
				told = true
			}
		}
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %q and %v, want a reset", got, err)
		}
	})
}
