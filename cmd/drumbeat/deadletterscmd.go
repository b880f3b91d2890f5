package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/fleet"
	"drumbeat/lake"
)

// deadlettersCommand looks after records that had no place in bronze.
type deadlettersCommand struct {
	List    listLettersCommand   `cmd:"" default:"withargs" help:"List dead letters with their reasons."`
	Show    showLetterCommand    `cmd:"" help:"Show one with its payload and headers."`
	Redrive redriveLetterCommand `cmd:"" help:"Send dead letters again, once what was wrong is mended."`
}

// Help teaches the command.
func (deadlettersCommand) Help() string {
	return `A record that cannot be decoded, or whose machine nobody declared, is kept whole with the reason (T8). When the fleet file or the
machine's record is mended, redrive sends it again: it is judged by the time at which it first arrived, and each is sent once.

Examples:
  drumbeat deadletters --data D --fate unknown_machine
  drumbeat deadletters show --data D 0/2/4711/0
  drumbeat deadletters redrive --data D --fate unknown_machine --reason W-017`
}

// LetterQuery says which dead letters. It is exported for huma to see it where
// it is embedded.
type LetterQuery struct {
	Fleet    drumbeat.FleetName `query:"fleet" maxLength:"200" doc:"Which fleet; may be left out where there is one"`
	Position string             `query:"position" maxLength:"200" doc:"Only the one at this epoch/partition/offset/index"`
	Fate     string             `query:"fate" enum:",undecodable,unknown_machine" doc:"Only of this fate"`
	Reason   string             `query:"reason" maxLength:"200" doc:"Only whose reason contains this"`
	Since    string             `query:"since" format:"date-time" doc:"Only what arrived at or after this"`
	Until    string             `query:"until" format:"date-time" doc:"Only what arrived before this"`
	Limit    int                `query:"limit" minimum:"1" maximum:"100000" default:"100" doc:"At most so many"`
}

// letterFlags are a LetterQuery at the command line.
type letterFlags struct {
	Data   string             `required:"" help:"Data folder." type:"path"`
	Fleet  drumbeat.FleetName `help:"Which fleet, where the folder holds several."`
	Fate   string             `help:"Only of this fate: undecodable or unknown_machine." enum:",undecodable,unknown_machine" default:""`
	Reason string             `help:"Only whose reason contains this."`
	Since  string             `help:"Only what arrived at or after this time, as 2026-03-02T00:00:00Z."`
	Until  string             `help:"Only what arrived before this time."`
	Limit  int                `default:"100" help:"At most so many (1 to 100000)."`
	JSON   bool               `name:"json" help:"Print one JSON document."`
}

func (f *letterFlags) query() LetterQuery {
	return LetterQuery{Fleet: f.Fleet, Fate: f.Fate, Reason: f.Reason, Since: f.Since, Until: f.Until, Limit: f.Limit}
}

// letter is a dead letter as it is told.
type letter struct {
	Position string        `json:"position"`
	Arrival  drumbeat.Time `json:"arrival_time"`
	Fate     string        `json:"fate"`
	Reason   string        `json:"reason"`
	Type     string        `json:"type"`
	Key      string        `json:"key"`
	// Payload is text, or bytes in base64 where they are no text.
	Payload   string `json:"payload"`
	Base64    bool   `json:"payload_is_base64,omitempty"`
	Headers   string `json:"headers,omitempty" doc:"As the text of a JSON object"`
	RedriveOf string `json:"redrive_of,omitempty" doc:"Where it stood before it was redriven to here"`
	Redriven  bool   `json:"redriven" doc:"It was sent again"`
}

// letterList is some dead letters of all that match.
type letterList struct {
	Matched int64    `json:"matched"`
	Letters []letter `json:"letters"`
}

// matcher returns what says whether a dead letter is wanted.
func (q *LetterQuery) matcher() (func(*lake.DeadLetter) bool, error) {
	if q.Position != "" {
		if _, err := drumbeat.ParsePosition(q.Position); err != nil {
			return nil, err
		}
	}
	var bounds [2]drumbeat.Time
	for i, text := range []string{q.Since, q.Until} {
		if text == "" {
			continue
		}
		var ok bool
		if bounds[i], ok = fleet.ParseTime(text); !ok {
			return nil, fmt.Errorf("read time %q: want one such as 2026-03-02T00:00:00Z: %w", text, drumbeat.ErrInvalid)
		}
	}
	return func(l *lake.DeadLetter) bool {
		return (q.Position == "" || l.Position.String() == q.Position) && (q.Fate == "" || l.Fate.String() == q.Fate) &&
			strings.Contains(l.Reason, q.Reason) &&
			(q.Since == "" || l.ArrivalTime >= bounds[0]) && (q.Until == "" || l.ArrivalTime < bounds[1])
	}, nil
}

