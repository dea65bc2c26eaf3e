// Command store fills a store with realistic exchanges and measures what recording and reading them costs while more
// come in.
//
//	go run -tags sqlite_fts5 ./bench/store -n 1000000 -dir /var/tmp/eaves-bench
//
// A directory that is there already is measured as it is; -keep leaves out what would remove from it. Results are
// printed as tables in Markdown; RESULTS.md keeps those of a run, with its command.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"time"

	"eaves/capture/filter"
	"eaves/capture/store"
)

// options are the command's flags.
type options struct {
	n    int
	dir  string
	rate int
	only *regexp.Regexp
	keep bool
	fill bool
	wait bool
}

func main() {
	var o options
	flag.IntVar(&o.n, "n", 1_000_000, "exchanges")
	flag.StringVar(&o.dir, "dir", "", "data directory; a new one if empty, removed at the end")
	flag.IntVar(&o.rate, "rate", 2000, "exchanges a second that are recorded meanwhile")
	only := flag.String("only", "", "regular expression: ask only questions whose name matches")
	flag.BoolVar(&o.keep, "keep", false, "remove nothing from the store")
	flag.BoolVar(&o.fill, "fill", false, "only fill and index it")
	flag.BoolVar(&o.wait, "wait", true, "wait until all texts are indexed")
	flag.Parse()
	o.only = regexp.MustCompile(*only)
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "store:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if o.dir == "" {
		var err error
		if o.dir, err = os.MkdirTemp("", "eaves-bench-"); err != nil {
			return err
		}
		defer os.RemoveAll(o.dir)
	}
	_, err := os.Stat(filepath.Join(o.dir, "eaves.db"))
	fresh := err != nil
	s, _, err := open(ctx, o.dir)
	if err != nil {
		return err
	}
	fmt.Printf("%s, SQLite %s, %d CPUs, %s/%s\n", runtime.Version(), sqlite(ctx, s), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
	heading("what", "figure")
	if fresh {
		if err := fill(ctx, s, o.n); err != nil {
			return err
		}
	}
	if err := settle(ctx, s, o); err != nil {
		return err
	}
	if o.fill {
		return s.Close(ctx)
	}
	if s, err = reopen(ctx, s, o.dir); err != nil {
		return err
	}
	t := startTraffic(ctx, s, o.rate)
	err = queries(ctx, s, o)
	if err == nil && !o.keep {
		err = removals(ctx, s)
	}
	t.end()
	if err != nil {
		return err
	}
	fmt.Printf("\nTraffic meanwhile: %d exchanges, %.0f/s; handing one over took %.2f ms at p50, %.2f ms at p99, %.0f ms at most.\n",
		t.recorded, float64(t.recorded)/t.took.Seconds(), ms(at(t.times, .5)), ms(at(t.times, .99)), ms(at(t.times, 1)))
	return s.Close(ctx)
}

func open(ctx context.Context, dir string) (*store.Store, time.Duration, error) {
	start := time.Now()
	s, err := store.Open(ctx, store.Config{Dir: dir, MaxSize: -1, Log: func(m string) { fmt.Fprintln(os.Stderr, m) }})
	return s, time.Since(start), err
}

func sqlite(ctx context.Context, s *store.Store) string {
	stats, _ := s.Stats(ctx)
	return stats.SQLite
}

// settle waits until everything is counted and indexed.
func settle(ctx context.Context, s *store.Store, o options) error {
	stats, err := s.Stats(ctx)
	start, cpu, todo := time.Now(), cpuTime(), stats.Unindexed
	for err == nil && (stats.Exchanges == 0 || o.wait && stats.FullText && stats.Unindexed > 0) {
		time.Sleep(100 * time.Millisecond)
		stats, err = s.Stats(ctx)
	}
	if err != nil {
		return err
	}
	if todo > 0 && o.wait {
		row("index the texts of %d exchanges", todo)("%.0f s, %.0f µs CPU each", time.Since(start).Seconds(), float64((cpuTime()-cpu).Microseconds())/float64(todo))
	}
	db, index := fileSize(filepath.Join(o.dir, "eaves.db")), fileSize(filepath.Join(o.dir, "search.db"))
	n := max(stats.Exchanges, 1)
	row("%d exchanges: eaves.db, search.db, bodies in files", stats.Exchanges)("%d MiB, %d MiB, %d MiB", db>>20, index>>20, stats.BodyBytes>>20)
	row("bytes an exchange, of them search.db")("%d, %d", (db+index+stats.BodyBytes)/n, index/n)
	return nil
}

