// Command store fills a store with realistic exchanges and measures what recording and reading them costs.
//
//	go run -tags sqlite_fts5 ./bench/store -n 1000000 -dir /var/tmp/eaves-bench
//
// A directory that is there already is measured as it is. Results are printed as a table in Markdown; RESULTS.md keeps
// those of a run, with its command.
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"eaves/capture"
	"eaves/capture/filter"
	"eaves/capture/store"
)

func main() {
	n := flag.Int("n", 1_000_000, "exchanges")
	dir := flag.String("dir", "", "data directory; a new one if empty")
	flag.Parse()
	if err := run(*n, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "store:", err)
		os.Exit(1)
	}
}

func run(n int, dir string) error {
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "eaves-bench-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	ctx := context.Background()
	_, err := os.Stat(filepath.Join(dir, "eaves.db"))
	fresh := err != nil
	open := func() (*store.Store, time.Duration, error) {
		start := time.Now()
		s, err := store.Open(ctx, store.Config{Dir: dir, MaxSize: -1, Log: func(m string) { fmt.Fprintln(os.Stderr, m) }})
		return s, time.Since(start), err
	}
	s, opened, err := open()
	if err != nil {
		return err
	}
	fmt.Printf("%s, %d CPUs, %s\n\n| what | figure |\n|---|---|\n", runtime.Version(), runtime.NumCPU(), runtime.GOARCH)
	if fresh {
		if err := fill(ctx, s, n); err != nil {
			return err
		}
	}
	stats, err := s.Stats(ctx)
	for ; err == nil && stats.Exchanges == 0; stats, err = s.Stats(ctx) {
		time.Sleep(10 * time.Millisecond) // a store that was opened from a cold disk still counts
	}
	if err != nil {
		return err
	}
	if stats.FullText {
		start := time.Now()
		todo := stats.Unindexed
		cpu := cpuTime()
		for stats.Unindexed > 0 {
			time.Sleep(100 * time.Millisecond)
			if stats, err = s.Stats(ctx); err != nil {
				return err
			}
		}
		if todo > 0 {
			row("index the texts of %d exchanges", todo)("%.0f s, %.0f µs CPU each", time.Since(start).Seconds(), float64((cpuTime()-cpu).Microseconds())/float64(todo))
		}
	}
	row("eaves.db, search.db, bodies")("%d MiB, %d MiB, %d MiB", fileSize(filepath.Join(dir, "eaves.db"))>>20, fileSize(filepath.Join(dir, "search.db"))>>20, stats.BodyBytes>>20)
	if err := queries(ctx, s); err != nil {
		return err
	}
	start := time.Now()
	if err := s.Close(ctx); err != nil {
		return err
	}
	row("close")("%.0f ms", ms(time.Since(start)))
	if fresh {
		if s, opened, err = open(); err != nil {
			return err
		}
		defer s.Close(ctx)
	}
	row("open")("%.0f ms", ms(opened))
	return nil
}

