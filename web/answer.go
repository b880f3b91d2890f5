package web

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"drumbeat"
	"drumbeat/access"
)

const (
	maxPart = 200
	maxNote = 2000
)

// answer keeps what a technician found behind an alert.
func (s *Site) answer(w http.ResponseWriter, r *http.Request) error {
	alert, err := s.source.Alert(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := s.keep(r, alert.Machine, alert.ID); err != nil {
		return err
	}
	http.Redirect(w, r, "/alerts/"+pathEscape(alert.ID), http.StatusSeeOther)
	return nil
}

// report keeps what a technician found where no alert was.
func (s *Site) report(w http.ResponseWriter, r *http.Request) error {
	m, err := s.source.Machine(r.Context(), drumbeat.MachineID(r.PathValue("id")))
	if err != nil {
		return err
	}
	if err := s.keep(r, m.ID, ""); err != nil {
		return err
	}
	http.Redirect(w, r, "/machines/"+pathEscape(string(m.ID)), http.StatusSeeOther)
	return nil
}

// keep stores the finding of a form, and in the record who sent it.
func (s *Site) keep(r *http.Request, m drumbeat.MachineID, alert string) error {
	if err := r.ParseForm(); err != nil {
		return fmt.Errorf("read the answer: %w: %w", err, drumbeat.ErrInvalid)
	}
	outcome := drumbeat.Outcome(r.PostForm.Get("outcome"))
	if !slices.ContainsFunc(choices[:], func(c outcomeChoice) bool { return c.Outcome == outcome }) {
		return fmt.Errorf("read the answer: no answer was chosen: %w", drumbeat.ErrInvalid)
	}
	part, note := strings.TrimSpace(r.PostForm.Get("part")), strings.TrimSpace(r.PostForm.Get("note"))
	if len(part) > maxPart || len(note) > maxNote {
		return fmt.Errorf("read the answer: a part of at most %d and a note of at most %d bytes fit: %w",
			maxPart, maxNote, drumbeat.ErrInvalid)
	}
	person := access.PersonOf(r.Context())
	kept, err := s.source.Answer(r.Context(), drumbeat.Finding{
		Fleet: s.source.Fleet.Name, Machine: m, Alert: alert, Outcome: outcome,
		Part: part, Note: note, Who: person.Name,
	})
	if err != nil {
		return err
	}
	act := access.Act{By: person, What: "finding recorded", Subject: kept.ID, Detail: string(m) + ": " + string(outcome)}
	if err := s.opt.Access.Record(r.Context(), act); err != nil {
		s.opt.Log.ErrorContext(r.Context(), "finding kept, but not in the record of acts", "finding", kept.ID, "error", err)
	}
	return nil
}

func pathEscape(text string) string { return url.PathEscape(text) }
