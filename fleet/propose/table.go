package propose

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"drumbeat"
)

// table is rows with named columns, which can be read more than once: a file,
// or the records of one type.
type table struct {
	name    string
	columns []string
	comma   bool   // what stands between columns is the comma that the import reads
	size    int64  // bytes or rows, to tell the larger of two
	role    role   // roleNone: recognized by what it holds
	log     string // the log's name, if role is roleLog
	// rows yields each row's cells, valid until the next, and nil for a row
	// that cannot be read. An error ends it.
	rows func(ctx context.Context) iter.Seq2[[][]byte, error]
}

// Limits of what is looked at.
const (
	maxTables  = 200
	maxColumns = 2000
)

// openTables finds the delimited files of a folder, or the one that is named.
// Notes say what else lies there.
func openTables(fsys fs.FS, only string) (tables []*table, notes []string, err error) {
	names := []string{only}
	if only == "" {
		if names, notes, err = listFiles(fsys); err != nil {
			return nil, nil, err
		}
	}
	for _, name := range names {
		t, note, err := openTable(fsys, name)
		if err != nil {
			return nil, nil, err
		}
		if note != "" {
			notes = append(notes, name+" "+note)
			continue
		}
		tables = append(tables, t)
	}
	if len(tables) == 0 {
		return nil, nil, fmt.Errorf("propose a fleet: there is no file of rows (.csv, .tsv, .txt, plain or .gz) to read%s: %w",
			because(notes), drumbeat.ErrNotFound)
	}
	return tables, notes, nil
}

func because(notes []string) string {
	if len(notes) == 0 {
		return ""
	}
	return " (" + strings.Join(notes, "; ") + ")"
}

// listFiles returns the files that may hold rows, by their names.
func listFiles(fsys fs.FS) (names, notes []string, err error) {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, nil, fmt.Errorf("list the folder: %w", err)
	}
	var folders []string
	for _, entry := range entries {
		name := entry.Name()
		plain := strings.TrimSuffix(strings.ToLower(name), ".gz")
		switch {
		case strings.HasPrefix(name, "."):
		case entry.IsDir():
			folders = append(folders, name)
		case strings.HasSuffix(plain, ".csv"), strings.HasSuffix(plain, ".tsv"), strings.HasSuffix(plain, ".txt"):
			names = append(names, name)
		case strings.HasSuffix(plain, ".parquet"), strings.HasSuffix(plain, ".xlsx"), strings.HasSuffix(plain, ".zip"):
			notes = append(notes, name+" is not read: save it as CSV")
		}
	}
	if len(folders) > 0 {
		notes = append(notes, "folders inside are not read: "+strings.Join(folders, ", "))
	}
	if len(names) > maxTables {
		return nil, nil, fmt.Errorf("list the folder: %d files are more than %d: name a folder of fewer: %w",
			len(names), maxTables, drumbeat.ErrLimit)
	}
	return names, notes, nil
}

// openTable reads a file's header. A note says why it is no table.
func openTable(fsys fs.FS, name string) (t *table, note string, err error) {
	in, closer, err := openFile(fsys, name)
	if err != nil {
		return nil, "", err
	}
	defer closer.Close()
	buffered := bufio.NewReaderSize(in, readBuffer)
	const looked = 64 << 10
	head, err := buffered.Peek(looked)
	if err != nil && !errors.Is(err, io.EOF) && len(head) == 0 {
		return nil, "", fmt.Errorf("read %s: %w", name, err)
	}
	if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		return nil, "is UTF-16 text: save it as UTF-8", nil
	}
	if i := bytes.IndexByte(head, '\n'); i >= 0 && !utf8.Valid(head[:i]) {
		return nil, "has a first row that is not UTF-8 text: save it as UTF-8", nil
	}
	delim := delimiter(head)
	header, ok, err := newReader(buffered, delim).next()
	switch {
	case errors.Is(err, io.EOF):
		return nil, "is empty", nil
	case err != nil:
		return nil, "", fmt.Errorf("read the header of %s: %w", name, err)
	case !ok:
		return nil, "has no readable first row", nil
	case len(header) > maxColumns:
		return nil, fmt.Sprintf("has %d columns, more than %d", len(header), maxColumns), nil
	}
	t = &table{name: name, comma: delim == ','}
	for _, cell := range header {
		if _, ok := parseNumber(cell); ok {
			return nil, fmt.Sprintf("has no header: the first row must name the columns (it holds %s)", clip(string(cell))), nil
		}
		t.columns = append(t.columns, string(cell))
	}
	if info, err := fs.Stat(fsys, name); err == nil {
		t.size = info.Size()
	}
	t.rows = func(ctx context.Context) iter.Seq2[[][]byte, error] { return fileRows(ctx, fsys, name, delim) }
	return t, "", nil
}

// openFile opens a file, unpacked if its name ends in .gz.
func openFile(fsys fs.FS, name string) (io.Reader, io.Closer, error) {
	file, err := fsys.Open(name)
	if err != nil {
		return nil, nil, fmt.Errorf("open %s: %w", name, err)
	}
	if !strings.HasSuffix(strings.ToLower(name), ".gz") {
		return file, file, nil
	}
	unpacked, err := gzip.NewReader(bufio.NewReader(file))
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("unpack %s: %w", name, err), file.Close())
	}
	return unpacked, file, nil
}

// fileRows reads the rows behind the header.
func fileRows(ctx context.Context, fsys fs.FS, name string, delim byte) iter.Seq2[[][]byte, error] {
	return func(yield func([][]byte, error) bool) {
		in, closer, err := openFile(fsys, name)
		if err != nil {
			yield(nil, err)
			return
		}
		defer closer.Close()
		rows := newReader(in, delim)
		for n := 0; ; n++ {
			if n%4096 == 0 && ctx.Err() != nil {
				yield(nil, ctx.Err())
				return
			}
			cells, ok, err := rows.next()
			switch {
			case errors.Is(err, io.EOF):
				return
			case err != nil:
				yield(nil, fmt.Errorf("read %s: %w", name, err))
				return
			case n == 0: // the header
				continue
			case !ok:
				cells = nil
			}
			if !yield(cells, nil) {
				return
			}
		}
	}
}

// sampleRows and sampleBytes bound what is kept of a table to look at before
// it is read to its end.
const (
	sampleRows  = 5000
	sampleBytes = 8 << 20
)

// sample returns the first rows that have a cell for each column.
func (t *table) sample(ctx context.Context) ([][][]byte, error) {
	var out [][][]byte
	held := 0
	for cells, err := range t.rows(ctx) {
		if err != nil {
			return nil, err
		}
		if len(cells) != len(t.columns) {
			continue
		}
		row := make([][]byte, len(cells))
		for i, cell := range cells {
			row[i] = bytes.Clone(cell)
			held += len(cell)
		}
		out = append(out, row)
		if len(out) >= sampleRows || held > sampleBytes {
			break
		}
	}
	return out, nil
}

// sameColumns says whether two tables have the same columns, in any order.
func sameColumns(a, b *table) bool {
	return slices.Equal(slices.Sorted(slices.Values(a.columns)), slices.Sorted(slices.Values(b.columns)))
}

// clip keeps of a text what a sentence can hold.
func clip(text string) string {
	const shown = 40
	if runes := []rune(text); len(runes) > shown {
		return string(runes[:shown]) + "…"
	}
	return text
}
