package webui

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"eaves/capture"
)

// TestEveryOperationIsDescribed holds the routes against the document: methods, paths and query parameters, both ways.
func TestEveryOperationIsDescribed(t *testing.T) {
	doc := document(t)
	paths := doc["paths"].(map[string]any)
	described := map[string][]string{}
	for path, item := range paths {
		for method, op := range item.(map[string]any) {
			var query []string
			vars := 0
			parameters, _ := dig(op, "parameters").([]any)
			for _, p := range parameters {
				if dig(p, "in") == "query" {
					query = append(query, dig(p, "name").(string))
				} else {
					vars++
					if !strings.Contains(path, "{"+dig(p, "name").(string)+"}") {
						t.Errorf("%s %s has no part %v", method, path, dig(p, "name"))
					}
				}
			}
			if vars != strings.Count(path, "{") {
				t.Errorf("%s %s: %d path parameters are described", method, path, vars)
			}
			slices.Sort(query)
			described[strings.ToUpper(method)+" "+path] = query
		}
	}
	s := New(Config{Token: "x", Store: newFakeStore()})
	for _, r := range s.routes {
		name := r.method + " " + r.path
		query, ok := described[name]
		if !ok {
			t.Errorf("%s is not described", name)
		}
		got := slices.Sorted(slices.Values(r.query))
		if !slices.Equal(got, query) {
			t.Errorf("%s takes %v, the document says %v", name, got, query)
		}
		delete(described, name)
	}
	for name := range described {
		t.Errorf("%s is described, but not there", name)
	}
}

// call is a request whose answer must be as the document says.
type call struct {
	method, path string // of the document
	at           string // of the request, where it has parts or a query
	body         string
	status       int
}

