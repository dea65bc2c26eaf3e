package jsonl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"eaves/capture"
	"eaves/capture/internal/sample"
)

type line struct {
	RequestBody, ResponseBody *struct {
		Size  int64
		Text  *string
		Data  []byte
		Coded bool
	}
	MessageList []capture.Message
}

func TestLines(t *testing.T) {
	s := sample.Exchanges()
	var out bytes.Buffer
	w := NewWriter(&out, s)
	for _, x := range s.Exchanges {
		if err := w.Write(context.Background(), x); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	texts := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(texts) != len(s.Exchanges) {
		t.Fatalf("%d lines for %d exchanges", len(texts), len(s.Exchanges))
	}
	lines := make([]line, len(texts))
	for i, text := range texts {
		x := new(capture.Exchange)
		if err := json.Unmarshal([]byte(text), &lines[i]); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(text), x); err != nil {
			t.Fatal(err)
		}
		want, _ := json.Marshal(s.Exchanges[i])
		if got, _ := json.Marshal(x); !bytes.Equal(got, want) {
			t.Errorf("line %d:\ngot  %s\nwant %s", i+1, got, want)
		}
	}
	if b := lines[0].ResponseBody; b == nil || b.Text == nil || *b.Text != `{"name":"Grün"}` || lines[0].RequestBody != nil {
		t.Errorf("text: %+v", b)
	}
	if b := lines[1].ResponseBody; b == nil || b.Text == nil || *b.Text != strings.Repeat("<p>Grün</p>\n", 5000) || b.Coded {
		t.Errorf("decoded: %+v", b)
	}
	if b := lines[2].ResponseBody; b == nil || b.Text != nil || !bytes.Equal(b.Data, []byte{0xff, 0xfe, 0, 1}) || b.Size != 4 {
		t.Errorf("bytes: %+v", b)
	}
	if ms := lines[4].MessageList; len(ms) != 6 || string(ms[0].Data) != "hällo" || string(ms[1].Data) != "\x00\xff" || ms[5].Kind != "close" {
		t.Errorf("messages: %+v", ms)
	}
}

func TestWhatCannotBeDecodedIsWrittenAsTransferred(t *testing.T) {
	s := &sample.Source{Bodies: map[sample.Key][]byte{{ID: 1, Side: capture.SideResponse}: []byte("plain")}}
	x := &capture.Exchange{ID: 1, Response: &capture.Response{Header: capture.Header{{Name: "Content-Encoding", Value: "gzip"}}}}
	var out bytes.Buffer
	w := NewWriter(&out, s)
	if err := errors.Join(w.Write(context.Background(), x), w.Close()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), `"responseBody":{"size":5,"coded":true,"text":"plain"}`) {
		t.Error(out.String())
	}
}
