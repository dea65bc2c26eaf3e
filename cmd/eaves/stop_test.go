package main

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"eaves/capture"
)

// stopper is an eaves with a request under way.
type stopper struct {
	*instance
	answer *http.Response
	env    []string
}

func underWay(t *testing.T, path string) *stopper {
	t.Helper()
	o := newOrigin(t)
	dir := t.TempDir()
	env := append(os.Environ(), "HOME="+dir, "EAVES_DATA="+filepath.Join(dir, "data"))
	i, err := start(dir, env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.cmd.Process.Kill() })
	client, err := proxied(i.run, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	answer, err := client.Get(o.http + path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	// The first byte is here: the exchange is under way.
	if _, err := bufio.NewReaderSize(answer.Body, 16).Peek(1); err != nil {
		t.Fatal(err)
	}
	return &stopper{i, answer, env}
}

// recorded returns the one exchange, as the stopped store has it.
func (s *stopper) recorded(t *testing.T) string {
	t.Helper()
	return command(t, t.TempDir(), s.env, "eaves", "list", "--json")
}

// busy is how long a stop may take on a machine that runs all tests at once; five seconds are promised on another.
const busy = 12 * time.Second

func TestStopLetsFinish(t *testing.T) {
	s := underWay(t, "/slow") // takes half a second
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, s.answer.Body)
		ended <- err
	}()
	took, err := s.stop(syscall.SIGTERM)
	if err != nil || took > busy {
		t.Errorf("stopping took %s: %v\n%s", took, err, s.err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the answer was cut: %v", err)
	}
	if got := s.recorded(t); !strings.Contains(got, `"state":"`+string(capture.StateDone)+`"`) || !strings.Contains(got, `"bodySize":10`) {
		t.Errorf("recorded: %s", got)
	}
}

func TestStopCutsWhatLasts(t *testing.T) {
	s := underWay(t, "/events?n=1000000")
	took, err := s.stop(syscall.SIGTERM)
	if err != nil || took > busy {
		t.Errorf("stopping took %s: %v\n%s", took, err, s.err)
	}
	if _, err := io.Copy(io.Discard, s.answer.Body); err == nil {
		t.Error("the cut answer looks whole")
	}
	if got := s.recorded(t); !strings.Contains(got, `"state":"`+string(capture.StateFailed)+`"`) {
		t.Errorf("recorded: %s", got)
	}
}

func TestASecondSignalStopsAtOnce(t *testing.T) {
	s := underWay(t, "/events?n=1000000")
	for limit := time.Now().Add(deadline); len(s.rows(t, "")) == 0; <-time.After(20 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("a lasting exchange is not written while it lasts")
		}
	}
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	// The listener closes with the first signal.
	for limit := time.Now().Add(deadline); ; {
		client, err := proxied(s.run, false)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Get("http://eaves.test/")
		if err != nil {
			break
		}
		resp.Body.Close()
		client.CloseIdleConnections()
		if time.Now().After(limit) {
			t.Fatal("it still takes connections")
		}
	}
	<-time.After(50 * time.Millisecond) // a signal that comes twice at once is one
	took, err := s.stop(syscall.SIGINT)
	exit, ok := err.(*exec.ExitError)
	if !ok || exit.ExitCode() != 1 || took > 3*time.Second {
		t.Errorf("it took %s and ended with %v", took, err)
	}
	if got := s.recorded(t); !strings.Contains(got, `"state":"`+string(capture.StateFailed)+`"`) {
		t.Errorf("recorded: %s", got)
	}
}