// TestAnswersAreAsDescribed asks every operation, in good ways and bad, and holds the real answers against the document.
func TestAnswersAreAsDescribed(t *testing.T) {
	l := newLab(t, withCertificates, withRoutes, withFilters, withOnboarding)
	full(l)
	calls := []call{
		{"GET", "/exchanges", "", "", 200},
		{"GET", "/exchanges", "/exchanges?total=true&limit=2&filter=status%3A200", "", 200},
		{"GET", "/exchanges", "/exchanges?before=3", "", 200},
		{"GET", "/exchanges", "/exchanges?after=0&total=false", "", 200},
		{"GET", "/exchanges", "/exchanges?changedAfter=2", "", 200},
		{"GET", "/exchanges", "/exchanges?filter=nonsense%3Ax", "", 400},
		{"GET", "/exchanges", "/exchanges?limit=0", "", 400},
		{"GET", "/exchanges", "/exchanges?limit=many", "", 400},
		{"GET", "/exchanges", "/exchanges?before=1&after=2", "", 400},
		{"GET", "/exchanges", "/exchanges?filter=a&filter=b", "", 400},
		{"GET", "/exchanges", "/exchanges?filtre=a", "", 400},
		{"GET", "/exchanges", "/exchanges?total=maybe", "", 400},
		{"GET", "/exchanges", "/exchanges?filter=" + strings.Repeat("x", maxFilter+1), "", 400},
		{"GET", "/exchanges", "/exchanges?sort=took&ascending=true", "", 200},
		{"GET", "/exchanges", "/exchanges?sort=nothing", "", 400},
		{"GET", "/exchanges", "/exchanges?sort=took&before=3", "", 400},
		{"GET", "/exchanges", "/exchanges?sort=took&ascending=up", "", 400},
		{"GET", "/groups", "/groups?by=host", "", 200},
		{"GET", "/groups", "/groups?by=client&sort=mean&reverse=true&limit=1&filter=host%3Aa.test", "", 200},
		{"GET", "/groups", "/groups?by=connection", "", 200},
		{"GET", "/groups", "/groups?by=path", "", 200},
		{"GET", "/groups", "/groups", "", 400},
		{"GET", "/groups", "/groups?by=colour", "", 400},
		{"GET", "/groups", "/groups?by=host&filter=(", "", 400},
		{"GET", "/groups", "/groups?by=host&limit=5001", "", 400},
		{"GET", "/groups", "/groups?by=host&sort=colour", "", 400},
		{"GET", "/groups", "/groups?by=host&reverse=up", "", 400},
		{"GET", "/timeline", "", "", 200},
		{"GET", "/timeline", "/timeline?buckets=1&filter=host%3Aa.test&from=2026-01-01T00%3A00%3A00Z&to=2027-01-01T00%3A00%3A00.5%2B01%3A00", "", 200},
		{"GET", "/timeline", "/timeline?buckets=0", "", 400},
		{"GET", "/timeline", "/timeline?filter=(", "", 400},
		{"GET", "/timeline", "/timeline?from=today", "", 400},
		{"GET", "/timeline", "/timeline?from=2026-01-01T00%3A00%3A00Z", "", 400},
		{"GET", "/exchanges/{id}", "/exchanges/1", "", 200},
		{"GET", "/exchanges/{id}", "/exchanges/2", "", 200},
		{"GET", "/exchanges/{id}", "/exchanges/3", "", 200},
		{"GET", "/exchanges/{id}", "/exchanges/4", "", 200},
		{"GET", "/exchanges/{id}", "/exchanges/77", "", 404},
		{"GET", "/exchanges/{id}", "/exchanges/x", "", 404},
		{"GET", "/exchanges/{id}", "/exchanges/0", "", 404},
		{"GET", "/exchanges/{id}", "/exchanges/99999999999999999999", "", 404},
		{"GET", "/exchanges/{id}/page", "/exchanges/1/page", "", 200},
		{"GET", "/exchanges/{id}/page", "/exchanges/77/page", "", 404},
		{"PATCH", "/exchanges/{id}", "/exchanges/1", `{"mark":"red","comment":"why?"}`, 200},
		{"PATCH", "/exchanges/{id}", "/exchanges/1", `{}`, 400},
		{"PATCH", "/exchanges/{id}", "/exchanges/1", `{"mark":1}`, 400},
		{"PATCH", "/exchanges/{id}", "/exchanges/1", `{"mark":"` + strings.Repeat("x", maxNote+1) + `"}`, 400},
		{"PATCH", "/exchanges/{id}", "/exchanges/77", `{"mark":"x"}`, 404},
		{"GET", "/exchanges/{id}/{side}/body", "/exchanges/1/response/body", "", 200},
		{"GET", "/exchanges/{id}/{side}/body", "/exchanges/1/request/body?decoded=true", "", 200},
		{"GET", "/exchanges/{id}/{side}/body", "/exchanges/77/request/body", "", 404},
		{"GET", "/exchanges/{id}/{side}/body", "/exchanges/1/request/body?decoded=yes", "", 400},
		{"GET", "/exchanges/{id}/{side}/body", "/exchanges/1/response/body?view=image", "", 415},
		{"GET", "/exchanges/{id}/{side}/raw", "/exchanges/1/response/raw", "", 200},
		{"GET", "/exchanges/{id}/{side}/raw", "/exchanges/77/request/raw", "", 404},
		{"GET", "/exchanges/{id}/messages", "/exchanges/2/messages", "", 200},
		{"GET", "/exchanges/{id}/messages", "/exchanges/2/messages?after=1&limit=1", "", 200},
		{"GET", "/exchanges/{id}/messages", "/exchanges/77/messages", "", 404},
		{"GET", "/exchanges/{id}/messages", "/exchanges/2/messages?limit=-1", "", 400},
		{"GET", "/exchanges/{id}/messages", "/exchanges/2/messages?contains=HELLO&direction=sent", "", 200},
		{"GET", "/exchanges/{id}/messages", "/exchanges/2/messages?direction=up", "", 400},
		{"POST", "/exchanges/{id}/messages", "/exchanges/1/messages", `{"direction":"sent","kind":"text","text":"x"}`, 409},
		{"POST", "/exchanges/{id}/messages", "/exchanges/2/messages", `{"direction":"up","kind":"text","text":"x"}`, 400},
		{"POST", "/exchanges/{id}/messages", "/exchanges/2/messages", `{"direction":"sent","kind":"event","text":"x"}`, 400},
		{"POST", "/exchanges/{id}/messages", "/exchanges/2/messages", `{"direction":"sent","kind":"text","text":"x","data":"AA=="}`, 400},
		{"POST", "/exchanges/{id}/messages", "/exchanges/77/messages", `{"direction":"sent","kind":"text","text":"x"}`, 404},
		{"POST", "/exchanges/{id}/messages", "/exchanges/2/messages", `{"direction":"sent","kind":"close","text":"bye","code":1000}`, 202},
		{"POST", "/exchanges/{id}/replay", "/exchanges/2/replay", `{"pauses":"recorded"}`, 202},
		{"POST", "/exchanges/{id}/replay", "/exchanges/2/replay", `{"pauses":"long"}`, 400},
		{"POST", "/exchanges/{id}/replay", "/exchanges/1/replay", "", 202},
		{"POST", "/exchanges/{id}/replay", "/exchanges/1/replay", `{"method":"POST","headers":[{"name":"A","value":"b"}],"body":"x"}`, 202},
		{"POST", "/exchanges/{id}/replay", "/exchanges/1/replay", `{"certificate":"none","verify":true}`, 202},
		{"POST", "/exchanges/{id}/replay", "/exchanges/77/replay", "", 404},
		{"POST", "/exchanges/{id}/replay", "/exchanges/4/replay", "", 409},
		{"GET", "/diff", "/diff?a=1&b=3", "", 200},
		{"GET", "/diff", "/diff?a=1&b=2&mask=noise,numbers", "", 200},
		{"GET", "/diff", "/diff?a=1&b=77", "", 404},
		{"GET", "/diff", "/diff?a=1", "", 400},
		{"GET", "/diff", "/diff?a=1&b=2&mask=x", "", 400},
		{"POST", "/requests", "", `{"url":"http://a.test/"}`, 202},
		{"POST", "/requests", "", `{}`, 400},
		{"POST", "/requests", "", `[]`, 400},
		{"POST", "/requests", "", `{"url":"http://a.test/"`, 400},
		{"POST", "/requests", "", `{"url":"http://a.test/"} {}`, 400},
		{"POST", "/requests", "", `{"url":"ftp://a.test/"}`, 400},
		{"POST", "/requests", "", `{"url":"http://a.test/","headers":[{"name":"a b","value":""}]}`, 400},
		{"POST", "/requests", "", `{"url":"http://a.test/","headers":[{"name":"a","value":"\r\n"}]}`, 400},
		{"POST", "/requests", "", `{"url":"http://a.test/","headers":[{"nam":"a","value":""}]}`, 400},
		{"POST", "/requests", "", `{"url":"http://a.test/","method":"CONNECT"}`, 400},
		{"POST", "/requests", "", `{"url":"http://a.test/","body":"a","bodyBase64":"YQ=="}`, 400},
		{"POST", "/rules", "", `{"filter":"host:ads.test","action":"block"}`, 201},
		{"POST", "/rules", "", `{"filter":"*.bank.test","action":"passthrough","enabled":false,"position":0}`, 201},
		{"POST", "/rules", "", `{"filter":"status:200","action":"block"}`, 400},
		{"POST", "/rules", "", `{"filter":"(","action":"block"}`, 400},
		{"POST", "/rules", "", `{"filter":"host:x","action":"dance"}`, 400},
		{"POST", "/rules", "", `{"filter":"x y","action":"passthrough"}`, 400},
		{"POST", "/rules", "", `{"filter":"x","action":"block","position":9}`, 400},
		{"POST", "/rules", "", `{"id":1,"filter":"x","action":"block"}`, 400},
		{"PUT", "/rules/{id}", "/rules/1", `{"filter":"x","action":"block","position":0}`, 400},
		{"PUT", "/rules", "", `{"rules":[{"filter":"x","action":"block","position":0}]}`, 400},
		{"GET", "/rules", "", "", 200},
		{"PUT", "/rules/{id}", "/rules/1", `{"filter":"host:other.test","action":"ignore"}`, 200},
		{"PUT", "/rules/{id}", "/rules/1", `{"id":2,"filter":"host:other.test","action":"ignore"}`, 400},
		{"PUT", "/rules/{id}", "/rules/77", `{"filter":"host:other.test","action":"ignore"}`, 404},
		{"PUT", "/rules", "", `{"rules":[{"id":1,"filter":"host:a","action":"ignore"},{"filter":"host:b","action":"block","enabled":false},{"id":2,"filter":"*","action":"passthrough"}]}`, 200},
		{"PUT", "/rules", "", `{"rules":[{"id":1,"filter":"host:a","action":"ignore"},{"id":1,"filter":"host:a","action":"ignore"}]}`, 409},
		{"PUT", "/rules", "", `{"rules":[{"filter":"body:x","action":"ignore"}]}`, 400},
		{"PUT", "/rules", "", `{}`, 400},
		{"DELETE", "/rules/{id}", "/rules/1", "", 204},
		{"DELETE", "/rules/{id}", "/rules/1", "", 404},
		{"GET", "/export", "/export?format=har", "", 200},
		{"GET", "/export", "/export?format=jsonl&filter=id:1&secrets=true", "", 200},
		{"GET", "/export", "/export?format=curl", "", 200},
		{"GET", "/export", "/export?format=pcapng", "", 200},
		{"GET", "/export", "/export?format=doc", "", 400},
		{"GET", "/export", "", "", 400},
		{"GET", "/export", "/export?format=har&filter=(", "", 400},
		{"POST", "/import", "", `{"log":{"version":"1.2","creator":{"name":"x","version":"1"},"entries":[]}}`, 200},
		{"POST", "/import", "/import?format=har", `{"log":[]}`, 400},
		{"POST", "/import", "/import?format=doc", `{}`, 400},
		{"POST", "/import", "", `{"log":`, 400},
		{"GET", "/explain", "/explain?url=a.test&certificate=none&via=direct&bypass=.corp.test&verify=false", "", 200},
		{"GET", "/explain", "", "", 400},
		{"GET", "/explain", "/explain?url=ftp%3A%2F%2Fa.test", "", 400},
		{"GET", "/explain", "/explain?url=a.test&verify=maybe", "", 400},
		{"POST", "/doctor", "", `{"url":"https://a.test/","verify":null}`, 200},
		{"POST", "/doctor", "", `{"url":"ftp://a.test/"}`, 400},
		{"POST", "/doctor", "", `{}`, 400},
		{"POST", "/routes/test", "", `{"url":"https://a.test/","via":["http://p1:3128","socks5://p2"],"bypass":"*.lan"}`, 200},
		{"POST", "/routes/test", "", `{"url":"https://a.test/","via":"direct"}`, 200},
		{"POST", "/routes/test", "", `{"url":"https://a.test/"}`, 400},
		{"POST", "/routes/test", "", `{"url":"https://a.test/","via":7}`, 400},
		{"GET", "/certificates", "", "", 200},
		{"GET", "/onboarding", "", "", 200},
		{"GET", "/recording", "", "", 200},
		{"PUT", "/recording", "", `{"recording":false}`, 200},
		{"PUT", "/recording", "", `{"recording":"off"}`, 400},
		{"PUT", "/recording", "", `{}`, 400},
		{"GET", "/retention", "", "", 200},
		{"PUT", "/retention", "", `{"keep":1048576,"maxAge":0}`, 200},
		{"PUT", "/retention", "", `{"keep":0}`, 400},
		{"PUT", "/retention", "", `{"maxSize":-1}`, 400},
		{"PUT", "/retention", "", `{"maxAge":-5}`, 400},
		{"PUT", "/retention", "", `{"maxAge":"7d"}`, 400},
		{"PUT", "/retention", "", `{"maxSize":77}`, 409},
		{"GET", "/status", "", "", 200},
		{"GET", "/ca", "", "", 200},
		{"GET", "/stream", "", "", 426},
		{"GET", "/openapi.json", "", "", 200},
		{"POST", "/prune", "", `{"filter":"id:77","olderThan":1000,"maxSize":5}`, 200},
		{"POST", "/prune", "", `{}`, 200},
		{"POST", "/prune", "", `{"max-size":1}`, 400},
		{"POST", "/prune", "", `{"olderThan":-1}`, 400},
		{"POST", "/prune", "", `{"maxSize":0}`, 400},
		{"DELETE", "/exchanges", "/exchanges?filter=id%3A77", "", 200},
		{"DELETE", "/exchanges", "/exchanges?filtr=id%3A77", "", 400},
		{"DELETE", "/exchanges", "", "", 200},
	}
	calls = slices.Concat(certificateCalls(), routeCalls(), filterCalls(), calls)
	asked := map[string]bool{"GET /stream": true} // its good way is TestStreamIsAsDescribed
	for _, c := range calls {
		at := c.at
		if at == "" {
			at = c.path
		}
		a := l.ask(c.method, base+at, c.body)
		if a.StatusCode != c.status {
			t.Errorf("%s %.100s %s: %d, want %d: %s", c.method, at, c.body, a.StatusCode, c.status, a.body)
			continue
		}
		if err := asDescribed(t, c, a); err != nil {
			t.Errorf("%s %.100s %s: %v\n%s", c.method, at, c.body, err, a.body)
		}
		checkSecured(t, a.Header)
		if a.StatusCode < 300 {
			asked[c.method+" "+c.path] = true
		} else {
			a.problem(t, c.status)
		}
	}
	for _, r := range l.server.routes {
		if !asked[r.method+" "+r.path] {
			t.Errorf("%s %s was never asked in a good way", r.method, r.path)
		}
	}
}

