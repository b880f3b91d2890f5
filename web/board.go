package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"drumbeat"
)

// board is the pages of one fleet.
type board struct {
	*Site
	source Source
	base   string // the path that they live under: /fleets/laundry
}

// fleetPath is where the pages of a fleet live.
func fleetPath(name drumbeat.FleetName) string { return "/fleets/" + pathEscape(string(name)) }

// board returns the pages of a fleet, nil if there is no such fleet.
func (s *Site) board(name drumbeat.FleetName) *board {
	i := slices.IndexFunc(s.boards, func(b *board) bool { return b.source.Fleet.Name == name })
	if i < 0 {
		return nil
	}
	return s.boards[i]
}

// boardHandler lets handle answer for the fleet that the path names. Its
// errors are shown among the fleet's pages.
func (s *Site) boardHandler(handle func(*board, http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := s.board(drumbeat.FleetName(r.PathValue("fleet")))
		if b == nil {
			s.handler(s.notFound).ServeHTTP(w, r)
			return
		}
		s.handlerOf(b, func(w http.ResponseWriter, r *http.Request) error { return handle(b, w, r) }).ServeHTTP(w, r)
	})
}

// notFound answers for paths below /fleets that lead nowhere: a fleet that was
// renamed or is gone, a page of an older version.
func (s *Site) notFound(_ http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("fleet")
	if name == "" {
		name, _, _ = strings.Cut(r.PathValue("path"), "/")
	}
	if s.board(drumbeat.FleetName(name)) == nil {
		return fmt.Errorf("open %s: no fleet is named %q: %w", shortened(r.URL.Path, maxSearch), shortened(name, maxSearch),
			drumbeat.ErrNotFound)
	}
	return fmt.Errorf("open %s: %w", shortened(r.URL.Path, maxSearch), drumbeat.ErrNotFound)
}

// show renders a page of the fleet.
func (b *board) show(w http.ResponseWriter, r *http.Request, status int, name string, p *page) error {
	p.board = b
	return b.Site.show(w, r, status, name, p)
}

// title is the fleet's title, or its name if it has none.
func (b *board) title() string {
	if b.source.Fleet.Title != "" {
		return b.source.Fleet.Title
	}
	return string(b.source.Fleet.Name)
}

// sections are the paths, below a fleet's, of the entries of the navigation:
// the switcher between fleets leads to the same section of another.
//
//nolint:gochecknoglobals // a constant table
var sections = map[string]string{
	"": "/", "fleet": "/", "alerts": "/alerts", "health": "/health", "quality": "/quality", "models": "/models",
}
