package files

import (
	"errors"
	"io"
)

// ReadCSV reads every row of the text, for tests: its fields, or nil with the
// fault and the row's text.
func ReadCSV(in io.Reader) (rows [][]string, faults []string) {
	l := newLines(in)
	for {
		fields, fault, err := l.next()
		switch {
		case errors.Is(err, io.EOF):
			return rows, faults
		case err != nil:
			return rows, append(faults, err.Error())
		case fault != "":
			rows, faults = append(rows, nil), append(faults, string(l.raw)+": "+fault)
		default:
			rows = append(rows, append([]string{}, fields...))
		}
	}
}
