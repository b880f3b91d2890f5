package delta

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// tagChecksum keeps a file's CRC-32C, in hexadecimal, beside it in the log: a
// Parquet decoder should not have to find out by itself that a disk lies.
const tagChecksum = "drumbeat.crc32c"

func checksum(body []byte) string {
	return fmt.Sprintf("%08x", crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
}

const (
	// checksumKey is what stands before a commit's checksum; noChecksum holds
	// its place while it is taken.
	checksumKey = `"` + tagChecksum + `":"`
	noChecksum  = "00000000"
	// engine names this program in commits that have a checksum.
	engine = "Drumbeat/2"
)

// verifyCommit holds a commit to the checksum that it carries. Those of other
// programs, and of ours before it wrote them, have none.
func verifyCommit(key string, body []byte) error {
	info, _, _ := bytes.Cut(body, []byte("\n"))
	at := bytes.Index(info, []byte(checksumKey))
	from := at + len(checksumKey)
	if at < 0 || from+len(noChecksum) > len(info) {
		if bytes.Contains(info, []byte(`"engineInfo":"Drumbeat/`)) {
			return damaged("commit "+key, errors.New("its checksum is missing"))
		}
		return nil
	}
	blank := bytes.Clone(body)
	copy(blank[from:], noChecksum)
	if want, got := string(body[from:from+len(noChecksum)]), checksum(blank); got != want {
		return damaged("commit "+key, fmt.Errorf("its checksum is %s, want %s", got, want))
	}
	return nil
}

// verify holds an open file to the checksum that the log has, once.
func (f *File) verify(r io.ReaderAt, size int64) error {
	want, known := f.Tags[tagChecksum]
	if !known || f.verified.Load() {
		return nil
	}
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	n, err := io.CopyBuffer(struct{ io.Writer }{sum}, io.NewSectionReader(r, 0, size), make([]byte, pageBytes))
	if err != nil {
		return err
	}
	if got := fmt.Sprintf("%08x", sum.Sum32()); n != f.Size || got != want {
		return fmt.Errorf("it has %d bytes with checksum %s, want %d with %s", n, got, f.Size, want)
	}
	f.verified.Store(true)
	return nil
}

// openParquet opens a Parquet file for reading. It refuses codecs that Delta
// writers do not use: some decoders do not stand up to bad bytes.
func openParquet(r io.ReaderAt, size int64) (*parquet.File, error) {
	// The engine believes the length that the file's end gives for its footer.
	var end [8]byte
	if n, err := r.ReadAt(end[:], max(size-8, 0)); n < len(end) {
		return nil, fmt.Errorf("it has %d bytes: %w", size, cmp.Or(err, io.ErrUnexpectedEOF))
	}
	if footer := int64(binary.LittleEndian.Uint32(end[:4])); footer > size-12 {
		return nil, fmt.Errorf("its footer would have %d bytes of %d", footer, size)
	}
	file, err := parquet.OpenFile(r, size, &parquet.FileConfig{
		SkipPageIndex: true, SkipBloomFilters: true, ReadBufferSize: pageBytes,
	})
	if err != nil {
		return nil, err
	}
	for _, group := range file.Metadata().RowGroups {
		for _, column := range group.Columns {
			switch codec := column.MetaData.Codec; codec {
			case format.Uncompressed, format.Snappy, format.Gzip, format.Zstd:
			case format.LZO, format.Brotli, format.Lz4, format.Lz4Raw:
				return nil, fmt.Errorf("compressed with %s, which is not read here", codec)
			default:
				return nil, fmt.Errorf("compressed with codec %d, which is unknown", codec)
			}
		}
	}
	return file, nil
}
