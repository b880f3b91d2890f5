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
	Person access.Person
	Now    drumbeat.Time // the fleet's clock
	Open   int           // open alerts of the fleet
	IDs    string        // theirs, apart by spaces
	Follow bool          // follow events of the fleet
	// Rest is the least number of seconds between two renewals of a page that
	// is shown: figures of a day do not change by the beat. Negative is never.
	Rest   int
	Fleets []fleetLink // every fleet
	Main   any

	board *board // nil on pages of no fleet
}

// fleetLink leads to a fleet.
type fleetLink struct {
	Name    drumbeat.FleetName
	Title   string
	Link    string
	Current bool
}

// Fleet is the page's fleet, nil on pages of none.
func (p *page) Fleet() *Fleet {
	if p.board == nil {
		return nil
	}
	return &p.board.source.Fleet
}

// Base is the path that the fleet's pages live under, "" on pages of none.
func (p *page) Base() string {
	if p.board == nil {
		return ""
	}
	return p.board.base
}

// Never is the time of what has not happened, for templates to compare with.
func (p *page) Never() drumbeat.Time { return drumbeat.NoTime }

// Several says whether there is more than one fleet.
func (p *page) Several() bool { return len(p.Fleets) > 1 }

// May says whether the reader may answer alerts.
func (p *page) May() bool { return p.Person.Role.May(access.Technician) }

// Engineer says whether the reader may decide what serves.
func (p *page) Engineer() bool { return p.Person.Role.May(access.Engineer) }

// SignedIn says whether there is a reader that we know.
func (p *page) SignedIn() bool { return p.Person.Role > access.Anyone }

// loadPages parses each page's template together with the layout and the
// shared parts.
func (s *Site) loadPages() (map[string]*template.Template, error) {
	functions := template.FuncMap{
		"asset": s.assets.address, "because": because, "path": escaped,
		"percent": percent, "number": number, "plural": pluralOf, "permille": permille, "likely": likely, "count": count,
		"day": day, "clock": clock, "iso": iso, "ago": ago, "length": length,
		"stateWord": stateWord, "outcomeWord": outcomeWord, "triggerWord": triggerWord,
		"figure": figure, "decimals": decimals, "effect": effect, "plain": plain, "share": share, "date": plainDate, "dayName": dayName,
		"words": words, "short": shortHash, "width": func(low, high int) int { return max(4, high-low) },
	}
	pages := map[string]*template.Template{}
	for _, name := range []string{
		"overview", "fleet", "machine", "alerts", "sign-in", "error",
		"models", "version", "decide", "health", "quality",
	} {
		t, err := template.New("layout.html").Funcs(functions).
			ParseFS(files, "templates/layout.html", "templates/parts.html", "templates/shared.html", "templates/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("read template %s: %w", name, err)
		}
		pages[name] = t
	}
	return pages, nil
}

// show renders a page whole before the first byte of it is sent.
func (s *Site) show(w http.ResponseWriter, r *http.Request, status int, name string, p *page) error {
	p.Person, p.Now = access.PersonOf(r.Context()), drumbeat.NoTime
	for _, b := range s.boards {
		p.Fleets = append(p.Fleets, fleetLink{b.source.Fleet.Name, b.title(), b.base + sections[p.Here], b == p.board})
	}
	if p.board != nil {
		p.Now = p.board.source.Now()
	}
	if p.SignedIn() && p.board != nil {
		open, err := p.board.source.Alerts(r.Context(), AlertFilter{Limit: maxListed})
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
		What: "There is no such page", Next: "It may have gone, or been renamed. Go on from here:",
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

// handler shows the errors of handle as a page of no fleet.
func (s *Site) handler(handle func(http.ResponseWriter, *http.Request) error) http.Handler {
	return s.handlerOf(nil, handle)
}

// handlerOf shows the errors of handle as a page of a fleet.
func (s *Site) handlerOf(b *board, handle func(http.ResponseWriter, *http.Request) error) http.Handler {
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
		if err := s.show(w, r, status, "error", &page{Title: t.What, Main: t, board: b}); err != nil {
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

// escaped is an id as one segment of a path. Templates leave a slash or a
// question mark in an id as it is, which would lead elsewhere.
func escaped(id any) string { return pathEscape(fmt.Sprint(id)) }

// alertRow is an alert in a list.
type alertRow struct {
	drumbeat.Alert
	Link string
}

// Row is an alert in a list of this page.
func (p *page) Row(a drumbeat.Alert) alertRow {
	return alertRow{a, p.Base() + "/alerts/" + pathEscape(a.ID)}
}
