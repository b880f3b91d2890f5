package topic

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"drumbeat/failpoint"
)

// HeaderID is the header that names what a record says, so that the same thing
// said again is known: with Config.EventHubs a TxnWriter's records have one.
const HeaderID = "id"

// once writes records and then commits the offsets that they were made from,
// in one request with how far the records' topic had come. A crash between
// the two leaves records without their offsets: they are made again, and are
// known by their ids, because all that stands beyond the committed end is read
// back before the first write. Two processes at once are not told apart.
type once struct {
	cfg  Config
	ends map[string]map[int32]int64    // after the last record of each topic, by partition; nil before the first write
	said map[string]map[string][]place // by topic and id: records that were written without their offsets
}

type place struct {
	partition int32
	offset    int64
}

// write is WriteTxn without transactions.
func (o *once) write(ctx context.Context, client *kgo.Client, records []Record, commit Commit) error {
	fresh := make([]Record, 0, len(records))
	at := make([]int, 0, len(records)) // where each of fresh stands in records
	for i := range records {
		r := &records[i]
		if err := o.readBack(ctx, commit.Group, r.Topic); err != nil {
			return err
		}
		id := r.Headers[HeaderID]
		if places := o.said[r.Topic][id]; id != "" && len(places) > 0 {
			r.Partition, r.Offset = places[0].partition, places[0].offset
			o.said[r.Topic][id] = places[1:]
			continue
		}
		fresh, at = append(fresh, *r), append(at, i)
	}
	if err := send(ctx, client, fresh)(); err != nil {
		return err
	}
	failpoint.Here("topic.once_sent")
	for i := range fresh {
		r := &fresh[i]
		records[at[i]].Partition, records[at[i]].Offset = r.Partition, r.Offset
		o.ends[r.Topic][r.Partition] = max(o.ends[r.Topic][r.Partition], r.Offset+1)
	}
	offsets := commit.offsets()
	for name, ends := range o.ends {
		for partition, end := range ends {
			offsets.AddOffset(name, partition, end, -1)
		}
	}
	return commitAlone(ctx, client, commit.Group, offsets)
}

// readBack learns, before the first record of a topic is written, what stands
// there beyond the end that was committed last.
func (o *once) readBack(ctx context.Context, group, name string) error {
	if o.ends[name] != nil {
		return nil
	}
	ends, err := Ends(ctx, o.cfg, name)
	if err != nil {
		return err
	}
	from, err := Committed(ctx, o.cfg, group, name)
	if err != nil {
		return err
	}
	of := Topic{Name: name, Partitions: int32(len(ends))} //nolint:gosec // the protocol numbers them in 32 bits
	offsets := map[int32]int64{}
	for partition, end := range ends {
		if from[partition] < end {
			offsets[partition] = from[partition]
		}
	}
	said := map[string][]place{}
	if len(offsets) > 0 {
		if err := o.scan(ctx, From{Topic: of, Offsets: offsets}, ends, said); err != nil {
			return fmt.Errorf("read back what was written to topic %s: %w", name, err)
		}
	}
	if o.ends == nil {
		o.ends, o.said = map[string]map[int32]int64{}, map[string]map[string][]place{}
	}
	o.ends[name], o.said[name] = ends, said
	return nil
}

func (o *once) scan(ctx context.Context, from From, ends map[int32]int64, said map[string][]place) error {
	r, err := NewReader(ctx, o.cfg, from)
	if err != nil {
		return err
	}
	defer r.Close()
	for left := len(from.Offsets); left > 0; {
		records, err := r.Poll(ctx)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		for i := range records {
			record := &records[i]
			if id := record.Headers[HeaderID]; id != "" {
				said[id] = append(said[id], place{record.Partition, record.Offset})
			}
		}
		left = 0
		for partition := range from.Offsets {
			if !r.Drained(partition) && r.next[partition] < ends[partition] {
				left++
			}
		}
	}
	return nil
}
