package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httputil"
)

// parentProxy is a parent proxy that wants a user and password (RFC 7617) for http and CONNECT alike.
type parentProxy struct{ user, password string }

func (p parentProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	given := &http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}
	if user, password, ok := given.BasicAuth(); !ok || user != p.user || password != p.password {
		w.Header().Set("Proxy-Authenticate", `Basic realm="parent"`)
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	if r.Method != http.MethodConnect {
		r.Header.Del("Proxy-Authorization")
		(&httputil.ReverseProxy{Rewrite: func(*httputil.ProxyRequest) {}}).ServeHTTP(w, r)
		return
	}
	origin, err := net.Dial("tcp", r.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	client, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		origin.Close()
		return
	}
	if _, err := io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		origin.Close()
		client.Close()
		return
	}
	go func() {
		defer origin.Close()
		_, _ = io.Copy(origin, buffered)
	}()
	defer client.Close()
	_, _ = io.Copy(client, origin)
}
