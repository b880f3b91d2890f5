package files

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"drumbeat"
)

// scratch sorts on disk. Its files are made and removed by it alone.
type scratch struct {
	root *os.Root // nil until one is needed
	own  string   // the folder to remove, "" if the caller gave one
	runs map[string]*os.File
	n    int
}

func newScratch(root *os.Root) *scratch { return &scratch{root: root, runs: map[string]*os.File{}} }

// maxRuns bounds the runs that are read at once: each has an open file and a
// buffer. More are merged in steps.
const maxRuns = 64

// sort writes c and all that is still to come as sorted runs, and returns
// their merged entries, the least arrival time and their number.
func (s *scratch) sort(src *source, c *chunk, in next, memory int) (all next, earliest drumbeat.Time, n int, err error) {
	var runs []string
	earliest = drumbeat.NoTime
	for full := true; len(c.all) > 0; {
		c.sort()
		n += len(c.all)
		if c.earliest != drumbeat.NoTime && (earliest == drumbeat.NoTime || c.earliest < earliest) {
			earliest = c.earliest
		}
		run, err := s.write(c.entries())
		if err != nil {
			return nil, 0, 0, err
		}
		if runs = append(runs, run); len(runs) == maxRuns {
			if runs, err = s.shrink(src, runs); err != nil {
				return nil, 0, 0, err
			}
		}
		c.all = c.all[:0]
		if !full {
			break
		}
		if full, err = c.fill(in, memory); err != nil {
			return nil, 0, 0, err
		}
	}
	all, err = s.merge(src, runs)
	return all, earliest, n, err
}

// shrink merges runs into one.
func (s *scratch) shrink(src *source, runs []string) ([]string, error) {
	all, err := s.merge(src, runs)
	if err != nil {
		return nil, err
	}
	run, err := s.write(all)
	if err != nil {
		return nil, err
	}
	for _, merged := range runs {
		if err := s.drop(merged); err != nil {
			return nil, err
		}
	}
	return []string{run}, nil
}

func (s *scratch) merge(src *source, runs []string) (next, error) {
	inputs := make([]next, len(runs))
	for i, run := range runs {
		in, err := s.read(src, run)
		if err != nil {
			return nil, err
		}
		inputs[i] = in
	}
	return merge(inputs, func(a, b *entry) bool { return a.before(b) }), nil
}

// write writes one run and returns its name.
func (s *scratch) write(in next) (name string, err error) {
	if s.root == nil {
		if s.own, err = os.MkdirTemp("", "import-"); err != nil {
			return "", fmt.Errorf("make a scratch folder: %w", err)
		}
		if s.root, err = os.OpenRoot(s.own); err != nil {
			return "", fmt.Errorf("open the scratch folder: %w", err)
		}
	}
	var file *os.File
	for file == nil {
		s.n++
		name = fmt.Sprintf("import-run-%06d", s.n)
		file, err = s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil && !errors.Is(err, fs.ErrExist) { // another import's may be there
			return "", fmt.Errorf("make scratch file: %w", err)
		}
	}
	s.runs[name] = nil
	defer func() {
		if closeErr := file.Close(); closeErr != nil && err == nil {
			err = fmt.Errorf("close scratch file %s: %w", name, closeErr)
		}
	}()
	const buffer = 256 << 10
	out := bufio.NewWriterSize(file, buffer)
	var packed []byte
	for {
		one, err := in()
		if err != nil {
			return "", err
		}
		if one == nil {
			break
		}
		packed = pack(packed[:0], one)
		if _, err := out.Write(packed); err != nil {
			return "", fmt.Errorf("write scratch file %s: %w", name, err)
		}
	}
	if err := out.Flush(); err != nil {
		return "", fmt.Errorf("write scratch file %s: %w", name, err)
	}
	return name, nil
}