func row(format string, args ...any) func(format string, args ...any) {
	return func(f string, a ...any) {
		fmt.Printf("| %s | %s |\n", fmt.Sprintf(format, args...), fmt.Sprintf(f, a...))
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func fileSize(path string) int64 {
	fi, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return fi.Size()
}

// queries asks what people ask, each several times, and shows the median and the slowest.
func queries(ctx context.Context, s *store.Store) error {
	stats, err := s.Stats(ctx)
	if err != nil {
		return err
	}
	for _, q := range []struct {
		name, filter string
		q            store.Query
	}{
		{"list, newest 100", "", store.Query{}},
		{"list, newest 100, with total", "", store.Query{Total: true}},
		{"list, 100 in the middle", "", store.Query{Before: stats.Exchanges / 2}},
		{"by revision, 100 in the middle", "", store.Query{ByChange: true, ChangedAfter: stats.Exchanges / 2}},
		{"common host", "host:www.host0.test", store.Query{}},
		{"rare host", "host:www.host1900.test", store.Query{}},
		{"common host and rare status", "host:www.host0.test status:503", store.Query{}},
		{"rare host and status, nothing found", "host:www.host1999.test status:599", store.Query{}},
		{"host and status, with total", "host:www.host3.test status:404", store.Query{Total: true}},
		{"host pattern and class", "host:*.host7.test status:5xx", store.Query{}},
		{"host pattern, nothing found", "host:*.nowhere.test status:4xx", store.Query{}},
		{"status alone", "status:503", store.Query{}},
		{"status alone, nothing found", "status:599", store.Query{}},
		{"class, with total", "status:5xx", store.Query{Total: true}},
		{"word in the URL", "checkout", store.Query{}},
		{"word in the URL, nothing found", "nowhere-to-be-seen", store.Query{}},
		{"method and time", "method:POST took>900ms", store.Query{}},
		{"failed", "is:failed", store.Query{}},
		{"marked", "is:marked", store.Query{}},
		{"header", `header[x-trace]:"77777"`, store.Query{Limit: 10}},
		{"text, in every second body", "body:lorem", store.Query{}},
		{"text, in one of 1,000", "body:needle", store.Query{}},
		{"text, in 5 of all", "body:haystackneedle", store.Query{}},
		{"text, nowhere", "body:nowhere-to-be-seen", store.Query{}},
		{"text, nowhere, of common trigrams", "body:loremipsumdolorsitamet", store.Query{}},
		{"text of two letters", "body:lo", store.Query{}},
		{"text and host", "body:lorem host:www.host1900.test", store.Query{}},
	} {
		f, err := filter.Parse(q.filter)
		if err != nil {
			return err
		}
		q.q.Filter = f
		var times []time.Duration
		var page store.Page
		for range 5 {
			start := time.Now()
			if page, err = s.List(ctx, q.q); err != nil {
				return fmt.Errorf("%s: %w", q.name, err)
			}
			times = append(times, time.Since(start))
			if times[0] > 5*time.Second {
				break
			}
		}
		first := times[0]
		slices.Sort(times)
		total := ""
		if page.Total >= 0 {
			total = fmt.Sprintf(" of %d", page.Total)
		}
		row("%s `%s`: %d%s", q.name, q.filter, len(page.Exchanges), total)("%.1f ms, first %.1f ms", ms(times[len(times)/2]), ms(first))
	}
	var times []time.Duration
	for i := range int64(200) {
		start := time.Now()
		if _, err := s.Get(ctx, 1+i*7919%stats.Exchanges); err != nil {
			return err
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	row("one whole exchange")("%.2f ms", ms(times[100]))
	return nil
}

// fill records n exchanges as fast as the store takes them.
func fill(ctx context.Context, s *store.Store, n int) error {
	start, cpu := time.Now(), cpuTime()
	g := newGenerator()
	begun := time.Now().Add(-time.Duration(n) * time.Second)
	for i := range n {
		x, status, mime, body, header := g.exchange(i)
		x.Started = begun.Add(time.Duration(i) * time.Second)
		r := s.Begin(x)
		r.Update(func(x *capture.Exchange) {
			x.Response = &capture.Response{Status: status, StatusText: "OK", HTTPVersion: "HTTP/2", HeadersSize: -1, Header: header, Content: capture.Content{MimeType: mime}}
		})
		r.Body(capture.SideResponse, body)
		r.Finish(func(x *capture.Exchange) {
			x.State = capture.StateDone
			x.Time = float64(20 + i*i%1000)
			if status == 0 {
				x.State, x.Response, x.Error = capture.StateFailed, nil, &capture.Error{Stage: capture.StageConnect, Message: "connection refused"}
			}
		})
		if i%100_000 == 99_999 {
			fmt.Fprintf(os.Stderr, "%d recorded in %.0f s\n", i+1, time.Since(start).Seconds())
		}
	}
	if err := s.Flush(ctx); err != nil {
		return err
	}
	took, used := time.Since(start), cpuTime()-cpu
	row("record %d exchanges", n)("%.0f s, %.0f/s, %.1f µs CPU each, their making included", took.Seconds(), float64(n)/took.Seconds(), float64(used.Microseconds())/float64(n))
	for i := range int64(5) {
		mark := "red"
		if err := s.Annotate(ctx, 1+i*int64(n)/5, &mark, nil); err != nil {
			return err
		}
	}
	return nil
}

// generator makes exchanges as a browser's traffic has them: few hosts have most of it, half of the bodies are
// compressed, a third are images.
type generator struct {
	rnd    *rand.Rand
	hosts  *rand.Zipf
	texts  [][]byte
	zipped [][]byte
	images [][]byte
}

var words = strings.Fields(`lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore magna aliqua
	user account session token balance currency amount order payment invoice customer product price quantity shipping address street city country`)

func newGenerator() *generator {
	rnd := rand.New(rand.NewPCG(1, 2))
	g := &generator{rnd: rnd, hosts: rand.NewZipf(rnd, 1.2, 4, 1999)}
	for i := range 4000 {
		var b bytes.Buffer
		b.WriteString("[")
		for b.Len() < 200+int(rnd.ExpFloat64()*1500) {
			fmt.Fprintf(&b, `{"id":%d,"%s":"%s %s %s","at":%d},`, rnd.IntN(1e9), words[rnd.IntN(len(words))], words[rnd.IntN(len(words))], words[rnd.IntN(len(words))], words[rnd.IntN(len(words))], rnd.IntN(1e9))
		}
		if i%2 == 0 {
			b.WriteString(`"lorem"`)
		}
		if i == 1000 || i == 3001 {
			b.WriteString(`"needle"`)
		}
		b.WriteString("]")
		g.texts = append(g.texts, b.Bytes())
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		w.Write(b.Bytes())
		w.Close()
		g.zipped = append(g.zipped, z.Bytes())
		image := make([]byte, 500+int(rnd.ExpFloat64()*3000))
		for j := range image {
			image[j] = byte(rnd.Uint32())
		}
		g.images = append(g.images, image)
	}
	return g
}

func (g *generator) exchange(i int) (x *capture.Exchange, status int, mime string, body []byte, header capture.Header) {
	host := fmt.Sprintf("www.host%d.test", g.hosts.Uint64())
	path := "/api/v1/" + words[g.rnd.IntN(len(words))] + "/" + fmt.Sprint(g.rnd.IntN(1e6))
	if i%5000 == 0 {
		path = "/checkout/" + fmt.Sprint(i)
	}
	method := "GET"
	if i%7 == 0 {
		method = "POST"
	}
	x = &capture.Exchange{Kind: capture.KindHTTP, Source: capture.SourceProxy, Timings: capture.Timings{Blocked: 0.1, DNS: -1, Connect: -1, SSL: -1, Send: 0.1, Wait: 20.5, Receive: 1.25},
		Client: capture.Client{Address: "127.0.0.1:51234", HTTPVersion: "HTTP/2"}, ServerIPAddress: "192.0.2.1", Connection: fmt.Sprint(i / 20), Reused: i%20 != 0, AnsweredBy: capture.AnsweredByOrigin,
		Route: &capture.Route{Source: "direct", Hops: []capture.Hop{{Kind: "origin", Address: host + ":443"}}},
		Request: capture.Request{Method: method, URL: "https://" + host + path + "?page=" + fmt.Sprint(i%50), HTTPVersion: "HTTP/2", HeadersSize: -1,
			Header: capture.Header{{Name: ":authority", Value: host}, {Name: "user-agent", Value: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"},
				{Name: "accept", Value: "application/json, text/plain, */*"}, {Name: "accept-encoding", Value: "gzip, deflate, br, zstd"}, {Name: "accept-language", Value: "en-US,en;q=0.9"},
				{Name: "cookie", Value: "session=0123456789abcdef0123456789abcdef; theme=dark"}, {Name: "referer", Value: "https://" + host + "/"}}}}
	status = 200
	switch r := g.rnd.IntN(1000); {
	case r < 30:
		status = 404
	case r < 80:
		status = 304
	case r < 84:
		status = 503
	case r < 86:
		status = 0
	}
	header = capture.Header{{Name: "date", Value: "Sat, 21 Nov 2026 22:00:00 GMT"}, {Name: "server", Value: "nginx"}, {Name: "cache-control", Value: "no-store, max-age=0"},
		{Name: "strict-transport-security", Value: "max-age=63072000"}, {Name: "vary", Value: "Accept-Encoding"}, {Name: "x-trace", Value: fmt.Sprint(i)}}
	switch k := g.rnd.IntN(10); {
	case status != 200 || k == 0:
		mime = "text/html"
	case k < 4:
		mime, body = "image/webp", g.images[g.rnd.IntN(len(g.images))]
	case k < 7:
		mime, body = "application/json; charset=utf-8", g.zipped[g.rnd.IntN(len(g.zipped))]
		header = append(header, capture.Field{Name: "content-encoding", Value: "gzip"})
	default:
		mime, body = "application/json; charset=utf-8", g.texts[g.rnd.IntN(len(g.texts))]
	}
	if i%200_000 == 100_000 {
		mime, body, status = "text/plain", []byte("the haystackneedle of "+fmt.Sprint(i)), 200
		header = header[:6]
	}
	header = append(header, capture.Field{Name: "content-type", Value: mime}, capture.Field{Name: "content-length", Value: fmt.Sprint(len(body))})
	return x, status, mime, body, header
}
