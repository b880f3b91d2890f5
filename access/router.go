package access

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Route is a route and the least role that may use it.
type Route struct {
	Pattern string // as http.ServeMux understands it: "GET /v1/machines"
	Least   Role
}

// Router serves HTTP. Every route states its least role, every answer carries
// the headers that keep a browser from doing what the page did not ask for,
// and unsafe requests from other sites are refused.
type Router struct {
	access  *Access
	mux     *http.ServeMux
	handler http.Handler
	routes  []Route
}

// NewRouter makes a router without routes.
func (a *Access) NewRouter() *Router {
	rt := &Router{access: a, mux: http.NewServeMux()}
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		(&Problem{
			Status: http.StatusForbidden, Title: "request from another site refused",
			Detail: "a page of another origin asked a browser to send it",
			Next:   "use this site's own page, or a bearer token from a program",
		}).Write(w)
	}))
	rt.handler = guardHeaders(cross.Handler(rt.mux))
	return rt
}

// Handle serves pattern, for people of role least and above. Like
// http.ServeMux it panics when the pattern is malformed or taken.
func (rt *Router) Handle(pattern string, least Role, h http.Handler) {
	rt.routes = append(rt.routes, Route{Pattern: pattern, Least: least})
	rt.mux.Handle(pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		person, problem := rt.access.identify(r)
		if problem != nil {
			w.Header().Set("WWW-Authenticate", `Bearer realm="drumbeat"`)
			problem.Write(w)
			return
		}
		if !person.Role.May(least) {
			rt.refuse(w, r, person, least)
			return
		}
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), personKey{}, person)))
	}))
}

// Routes lists every route.
func (rt *Router) Routes() []Route { return rt.routes }

// ServeHTTP serves a request.
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) { rt.handler.ServeHTTP(w, r) }

// personKey is the context key of the Person behind a request.
type personKey struct{}

// PersonOf returns who stands behind a request that a Router let through.
func PersonOf(ctx context.Context) Person {
	person, ok := ctx.Value(personKey{}).(Person)
	if !ok {
		return Person{Role: Anyone}
	}
	return person
}

// identify finds out who sent a request. A wrong bearer token is a problem; a
// cookie whose session has ended is nobody special, so that the sign-in page
// still opens.
func (a *Access) identify(r *http.Request) (Person, *Problem) {
	header := r.Header.Get("Authorization")
	if header == "" {
		if secret := CookieOf(r); secret != "" {
			if person, ok := a.sessionOf(secret); ok {
				return person, nil
			}
		}
		return Person{Role: Anyone}, nil
	}
	scheme, secret, _ := strings.Cut(header, " ")
	if strings.EqualFold(scheme, "Bearer") {
		if token, ok := a.tokenOf(strings.TrimSpace(secret)); ok {
			return Person{Name: token.Name, Role: token.Role}, nil
		}
	}
	if !a.failures.Take(addressOf(r)) {
		return Person{}, tooManyFailures()
	}
	return Person{}, &Problem{
		Status: http.StatusUnauthorized, Title: "bearer token not accepted",
		Detail: "it was never issued, has expired, or was revoked",
		Next:   "send Authorization: Bearer followed by a live token; an engineer can issue one",
	}
}

// refuse answers somebody whose role is too low: a browser without a session
// is shown the way in.
func (rt *Router) refuse(w http.ResponseWriter, r *http.Request, person Person, least Role) {
	if person.Role > Anyone {
		(&Problem{
			Status: http.StatusForbidden, Title: "not allowed",
			Detail: "this needs the role " + least.String() + "; " + person.Name + " is " + person.Role.String(),
			Next:   "ask an engineer for a token or a link with that role",
		}).Write(w)
		return
	}
	to := SignInPath + "?to=" + url.QueryEscape(r.URL.RequestURI())
	switch {
	case r.Header.Get("HX-Request") != "":
		w.Header().Set("HX-Redirect", SignInPath)
		w.WriteHeader(http.StatusUnauthorized)
	case r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html"):
		http.Redirect(w, r, to, http.StatusSeeOther)
	default:
		w.Header().Set("WWW-Authenticate", `Bearer realm="drumbeat"`)
		(&Problem{
			Status: http.StatusUnauthorized, Title: "not signed in",
			Detail: "this needs the role " + least.String() + " and the request carries no credentials",
			Next:   "send Authorization: Bearer with a token, or sign in at " + SignInPath,
		}).Write(w)
	}
}

// SignInPath is where a person signs in; web serves it.
const SignInPath = "/sign-in"

// tooManyFailures asks an address that has failed too often to wait.
func tooManyFailures() *Problem {
	return &Problem{
		Status: http.StatusTooManyRequests, Title: "too many failed sign-ins",
		Detail: "this address has sent too many secrets that open nothing",
		Next:   "wait a minute, then use a fresh link or token",

		RetryAfter: time.Minute,
	}
}

// SignIn opens a session from what a person entered: a link's code or a
// token's secret. An address that fails too often is refused for a while
// (drumbeat.ErrLimit by way of a *Problem); each failure that is looked at
// stands in the record, without the secret.
func (a *Access) SignIn(r *http.Request, secret string) (string, Person, error) {
	address := addressOf(r)
	if a.failures.Empty(address) {
		return "", Person{}, tooManyFailures()
	}
	secret = strings.TrimSpace(secret)
	var opened string
	var person Person
	var err error
	if strings.HasPrefix(secret, linkPrefix) {
		opened, person, err = a.SignInByLink(r.Context(), secret)
	} else {
		opened, person, err = a.SignInByToken(r.Context(), secret)
	}
	if err == nil {
		return opened, person, nil
	}
	a.failures.Take(address)
	act := Act{By: Person{Role: Anyone}, What: "sign-in refused", Subject: address}
	if recordErr := a.Record(r.Context(), act); recordErr != nil {
		a.log.WarnContext(r.Context(), "sign-in refused, not recorded", "error", recordErr)
	}
	return "", Person{}, err
}

// addressOf is the key under which failures of a client are counted: its
// address, or its network of 2^64 addresses in IPv6.
func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	address = address.Unmap().WithZone("")
	if address.Is6() {
		if network, err := address.Prefix(64); err == nil {
			return network.String()
		}
	}
	return address.String()
}
