package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"

	"drumbeat"
)

// Context is what a step knows of its run.
type Context struct {
	// Run is the run as far as it has come; a step reads it only. Its id
	// names the effects of the step.
	Run *Run
	Log *slog.Logger

	runner *Runner
	step   string
}

// Result decodes the result of an earlier step.
func (c *Context) Result(step string, into any) error { return c.Run.Result(step, into) }

// Params decodes the run's parameters; one that into has no place for is
// refused with drumbeat.ErrInvalid.
func (c *Context) Params(into any) error {
	d := json.NewDecoder(bytes.NewReader(c.Run.Params))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("read the parameters of run %s: %w: %w", c.Run.ID, err, drumbeat.ErrInvalid)
	}
	return nil
}

// Progress says what the step is doing and how far it is; any goroutine may
// call it.
func (c *Context) Progress(stage string, done, total int) {
	c.runner.report(c.Run, Event{Step: c.step, State: Running, Stage: stage, Done: done, Total: total})
}