// pack appends the entry: its length, then its parts.
func pack(dst []byte, e *entry) []byte {
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.AppendVarint(dst, int64(e.arrival))
	dst = binary.AppendVarint(dst, int64(e.event))
	dst = binary.AppendUvarint(dst, uint64(e.line)) //nolint:gosec // from 1
	state := byte(0)
	if e.future {
		state |= 1
	}
	column, reason := "", ""
	if e.fault != nil {
		state |= 2
		column, reason = e.fault.Column, e.fault.Reason
	}
	dst = append(dst, state)
	for _, part := range []string{e.key, e.text, column, reason} {
		dst = binary.AppendUvarint(dst, uint64(len(part)))
		dst = append(dst, part...)
	}
	dst = append(dst, e.payload...)
	binary.LittleEndian.PutUint32(dst, uint32(len(dst)-4)) //nolint:gosec // a few maxRow at most
	return dst
}

// read reads a run. Machine ids are shared among its entries.
func (s *scratch) read(src *source, name string) (next, error) {
	file, err := s.root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open scratch file: %w", err)
	}
	s.runs[name] = file
	const buffer = 64 << 10
	in := bufio.NewReaderSize(file, buffer)
	one := &entry{source: src}
	keys := map[string]string{}
	var packed []byte
	return func() (*entry, error) {
		var size [4]byte
		if _, err := io.ReadFull(in, size[:]); err != nil {
			if errors.Is(err, io.EOF) {
				return nil, nil
			}
			return nil, fmt.Errorf("read scratch file %s: %w", name, err)
		}
		n := int(binary.LittleEndian.Uint32(size[:]))
		if cap(packed) < n {
			packed = make([]byte, n)
		}
		packed = packed[:n]
		if _, err := io.ReadFull(in, packed); err != nil {
			return nil, fmt.Errorf("read scratch file %s: %w", name, err)
		}
		if !unpack(packed, one, keys) {
			return nil, fmt.Errorf("read scratch file %s: not what was written", name)
		}
		return one, nil
	}, nil
}

// unpack reads what pack appended; false if it is something else.
func unpack(packed []byte, e *entry, keys map[string]string) bool {
	ok := true
	number := func() int64 {
		x, n := binary.Varint(packed)
		ok = ok && n > 0
		packed = packed[max(0, n):]
		return x
	}
	size := func() int {
		x, n := binary.Uvarint(packed)
		ok = ok && n > 0 && x <= 1<<31
		packed = packed[max(0, n):]
		return int(x) //nolint:gosec // checked
	}
	e.arrival, e.event = drumbeat.Time(number()), drumbeat.Time(number())
	e.line = size()
	if !ok || len(packed) == 0 {
		return false
	}
	state := packed[0]
	packed = packed[1:]
	var parts [4]string
	for i := range parts {
		n := size()
		if !ok || n > len(packed) {
			return false
		}
		if i == 0 {
			parts[i] = intern(keys, string(packed[:n]))
		} else {
			parts[i] = string(packed[:n])
		}
		packed = packed[n:]
	}
	e.future, e.fault = state&1 != 0, nil
	e.key, e.text, e.payload = parts[0], parts[1], packed
	if state&2 != 0 {
		e.fault = &RowError{File: e.source.file, Line: e.line, Column: parts[2], Reason: parts[3]}
	}
	return true
}

// drop closes and removes a run.
func (s *scratch) drop(run string) error {
	var err error
	if file := s.runs[run]; file != nil {
		err = file.Close()
	}
	delete(s.runs, run)
	return errors.Join(err, s.root.Remove(run))
}

// close removes everything that is left.
func (s *scratch) close() error {
	var faults []error
	for run := range s.runs {
		faults = append(faults, s.drop(run))
	}
	if s.own != "" {
		if s.root != nil {
			faults = append(faults, s.root.Close())
		}
		faults = append(faults, os.RemoveAll(s.own))
		s.root, s.own = nil, ""
	}
	return errors.Join(faults...)
}
