package files

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"unicode/utf8"
)

// Limits of a row. A reading of 200 sensors takes 4 KB; a row that spans more
// lines has lost a quote.
const (
	maxRow   = 1 << 20
	maxLines = 1000
)

// lines reads CSV by RFC 4180: commas, quotes doubled inside quotes, rows that
// span lines only within quotes. Unlike encoding/csv it survives any row: a
// quote that never closes costs its own line, not the rest of the file.
type lines struct {
	in     *bufio.Reader
	line   int     // of the last line that was taken
	again  []taken // lines to be read again
	fields []string
	spans  []int  // ends of the fields in flat
	flat   []byte // the fields' texts, one after the other
	raw    []byte // the row's text
	start  int    // the row's first line
}

// taken is a line without its end, or why it is none.
type taken struct {
	text  []byte
	fault string
}

func newLines(in io.Reader) *lines {
	const buffer = 256 << 10
	l := &lines{in: bufio.NewReaderSize(in, buffer)}
	if mark, err := l.in.Peek(3); err == nil && string(mark) == "\ufeff" {
		_, _ = l.in.Discard(len(mark)) // a byte order mark, as spreadsheets write it
	}
	return l
}

// next reads one row, blank lines aside. A fault says why the row, whose text
// is l.raw, is none; the following call goes on behind it. The fields are
// valid until then.
func (l *lines) next() (fields []string, fault string, err error) {
	var line taken
	for len(line.text) == 0 {
		if line, err = l.take(); err != nil {
			return nil, "", err
		}
	}
	l.raw, l.start = append(l.raw[:0], line.text...), l.line
	if line.fault != "" {
		return nil, line.fault, nil
	}
	l.flat, l.spans = l.flat[:0], l.spans[:0]
	open, fault := l.split(line.text, false)
	if open && fault == "" {
		if fault, err = l.goOn(); err != nil {
			return nil, "", err
		}
	}
	if fault == "" && !utf8.Valid(l.raw) {
		fault = "is not UTF-8 text"
	}
	if fault != "" {
		return nil, fault, nil
	}
	flat := string(l.flat) // one allocation a row
	l.fields = l.fields[:0]
	at := 0
	for _, end := range l.spans {
		l.fields = append(l.fields, flat[at:end])
		at = end
	}
	return l.fields, "", nil
}

// goOn reads the further lines of a row that ended within quotes. If it finds
// no end, they are lines of their own again.
func (l *lines) goOn() (fault string, err error) {
	first := len(l.raw)
	var more []taken
	for open := true; open && fault == ""; {
		line, err := l.take()
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			return "", err
		}
		if !ended {
			more = append(more, taken{bytes.Clone(line.text), line.fault})
		}
		if ended || line.fault != "" || len(more) > maxLines || len(l.raw)+len(line.text) > maxRow {
			l.again = append(more, l.again...)
			l.line, l.raw = l.start, l.raw[:first]
			return "opens a quote that never closes", nil
		}
		l.raw = append(append(l.raw, '\n'), line.text...)
		l.flat = append(l.flat, '\n')
		open, fault = l.split(line.text, true)
	}
	return fault, nil
}

// take returns the next line, valid until the next call.
func (l *lines) take() (taken, error) {
	if len(l.again) > 0 {
		line := l.again[0]
		l.again = l.again[1:]
		l.line++
		return line, nil
	}
	var long []byte
	for {
		part, err := l.in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			if len(long) <= maxRow {
				long = append(long, part...)
			}
			continue
		}
		if err != nil && (!errors.Is(err, io.EOF) || len(part)+len(long) == 0) {
			return taken{}, err
		}
		if long != nil {
			part = append(long, part...)
		}
		l.line++
		if len(part) > maxRow {
			const shown = 1024
			return taken{part[:shown], "is longer than a megabyte"}, nil
		}
		part = bytes.TrimSuffix(part, []byte{'\n'})
		return taken{text: bytes.TrimSuffix(part, []byte{'\r'})}, nil
	}
}

// split appends the line's fields to l.flat and l.spans, going on within
// quotes if open. It says whether the line ends within quotes.
func (l *lines) split(line []byte, open bool) (stillOpen bool, fault string) {
	i := 0
	for {
		if !open && i < len(line) && line[i] == '"' {
			open = true
			i++
		}
		if !open {
			end := bytes.IndexByte(line[i:], ',')
			if end < 0 {
				end = len(line) - i
			}
			field := line[i : i+end]
			if bytes.IndexByte(field, '"') >= 0 {
				return false, "has a quote inside a field that is not quoted"
			}
			l.flat = append(l.flat, field...)
			i += end
		}
		for open {
			end := bytes.IndexByte(line[i:], '"')
			if end < 0 {
				l.flat = append(l.flat, line[i:]...)
				return true, ""
			}
			l.flat = append(l.flat, line[i:i+end]...)
			i += end + 1
			open = i < len(line) && line[i] == '"'
			if open {
				l.flat = append(l.flat, '"')
				i++
			}
		}
		l.spans = append(l.spans, len(l.flat))
		if i == len(line) {
			return false, ""
		}
		if line[i] != ',' {
			return false, "has text behind a closing quote"
		}
		i++
	}
}
