//go:build real

package s3_test

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// mode is a fault of a server.
type mode int32

const (
	none mode = iota
	fail500
	fail503
	resetBefore  // the connection breaks, nothing was stored
	resetAfter   // it was stored, the connection breaks before the answer
	fail500After // it was stored, the answer says that it was not
	slow
	modes
)

// proxy stands before a server and breaks what it is told to.
type proxy struct {
	url    string
	always atomic.Int32 // a mode for every request
	odds   atomic.Int32 // in a hundred requests, so many meet a fault
	faults atomic.Int64 // made so far
	mu     sync.Mutex   // guards what follows
	once   map[string]mode
	random *rand.Rand
}

func newProxy(t *testing.T, server string) *proxy {
	t.Helper()
	target, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{once: map[string]mode{}, random: rand.New(rand.NewPCG(1, 2))}
	forward := &httputil.ReverseProxy{
		// The signature covers the host that the client wrote.
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.serve(w, r, forward)
	}))
	t.Cleanup(front.Close)
	p.url = front.URL
	return p
}

// next breaks the next request of a method.
func (p *proxy) next(method string, m mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.once[method] = m
}

func (p *proxy) pick(r *http.Request) mode {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m := p.once[r.Method]; m != none {
		p.once[r.Method] = none
		return m
	}
	if m := mode(p.always.Load()); m != none {
		return m
	}
	if p.random.IntN(100) < int(p.odds.Load()) {
		return mode(1 + p.random.IntN(int(modes)-1))
	}
	return none
}

func (p *proxy) serve(w http.ResponseWriter, r *http.Request, forward http.Handler) {
	m := p.pick(r)
	if m != none {
		p.faults.Add(1)
	}
	switch m {
	case fail500:
		http.Error(w, "", http.StatusInternalServerError)
	case fail503:
		http.Error(w, "", http.StatusServiceUnavailable)
	case resetBefore:
		panic(http.ErrAbortHandler)
	case resetAfter:
		forward.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	case fail500After:
		forward.ServeHTTP(httptest.NewRecorder(), r)
		http.Error(w, "", http.StatusInternalServerError)
	case slow:
		timer := time.NewTimer(200 * time.Millisecond)
		defer timer.Stop()
		<-timer.C
		forward.ServeHTTP(w, r)
	case none, modes:
		forward.ServeHTTP(w, r)
	}
}
