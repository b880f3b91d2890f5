package web

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"drumbeat"
)

// plot is one line of daily figures that the page can draw; the reader picks
// one of several.
type plot struct {
	Name     string     `json:"name"`  // on the button
	Title    string     `json:"title"` // in sentences
	Unit     string     `json:"unit"`
	Decimals int        `json:"decimals"`
	Times    []int64    `json:"times"`  // seconds since 1970
	Values   []*float64 `json:"values"` // null is missing
	// Low and High bound what is usual on each day, null where nobody knows;
	// empty without a band.
	Low  []*float64 `json:"low"`
	High []*float64 `json:"high"`
	// Since marks the day from which something holds, 0 for none.
	Since   int64  `json:"since"`
	Zero    bool   `json:"zero"` // the axis begins at 0
	Summary string `json:"summary"`
}

const (
	// maxPlots is how many lines a page carries: more buttons nobody reads.
	maxPlots = 24
	// maxPlotDays bounds a line; a chart has about a pixel for each.
	maxPlotDays = 400
)

// plotData is the data of a chart, as an attribute of the page.
func plotData(list []plot) (string, error) {
	text, err := json.Marshal(list)
	if err != nil {
		return "", fmt.Errorf("write chart: %w", err)
	}
	return string(text), nil
}

// orNull is a figure for JSON, which carries no NaN (V3).
func orNull(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

// daySeconds is the middle of a day, in seconds since 1970: a point for a day
// belongs there.
func daySeconds(day drumbeat.Time) int64 { return seconds(day.Add(12 * time.Hour)) }

// weekend says whether a day is a Saturday or a Sunday (M4).
func weekend(day drumbeat.Time) bool {
	w := day.Std().Weekday()
	return w == time.Saturday || w == time.Sunday
}

// unitText puts a unit behind a figure.
func unitText(text, unit string) string {
	if unit == "" || text == unknown {
		return text
	}
	return text + " " + unit
}