// asDescribed holds an answer, and the request that was good for it, against the document.
func asDescribed(t *testing.T, c call, a *answered) error {
	doc := document(t)
	op := dig(doc, "paths", c.path, strings.ToLower(c.method))
	answer := dig(op, "responses", fmt.Sprint(a.StatusCode))
	if answer == nil {
		if a.StatusCode < 400 {
			return fmt.Errorf("status %d is not described", a.StatusCode)
		}
		answer = dig(doc, "components", "responses", "Problem")
	}
	if a.StatusCode < 300 && c.body != "" {
		var v any
		if err := json.Unmarshal([]byte(c.body), &v); err != nil {
			return err
		}
		if err := (checker{doc}).check(dig(op, "requestBody", "content", "application/json", "schema"), v, "request"); err != nil {
			return err
		}
	}
	content, _ := dig(answer, "content").(map[string]any)
	if content == nil {
		if len(a.body) > 0 {
			return fmt.Errorf("a body that is not described")
		}
		return nil
	}
	kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type"))
	schema := dig(content[kind], "schema")
	if schema == nil {
		return fmt.Errorf("type %q is not described", kind)
	}
	var v any = string(a.body)
	if strings.HasSuffix(kind, "json") && kind != "application/x-ndjson" {
		if err := json.Unmarshal(a.body, &v); err != nil {
			return err
		}
	}
	return checker{doc}.check(schema, v, "answer")
}

