package web

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"slices"

	"drumbeat"
	"drumbeat/access"
)

// page is what every page's template is given.
type page struct {
	Title  string
	Here   string // which entry of the navigation this is
	Fleet  *Fleet
	Person access.Person
	Now    drumbeat.Time
	Open   int    // open alerts
	IDs    string // theirs, apart by spaces
	Follow bool   // follow events
	Main   any
}

// May says whether the reader may answer alerts.
func (p *page) May() bool { return p.Person.Role.May(access.Technician) }

// SignedIn says whether there is a reader that we know.
func (p *page) SignedIn() bool { return p.Person.Role > access.Anyone }

// loadPages parses each page's template together with the layout and the
// shared parts.
func (s *Site) loadPages() (map[string]*template.Template, error) {
	functions := template.FuncMap{
		"asset": s.assets.address, "because": because,
		"percent": percent, "permille": permille, "likely": likely, "count": count,
		"day": day, "clock": clock, "iso": iso, "ago": ago, "length": length,
		"stateWord": stateWord, "outcomeWord": outcomeWord,
	}
	pages := map[string]*template.Template{}
	for _, name := range []string{"fleet", "machine", "alerts", "sign-in", "error"} {
		t, err := template.New("layout.html").Funcs(functions).
			ParseFS(files, "templates/layout.html", "templates/parts.html", "templates/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("read template %s: %w", name, err)
		}
		pages[name] = t
	}
	return pages, nil
}

// show renders a page whole before the first byte of it is sent.
func (s *Site) show(w http.ResponseWriter, r *http.Request, status int, name string, p *page) error {
	p.Fleet, p.Person, p.Now = &s.source.Fleet, access.PersonOf(r.Context()), s.source.Now()
	if p.SignedIn() {
		open, err := s.source.Alerts(r.Context(), AlertFilter{Limit: maxListed})
		if err != nil {
			return fmt.Errorf("count open alerts: %w", err)
		}
		p.Open = len(open)
		for i := range open {
			p.IDs += open[i].ID + " "
		}
	}
	var body bytes.Buffer
	if err := s.pages[name].Execute(&body, p); err != nil {
		return fmt.Errorf("render page %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = body.WriteTo(w) // a client that went away is no fault of ours
	return nil
}

// trouble is what the error page says: what, why, and what next.
type trouble struct {
	What, Why, Next string
}

// kind is a kind of error that a reader is told about, and how.
type kind struct {
	kind   error
	status int
	told   trouble
}

//nolint:gochecknoglobals // a constant table
var kinds = [...]kind{
	{drumbeat.ErrNotFound, http.StatusNotFound, trouble{
		What: "There is no such page", Next: "The fleet page lists every machine.",
	}},
	{drumbeat.ErrInvalid, http.StatusUnprocessableEntity, trouble{
		What: "That was not accepted", Next: "Go back, correct it and send it again.",
	}},
	{drumbeat.ErrConflict, http.StatusConflict, trouble{
		What: "Somebody was first", Next: "Go back and look at what stands there now.",
	}},
	{drumbeat.ErrLimit, http.StatusServiceUnavailable, trouble{
		What: "Too many at once", Next: "Try again in a moment.",
	}},
}

// handler shows the errors of handle as a page.
func (s *Site) handler(handle func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		err := handle(w, r)
		if err == nil {
			return
		}
		status, t := http.StatusInternalServerError, trouble{
			What: "This should not have happened", Why: "The fault is ours and stands in the log.",
			Next: "Try again; if it stays, tell the engineer.",
		}
		if i := slices.IndexFunc(kinds[:], func(k kind) bool { return errors.Is(err, k.kind) }); i >= 0 {
			status, t = kinds[i].status, kinds[i].told
			t.Why = sentence(err)
		} else {
			s.opt.Log.ErrorContext(r.Context(), "page not shown", "path", r.URL.Path, "error", err)
		}
		if err := s.show(w, r, status, "error", &page{Title: t.What, Main: t}); err != nil {
			http.Error(w, t.What, status)
		}
	})
}

const (
	// maxForm fits the largest form: a finding with its note.
	maxForm = 64 << 10
	// maxListed is how many alerts are listed.
	maxListed = 200
)