// find returns the first Limit dead letters that match, which were redriven,
// and how many match.
func (q *LetterQuery) find(ctx context.Context, d *depot) (found []lake.DeadLetter, redriven map[drumbeat.Position]bool, matched int64, err error) {
	wanted, err := q.matcher()
	if err != nil {
		return nil, nil, 0, err
	}
	if redriven, err = d.lake.Redriven(ctx); err != nil {
		return nil, nil, 0, err
	}
	most := cmp.Or(q.Limit, 100)
	err = d.lake.ScanDeadLetters(ctx, func(letters []lake.DeadLetter) error {
		for i := range letters {
			if !wanted(&letters[i]) {
				continue
			}
			if matched++; len(found) < most {
				found = append(found, letters[i])
			}
		}
		return nil
	})
	return found, redriven, matched, err
}

func listLetters() *operation[LetterQuery, output[letterList]] {
	return &operation[LetterQuery, output[letterList]]{
		method: http.MethodGet, path: "/v1/deadletters", id: "list-dead-letters", least: access.Engineer,
		summary: "Records that had no place in bronze, with the reason",
		run: func(ctx context.Context, h *host, _ access.Person, in *LetterQuery) (*output[letterList], error) {
			d, err := h.depot(in.Fleet)
			if err != nil {
				return nil, err
			}
			found, redriven, matched, err := in.find(ctx, d)
			list := letterList{Matched: matched, Letters: []letter{}}
			for i := range found {
				list.Letters = append(list.Letters, tell(&found[i], redriven[found[i].Position]))
			}
			return answer(list, err)
		},
	}
}

func tell(l *lake.DeadLetter, redriven bool) letter {
	told := letter{
		Position: l.Position.String(), Arrival: l.ArrivalTime, Fate: l.Fate.String(), Reason: l.Reason, Type: l.Type,
		Key: strings.ToValidUTF8(l.Key, "\uFFFD"), Headers: l.Headers, Redriven: redriven,
	}
	if l.RedriveOf != nil {
		told.RedriveOf = l.RedriveOf.String()
	}
	if told.Payload = string(l.Raw); !utf8.Valid(l.Raw) {
		told.Payload, told.Base64 = base64.StdEncoding.EncodeToString(l.Raw), true
	}
	return told
}

// listLettersCommand lists dead letters.
type listLettersCommand struct {
	letterFlags
}

// Run prints a line each.
func (c *listLettersCommand) Run(ctx context.Context, p *process) error {
	query := c.query()
	out, err := call(ctx, p, c.Data, listLetters(), &query)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(p.stdout, out.Body)
	}
	if out.Body.Matched > int64(len(out.Body.Letters)) {
		p.say("the first %d of %d; --limit shows more", len(out.Body.Letters), out.Body.Matched)
	}
	return printTable(p.stdout, []string{"position", "arrived", "fate", "key", "redriven", "reason"}, func(row func(...any)) {
		for i := range out.Body.Letters {
			l := &out.Body.Letters[i]
			row(l.Position, l.Arrival, l.Fate, fmt.Sprintf("%q", l.Key), yesNo(l.Redriven), l.Reason)
		}
	})
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// showLetterCommand shows one dead letter.
type showLetterCommand struct {
	Data     string             `required:"" help:"Data folder." type:"path"`
	Fleet    drumbeat.FleetName `help:"Which fleet, where the folder holds several."`
	Position string             `arg:"" help:"Its position, as the list says it: epoch/partition/offset/index."`
	JSON     bool               `name:"json" help:"Print one JSON document."`
}

// Run prints it whole.
func (c *showLetterCommand) Run(ctx context.Context, p *process) error {
	out, err := call(ctx, p, c.Data, listLetters(), &LetterQuery{Fleet: c.Fleet, Position: c.Position, Limit: 1})
	if err != nil {
		return err
	}
	if len(out.Body.Letters) == 0 {
		return fmt.Errorf("show dead letter %s: there is none at that position; `drumbeat deadletters` lists them: %w", c.Position, drumbeat.ErrNotFound)
	}
	l := &out.Body.Letters[0]
	if c.JSON {
		return printJSON(p.stdout, l)
	}
	return printTable(p.stdout, []string{"position", l.Position}, func(row func(...any)) {
		row("arrived", l.Arrival)
		row("fate", l.Fate)
		row("reason", l.Reason)
		row("type", l.Type)
		row("key", fmt.Sprintf("%q", l.Key))
		row("headers", cmp.Or(l.Headers, "none"))
		row("redrive of", cmp.Or(l.RedriveOf, "nothing"))
		row("redriven", yesNo(l.Redriven))
		if l.Base64 {
			row("payload", l.Payload+" (base64: it is no text)")
		} else {
			row("payload", l.Payload)
		}
	})
}
