package delta

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"drumbeat"

	"github.com/parquet-go/parquet-go"
)

const (
	// batchRows is how many rows a scan yields at once: enough to spread the
	// cost of a call, few enough for the second-nearest cache.
	batchRows = 8192
	// wholeFile is the size up to which a file is read at one go.
	wholeFile = 8 << 20
)

// ScanOptions narrows a scan.
type ScanOptions struct {
	Columns []string         // wanted, in this order; nil for all
	Files   []*File          // of this snapshot, in the order wanted; nil for all
	Skip    func(*File) bool // files that hold nothing of interest; nil skips none
}

// Scan yields the table's rows in order, some thousands at a time, in the
// columns asked for. A batch and all that it holds belong to the scan: they
// are valid until the next step. It ends after the first error.
func (s *Snapshot) Scan(ctx context.Context, opt ScanOptions) iter.Seq2[*Batch, error] {
	return func(yield func(*Batch, error) bool) {
		fields, err := s.project(opt.Columns)
		if err != nil {
			yield(nil, fmt.Errorf("scan table %s: %w", s.table.Name(), err))
			return
		}
		batch := &Batch{Columns: make([]Column, len(fields))}
		files := opt.Files
		if files == nil {
			files = s.files
		}
		for _, file := range files {
			if opt.Skip != nil && opt.Skip(file) {
				continue
			}
			more, err := s.scanFile(ctx, file, fields, batch, yield)
			if err != nil {
				yield(nil, fmt.Errorf("scan table %s: %w", s.table.Name(), err))
				return
			}
			if !more {
				return
			}
		}
	}
}

// project returns the fields of the named columns.
func (s *Snapshot) project(columns []string) (Schema, error) {
	if columns == nil {
		return s.schema, nil
	}
	fields := make(Schema, len(columns))
	for i, name := range columns {
		at := s.schema.Index(name)
		if at < 0 {
			return nil, fmt.Errorf("there is no column %s: %w", name, drumbeat.ErrNotFound)
		}
		fields[i] = s.schema[at]
	}
	return fields, nil
}

// scanFile yields one file's rows, and says whether more are wanted.
func (s *Snapshot) scanFile(
	ctx context.Context, file *File, fields Schema, batch *Batch, yield func(*Batch, error) bool,
) (more bool, err error) {
	key := s.table.prefix + file.Path
	reader, size, closer, err := s.table.open(ctx, key)
	if err != nil {
		if errors.Is(err, drumbeat.ErrNotFound) {
			if !s.table.Snapshot().has(file.Path) {
				return false, fmt.Errorf("file %s was compacted away while it was to be read; scan again: %w", key, drumbeat.ErrConflict)
			}
			return false, fmt.Errorf("file %s is in the log and not in the store; restore it from a backup: %w", key, err)
		}
		return false, err
	}
	defer func() { err = errors.Join(err, closer()) }()
	var rows *fileRows
	if err = file.verify(reader, size); err == nil {
		rows, err = newFileRows(reader, size, fields, file.Partition)
	}
	if err != nil {
		return false, damaged("file "+key, err)
	}
	defer func() { err = errors.Join(err, rows.close()) }()
	batch.Tags = file.Tags
	for {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		if err := rows.next(batch); err != nil {
			return false, damaged("file "+key, err)
		}
		if batch.N == 0 {
			return true, nil
		}
		if !yield(batch, nil) {
			return false, nil
		}
	}
}

// open opens a blob for reading at random: small ones are read at one go.
func (t *Table) open(ctx context.Context, key string) (io.ReaderAt, int64, func() error, error) {
	object, err := t.store.Open(ctx, key)
	if err != nil {
		return nil, 0, nil, err
	}
	size := object.Size()
	if size > wholeFile {
		return object, size, object.Close, nil
	}
	body := make([]byte, size)
	n, err := object.ReadAt(body, 0)
	if int64(n) == size {
		err = nil // io.EOF may come with the last byte
	}
	if err := errors.Join(err, object.Close()); err != nil {
		return nil, 0, nil, fmt.Errorf("read file %s: %w", key, err)
	}
	return bytes.NewReader(body), size, func() error { return nil }, nil
}

// fileRows reads chosen columns of a Parquet file side by side.
type fileRows struct {
	file    *parquet.File
	fields  Schema
	leaves  []int                  // column index in the file, -1 if it has none
	fixed   map[int]partitionValue // of partition columns
	group   int                    // next row group
	left    int64                  // rows left in the current one
	columns []*columnReader
}

func newFileRows(r io.ReaderAt, size int64, fields Schema, partition map[string]string) (rows *fileRows, err error) {
	defer recovered(&err)
	file, err := openParquet(r, size)
	if err != nil {
		return nil, err
	}
	rows = &fileRows{file: file, fields: fields, leaves: make([]int, len(fields)), columns: make([]*columnReader, len(fields))}
	for i, field := range fields {
		rows.columns[i] = &columnReader{field: field}
		if field.Partition {
			rows.leaves[i] = -1
			if err := rows.fix(i, partition[field.Name]); err != nil {
				return nil, err
			}
			continue
		}
		leaf, found := file.Schema().Lookup(field.Name)
		switch {
		case !found && field.Nullable:
			rows.leaves[i] = -1 // the file is older than the column
			continue
		case !found:
			return nil, fmt.Errorf("column %s is missing", field.Name)
		case leaf.MaxRepetitionLevel > 0 || leaf.MaxDefinitionLevel > 1:
			return nil, fmt.Errorf("column %s is nested", field.Name)
		}
		rows.leaves[i] = leaf.ColumnIndex
		rows.columns[i].optional = leaf.MaxDefinitionLevel == 1
		if rows.columns[i].convert, err = converter(field, leaf.Node.Type()); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// fix gives a partition column its value.
func (r *fileRows) fix(i int, text string) error {
	v, err := r.fields[i].parsePartition(text)
	if r.fixed == nil {
		r.fixed = map[int]partitionValue{}
	}
	r.fixed[i] = v
	return err
}

// next fills a batch with the rows that follow; none at the end.
func (r *fileRows) next(batch *Batch) (err error) {
	defer recovered(&err)
	batch.N = 0
	groups := r.file.RowGroups()
	for r.left == 0 {
		if r.group == len(groups) {
			return nil
		}
		chunks := groups[r.group].ColumnChunks()
		r.left = groups[r.group].NumRows()
		r.group++
		if r.left < 0 {
			return fmt.Errorf("a row group of %d rows", r.left)
		}
		for i, leaf := range r.leaves {
			if leaf < 0 {
				continue
			}
			if err := r.columns[i].open(chunks[leaf]); err != nil {
				return err
			}
		}
	}
	n := int(min(r.left, batchRows))
	for i, column := range r.columns {
		if v, fixed := r.fixed[i]; fixed {
			v.fill(&batch.Columns[i], r.fields[i], n)
			continue
		}
		if r.leaves[i] < 0 {
			column.absent(&batch.Columns[i], n)
			continue
		}
		if err := column.read(&batch.Columns[i], n); err != nil {
			return fmt.Errorf("column %s: %w", r.fields[i].Name, err)
		}
	}
	r.left -= int64(n)
	batch.N = n
	return nil
}

func (r *fileRows) close() error {
	var err error
	for _, column := range r.columns {
		err = errors.Join(err, column.close())
	}
	return err
}

// recovered turns a panic of the Parquet engine on bad bytes into an error.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%v", r)
	}
}