// full puts exchanges with everything in them into the store.
func full(l *lab) {
	x := sample(1)
	cert := capture.Certificate{Subject: "CN=a", Issuer: "CN=b", Serial: "01", NotBefore: time.Unix(0, 0).UTC(), NotAfter: time.Unix(1, 0).UTC(), SHA256: "ab"}
	tls := &capture.TLS{Version: "TLS 1.3", CipherSuite: "TLS_AES_128_GCM_SHA256", ALPN: "h2", ServerName: "a.test", Policy: "*.test", Trust: "--insecure", PeerCertificates: []capture.Certificate{cert},
		ClientCertificate: &capture.ClientCertificate{Requested: true, AcceptableCAs: []string{"CN=ca"}, SignatureSchemes: []string{"ed25519"}, Note: "n", Sent: &cert, Verdict: "accepted", Rule: "*", Alert: "x", Explanation: "y"}}
	x.TLS, x.ClientTLS = tls, &capture.ClientTLS{Version: "TLS 1.2"}
	x.Route = &capture.Route{Source: "custom", Reason: "bypass", Hops: []capture.Hop{{Kind: "http", Address: "p:1", Status: 200, Authentication: "none", TLS: tls}}}
	x.Response.Informational = []capture.Informational{{Status: 103, Header: capture.Header{{Name: "Link", Value: "caf\xe9"}}}}
	x.Response.Trailer = capture.Header{{Name: "T", Value: "v"}}
	x.Client.Request, x.Client.Response = &x.Request, x.Response
	x.ServerIPAddress, x.Connection, x.ReplayOf, x.Source = "127.0.0.1", "7", 3, capture.SourceReplay
	l.store.put(x)
	l.store.setBody(1, capture.SideResponse, []byte("hello"))
	ws := opened(2)
	ws.Kind, ws.Messages = capture.KindWebSocket, 2
	l.store.put(ws)
	l.store.say(2, "one")
	l.store.mu.Lock()
	l.store.messages[2] = append(l.store.messages[2], capture.Message{N: 2, Direction: "received", Kind: "binary", Data: []byte{0, 255}, Size: 2, Truncated: true, Injected: true})
	l.store.mu.Unlock()
	failed := sample(3)
	failed.State, failed.Response, failed.Route = capture.StateFailed, nil, nil
	failed.Error = &capture.Error{Stage: capture.StageDNS, Message: "no such host", Hint: "check the name"}
	l.store.put(failed)
	tunnel := opened(4)
	tunnel.Kind, tunnel.Request.Method, tunnel.Request.URL = capture.KindTunnel, "CONNECT", "tcp://a.test:22"
	l.store.put(tunnel)
}

