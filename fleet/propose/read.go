package propose

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"unicode/utf8"
)

// Limits of a row, as the import has them: a reading of 200 sensors takes
// 4 KB, and a row that spans more lines has lost a quote.
const (
	maxRow     = 1 << 20
	maxLines   = 1000
	readBuffer = 256 << 10
)

// reader reads delimited text as people have it: quoted fields, quotes
// doubled inside quotes, a byte order mark, any end of line. A row that is
// none costs itself, never the rest of the file.
type reader struct {
	in     *bufio.Reader
	delim  byte
	long   []byte // a row that no buffer holds
	flat   []byte // fields whose quotes were doubled
	fields [][]byte
}

func newReader(in io.Reader, delim byte) *reader {
	r := &reader{in: bufio.NewReaderSize(in, readBuffer), delim: delim}
	if mark, err := r.in.Peek(3); err == nil && string(mark) == "\ufeff" {
		_, _ = r.in.Discard(len(mark))
	}
	return r
}

// next returns the next row, blank lines aside; its cells are valid until the
// next call. ok is false for a row that cannot be read.
func (r *reader) next() (cells [][]byte, ok bool, err error) {
	var line []byte
	for len(line) == 0 {
		if line, err = r.line(nil); err != nil {
			return nil, false, err
		}
	}
	if len(line) > maxRow {
		return nil, false, nil
	}
	open := r.split(line)
	for more := 0; open; more++ {
		if more == 0 {
			r.long = append(r.long[:0], line...)
		}
		if more >= maxLines || len(r.long) > maxRow {
			return nil, false, nil
		}
		line, err = r.line(append(r.long, '\n'))
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil, false, nil // the quote never closes
			}
			return nil, false, err
		}
		r.long = line
		open = r.split(r.long)
	}
	for i := range r.fields {
		if !utf8.Valid(r.fields[i]) {
			return nil, false, nil
		}
	}
	return r.fields, true, nil
}

// line returns the next line without its end, behind what dst holds. What
// passes maxRow is dropped, but for the byte that tells.
func (r *reader) line(dst []byte) ([]byte, error) {
	head := len(dst)
	for {
		part, err := r.in.ReadSlice('\n')
		full := errors.Is(err, bufio.ErrBufferFull)
		switch {
		case err != nil && !full && (!errors.Is(err, io.EOF) || len(part)+len(dst) == head):
			return nil, err
		case head == 0 && len(dst) == 0 && !full:
			dst = part // valid until the next read: the usual line is not copied
		case len(dst)+len(part) <= maxRow+1:
			dst = append(dst, part...)
		default:
			dst = append(dst, part[:max(0, maxRow+1-len(dst))]...)
		}
		if full {
			if head == 0 && len(dst) == len(part) {
				dst = bytes.Clone(dst)
			}
			continue
		}
		dst = bytes.TrimSuffix(dst, []byte{'\n'})
		return bytes.TrimSuffix(dst, []byte{'\r'}), nil
	}
}

// split cuts a row into r.fields, and says whether it ends within quotes.
func (r *reader) split(row []byte) (open bool) {
	r.fields, r.flat = r.fields[:0], r.flat[:0]
	for {
		row = bytes.TrimLeft(row, " ")
		if len(row) > 0 && row[0] == '"' {
			field, rest, closed := r.quoted(row[1:])
			if !closed {
				return true
			}
			r.fields = append(r.fields, field)
			end := bytes.IndexByte(rest, r.delim)
			if end < 0 {
				return false
			}
			row = rest[end+1:]
			continue
		}
		end := bytes.IndexByte(row, r.delim)
		if end < 0 {
			r.fields = append(r.fields, bytes.TrimSpace(row))
			return false
		}
		r.fields = append(r.fields, bytes.TrimSpace(row[:end]))
		row = row[end+1:]
	}
}

// quoted reads a field behind its opening quote.
func (r *reader) quoted(row []byte) (field, rest []byte, closed bool) {
	end := bytes.IndexByte(row, '"')
	if end < 0 {
		return nil, nil, false
	}
	if end+1 == len(row) || row[end+1] != '"' {
		return bytes.TrimSpace(row[:end]), row[end+1:], true
	}
	at := len(r.flat)
	for {
		r.flat = append(r.flat, row[:end]...)
		row = row[end+1:]
		if len(row) == 0 || row[0] != '"' {
			return bytes.TrimSpace(r.flat[at:len(r.flat):len(r.flat)]), row, true
		}
		r.flat, row = append(r.flat, '"'), row[1:]
		if end = bytes.IndexByte(row, '"'); end < 0 {
			return nil, nil, false
		}
	}
}

// delimiter returns the byte that parts the columns: the one that gives the
// first line the most fields that the next lines have too.
func delimiter(head []byte) byte {
	lines := bytes.Split(head, []byte{'\n'})
	if len(lines) > 1 {
		lines = lines[:len(lines)-1] // the last may be cut
	}
	lines = lines[:min(len(lines), 20)]
	best, bestScore := byte(','), 0
	for _, delim := range []byte{',', ';', '\t', '|'} {
		first, same := 0, 0
		for i, line := range lines {
			n := count(line, delim)
			if i == 0 {
				first = n
			}
			if n == first {
				same++
			}
		}
		if score := first * same; score > bestScore {
			best, bestScore = delim, score
		}
	}
	return best
}

// count counts the delimiter outside quotes.
func count(line []byte, delim byte) int {
	n, open := 0, false
	for _, c := range line {
		switch {
		case c == '"':
			open = !open
		case c == delim && !open:
			n++
		}
	}
	return n
}
