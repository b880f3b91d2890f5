package propose

import (
	"io"
	"strings"

	"drumbeat"
)

// ReadAll reads delimited text, nil for a row that cannot be read.
func ReadAll(text string, delim byte) (rows [][]string) {
	r := newReader(strings.NewReader(text), delim)
	for {
		cells, ok, err := r.next()
		if err == io.EOF { //nolint:errorlint // the reader passes it on as it is
			return rows
		}
		if !ok {
			rows = append(rows, nil)
			continue
		}
		row := make([]string, len(cells))
		for i, cell := range cells {
			row[i] = string(cell)
		}
		rows = append(rows, row)
	}
}

// Delimiter returns what parts the columns of a text.
func Delimiter(text string) byte { return delimiter([]byte(text)) }

// Number reads a number and how many decimals its text has.
func Number(text string) (value float64, decimals int, ok bool) {
	n, ok := parseNumber([]byte(text))
	return n.value, n.decimals, ok
}

// Guess returns the format of a column's cells and a reader of it.
func Guess(cells []string, hint bool) (layout string, proven, ok bool) {
	var texts [][]byte
	for _, cell := range cells {
		texts = append(texts, []byte(cell))
	}
	f, proven, ok := guessFormat(texts, hint)
	return f.layout, proven, ok
}

// Layouts returns every layout that is known, those included that read day
// and month the other way round.
func Layouts() (layouts []string) {
	for _, f := range formats() {
		layouts = append(layouts, f.layout)
		if f.other != "" {
			layouts = append(layouts, f.other)
		}
	}
	return layouts
}

// ReadTimes reads cells one after the other, as a column's.
func ReadTimes(layout string, cells ...string) (times []drumbeat.Time, ok []bool) {
	c := clock{format: timeFormat{layout: layout}}
	for _, cell := range cells {
		t, good := c.read([]byte(cell))
		times, ok = append(times, t), append(ok, good)
	}
	return times, ok
}

// Words cuts a column's name into words.
func Words(name string) []string { return wordsOf(name) }

// UnitOf returns the unit that a name says.
func UnitOf(name string) string { return unitOf(name, wordsOf(name)) }

// Scalar writes a text for YAML.
func Scalar(text string) string { return scalar(text) }
