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
func (b *board) answer(w http.ResponseWriter, r *http.Request) error {
	alert, err := b.source.Alert(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := b.keep(r, alert.Machine, alert.ID); err != nil {
		return err
	}
	http.Redirect(w, r, b.base+"/alerts/"+pathEscape(alert.ID), http.StatusSeeOther)
	return nil
}

// report keeps what a technician found where no alert was.
func (b *board) report(w http.ResponseWriter, r *http.Request) error {
	m, err := b.source.Machine(r.Context(), drumbeat.MachineID(r.PathValue("id")))
	if err != nil {
		return err
	}
	if err := b.keep(r, m.ID, ""); err != nil {
		return err
	}
	http.Redirect(w, r, b.base+"/machines/"+pathEscape(string(m.ID)), http.StatusSeeOther)
	return nil
}

// keep stores the finding of a form, and in the record who sent it.
func (b *board) keep(r *http.Request, m drumbeat.MachineID, alert string) error {
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
	kept, err := b.source.Answer(r.Context(), drumbeat.Finding{
		Fleet: b.source.Fleet.Name, Machine: m, Alert: alert, Outcome: outcome,
		Part: part, Note: note, Who: person.Name,
	})
	if err != nil {
		return err
	}
	act := access.Act{By: person, What: "finding recorded", Subject: kept.ID, Detail: string(b.source.Fleet.Name) + "/" + string(m) + ": " + string(outcome)}
	if err := b.opt.Access.Record(r.Context(), act); err != nil {
		b.opt.Log.ErrorContext(r.Context(), "finding kept, but not in the record of acts", "finding", kept.ID, "error", err)
	}
	return nil
}

func pathEscape(text string) string { return url.PathEscape(text) }