// TestStreamIsAsDescribed holds every kind of message of the stream against the document.
func TestStreamIsAsDescribed(t *testing.T) {
	l := newLab(t)
	full(l)
	doc := document(t)
	for name, want := range map[string]string{"StreamCommand": `{"type":"subscribe","exchange":2,"after":0}`} {
		var v any
		_ = json.Unmarshal([]byte(want), &v)
		if err := (checker{doc}).check(map[string]any{"$ref": "#/components/schemas/" + name}, v, name); err != nil {
			t.Error(err)
		}
	}
	seen := map[string]bool{}
	look := func(v *viewer, until string) {
		t.Helper()
		for {
			_ = v.conn.SetReadDeadline(time.Now().Add(deadline))
			_, b, err := v.conn.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			var m any
			if err := json.Unmarshal(b, &m); err != nil {
				t.Fatal(err)
			}
			if err := (checker{doc}).check(map[string]any{"$ref": "#/components/schemas/StreamMessage"}, m, "message"); err != nil {
				t.Fatalf("%v\n%s", err, b)
			}
			kind := dig(m, "type").(string)
			if seen[kind] = true; kind == until {
				return
			}
		}
	}
	v := l.stream(url.Values{"after": {"0"}})
	look(v, "exchange")
	_ = v.conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"subscribe","exchange":2,"after":0}`))
	look(v, "message")
	l.ask("DELETE", "/api/v1/exchanges?filter=id:1", "")
	look(v, "removed")
	look(l.stream(url.Values{"after": {"999"}}), "reset")
	slow := l.stream(nil)
	for id := range int64(300) {
		x := sample(id + 10)
		x.Request.URL += strings.Repeat("x", 8<<10)
		l.store.put(x)
	}
	look(slow, "gap")
	for _, kind := range []string{"hello", "exchange", "removed", "message", "status", "gap", "reset"} {
		if !seen[kind] {
			t.Errorf("%s was never sent", kind)
		}
	}
}