// reopen measures starts.
func reopen(ctx context.Context, s *store.Store, dir string) (*store.Store, error) {
	var opened, closed []time.Duration
	for range 5 {
		start := time.Now()
		if err := s.Close(ctx); err != nil {
			return nil, err
		}
		closed = append(closed, time.Since(start))
		next, took, err := open(ctx, dir)
		if err != nil {
			return nil, err
		}
		s, opened = next, append(opened, took)
	}
	row("close, the median of 5")("%.0f ms", ms(median(closed)))
	row("open, the median of 5; the slowest")("%.0f ms; %.0f ms", ms(median(opened)), ms(at(opened, 1)))
	// The rest of the measurements shall not be of a store that still counts.
	for stats, err := s.Stats(ctx); stats.Exchanges == 0; stats, err = s.Stats(ctx) {
		if err != nil {
			return nil, err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return s, nil
}

// Bounds of how often a question is asked.
const (
	most    = 100
	least   = 3
	askFor  = 2 * time.Second
	hopeFor = 30 * time.Second
	// thinking is the least time between two questions.
	thinking = 5 * time.Millisecond
)

// asked is how long a question took, each time it was asked, and how long of that its thread computed: this hardly depends
// on what else goes on.
type asked struct{ times, cpu []time.Duration }

// figures are the last columns of a table of questions.
func (a asked) figures() []string {
	return []string{fmt.Sprintf("%.1f", ms(at(a.times, .5))), fmt.Sprintf("%.1f", ms(at(a.times, .99))), fmt.Sprintf("%.1f", ms(at(a.cpu, .5))), fmt.Sprint(len(a.times))}
}

// measure asks a question many times.
func measure(ask func() error) (a asked, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for start := time.Now(); len(a.times) < most && (len(a.times) < least || time.Since(start) < askFor) && time.Since(start) < hopeFor; {
		began, cpu := time.Now(), threadCPU()
		if err := ask(); err != nil {
			return a, err
		}
		took := time.Since(began)
		a.times, a.cpu = append(a.times, took), append(a.cpu, threadCPU()-cpu)
		time.Sleep(max(took, thinking)) // as who asks reads the answer
	}
	return a, nil
}

// queries asks what people ask.
func queries(ctx context.Context, s *store.Store, o options) error {
	stats, err := s.Stats(ctx)
	if err != nil {
		return err
	}
	heading("question", "filter", "found", "p50 ms", "p99 ms", "CPU ms", "times")
	for _, q := range questions(stats) {
		if !o.only.MatchString(q.name) {
			continue
		}
		f, err := filter.Parse(q.filter)
		if err != nil {
			return fmt.Errorf("%s: %w", q.filter, err)
		}
		q.q.Filter = f
		var page store.Page
		a, err := measure(func() (err error) {
			page, err = s.List(ctx, q.q)
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", q.filter, err)
		}
		found := fmt.Sprint(len(page.Exchanges))
		if q.q.Total {
			found += " of " + fmt.Sprint(page.Total)
			if page.Total < 0 {
				found = fmt.Sprint(len(page.Exchanges)) + ", not counted in time"
			}
		}
		line(append([]string{q.name, "`" + q.filter + "`", found}, a.figures()...)...)
	}
	if !o.only.MatchString("pages") {
		return nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var a asked
	before, start := int64(0), time.Now()
	for range 1000 {
		began, cpu := time.Now(), threadCPU()
		page, err := s.List(ctx, store.Query{Before: before})
		if err != nil {
			return err
		}
		a.times, a.cpu = append(a.times, time.Since(began)), append(a.cpu, threadCPU()-cpu)
		if len(page.Exchanges) == 0 {
			break
		}
		before = page.Exchanges[len(page.Exchanges)-1].ID
	}
	line(append([]string{fmt.Sprintf("%d pages of 100, one after the other, in %.1f s", len(a.times), time.Since(start).Seconds()), "", "100"}, a.figures()...)...)
	i := int64(0)
	if a, err = measure(func() error {
		i++
		_, err := s.Get(ctx, 1+i*7919%stats.Exchanges)
		return err
	}); err != nil {
		return err
	}
	line(append([]string{"one whole exchange, here and there", "", "1"}, a.figures()...)...)
	return nil
}

// removals removes by filter and by size.
func removals(ctx context.Context, s *store.Store) error {
	heading("removal", "removed", "took", "each")
	for _, text := range []string{"host:www.host1900.test", "status:503", "header[x-trace]:77777", "cert.verdict:rejected"} {
		f, err := filter.Parse(text)
		if err != nil {
			return err
		}
		start := time.Now()
		n, err := s.Delete(ctx, f)
		if err != nil {
			return err
		}
		took := time.Since(start)
		line("delete `"+text+"`", fmt.Sprint(n), fmt.Sprintf("%.0f ms", ms(took)), fmt.Sprintf("%.0f µs", 1000*ms(took)/float64(max(n, 1))))
	}
	stats, err := s.Stats(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	size := stats.DatabaseBytes - stats.FreeBytes + stats.BodyBytes
	result, err := s.Prune(ctx, store.Prune{MaxSize: size - size/50})
	if err != nil {
		return err
	}
	took := time.Since(start)
	line(fmt.Sprintf("prune to 98 %% of %d MiB, %d MiB given back", size>>20, result.Bytes>>20), fmt.Sprint(result.Exchanges), fmt.Sprintf("%.1f s", took.Seconds()), fmt.Sprintf("%.0f µs", 1000*ms(took)/float64(max(result.Exchanges, 1))))
	return nil
}

// fill records n exchanges as fast as the store takes them.
func fill(ctx context.Context, s *store.Store, n int) error {
	start, cpu := time.Now(), cpuTime()
	g := newGenerator(1)
	begun := time.Now().Add(-time.Duration(n) * time.Second / 4)
	for i := range n {
		g.record(s, i, begun.Add(time.Duration(i)*time.Second/4))
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
		mark, comment := "red", "look here again"
		if err := s.Annotate(ctx, 1+i*int64(n)/5, &mark, &comment); err != nil {
			return err
		}
	}
	return nil
}

// traffic records at a rate until it is told to end.
type traffic struct {
	stop, done chan struct{}
	recorded   int
	took       time.Duration
	times      []time.Duration
}

func startTraffic(ctx context.Context, s *store.Store, rate int) *traffic {
	t := &traffic{stop: make(chan struct{}), done: make(chan struct{})}
	g := newGenerator(2)
	go func() {
		defer close(t.done)
		start := time.Now()
		defer func() { t.took = time.Since(start) }()
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for rate > 0 {
			select {
			case <-t.stop:
				return
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			for due := int(time.Since(start).Seconds() * float64(rate)); t.recorded < due; t.recorded++ {
				began := time.Now()
				g.record(s, -1-t.recorded, began)
				t.times = append(t.times, time.Since(began))
			}
		}
	}()
	return t
}

func (t *traffic) end() {
	close(t.stop)
	<-t.done
}

func heading(columns ...string) {
	fmt.Println()
	line(columns...)
	for i := range columns {
		columns[i] = "---"
	}
	line(columns...)
}

func line(columns ...string) {
	fmt.Print("|")
	for _, c := range columns {
		fmt.Print(" ", c, " |")
	}
	fmt.Println()
}

func row(format string, args ...any) func(format string, args ...any) {
	return func(f string, a ...any) { line(fmt.Sprintf(format, args...), fmt.Sprintf(f, a...)) }
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func median(times []time.Duration) time.Duration { return at(times, .5) }

// at returns a quantile.
func at(times []time.Duration, q float64) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Clone(times)
	slices.Sort(sorted)
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func fileSize(path string) int64 {
	fi, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return fi.Size()
}
