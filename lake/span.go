package lake

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"drumbeat"
	"drumbeat/delta"
)

// tagSpans tells, beside a file in the log, which offsets of which partitions
// its rows came from: "epoch/partition:first-last", separated by commas.
const tagSpans = "drumbeat.positions"

// span is the offsets of one partition that a file's rows come from.
type span struct {
	epoch, partition int32
	first, last      int64
}

type spans []span

// String writes the spans as the tag has them.
func (s spans) String() string {
	var out strings.Builder
	for i, x := range s {
		if i > 0 {
			out.WriteByte(',')
		}
		fmt.Fprintf(&out, "%d/%d:%d-%d", x.epoch, x.partition, x.first, x.last)
	}
	return out.String()
}

// joinSpans makes the tags of a file that holds the rows of several, in order:
// of each partition, from the first offset to the last. It makes none unless
// all of them have the tag.
func joinSpans(files []*delta.File) map[string]string {
	var out spans
	for _, f := range files {
		own, ok := parseSpans(f.Tags[tagSpans])
		if !ok {
			return nil
		}
		for _, x := range own {
			at := slices.IndexFunc(out, func(o span) bool { return o.epoch == x.epoch && o.partition == x.partition })
			if at < 0 {
				out = append(out, x)
				continue
			}
			out[at].first, out[at].last = min(out[at].first, x.first), max(out[at].last, x.last)
		}
	}
	return map[string]string{tagSpans: out.String()}
}

// parseSpans reads the tag; ok is false if it is not one of ours.
func parseSpans(text string) (spans, bool) {
	var out spans
	for part := range strings.SplitSeq(text, ",") {
		var x span
		n, err := fmt.Sscanf(part, "%d/%d:%d-%d", &x.epoch, &x.partition, &x.first, &x.last)
		if n != 4 || err != nil || x.epoch < 0 || x.partition < 0 || x.first < 0 || x.last < x.first {
			return nil, false
		}
		out = append(out, x)
	}
	return out, true
}

// reach is what a file may hold: spans if they are known, else a box of all
// that its statistics allow.
type reach struct {
	spans spans
	exact bool
	// The box: any partition in [partLeast, partMost] with any offset.
	epochLeast, epochMost, partLeast, partMost, offsetLeast, offsetMost int64
}

// reachOf says what positions a file may hold.
func reachOf(file *delta.File, schema delta.Schema) reach {
	if s, ok := parseSpans(file.Tags[tagSpans]); ok {
		return reach{spans: s, exact: true}
	}
	box := func(name string) (int64, int64) {
		if at := schema.Index(name); at >= 0 {
			if least, most, ok := file.Range(schema[at]); ok {
				return least, most
			}
		}
		return 0, math.MaxInt64
	}
	var r reach
	r.epochLeast, r.epochMost = box("epoch")
	r.partLeast, r.partMost = box("partition")
	r.offsetLeast, r.offsetMost = box("offset")
	return r
}

// first returns the least epoch and offset that a partition may have in the
// file; ok is false if it has none there.
func (r *reach) first(partition int32) (at drumbeat.Position, ok bool) {
	if r.exact {
		for _, s := range r.spans {
			p := drumbeat.Position{Epoch: s.epoch, Partition: partition, Offset: s.first}
			if s.partition == partition && (!ok || p.Compare(at) < 0) {
				at, ok = p, true
			}
		}
		return at, ok
	}
	if int64(partition) < r.partLeast || int64(partition) > r.partMost {
		return at, false
	}
	epoch := int32(min(r.epochLeast, math.MaxInt32)) //nolint:gosec // bounded
	return drumbeat.Position{Epoch: epoch, Partition: partition, Offset: r.offsetLeast}, true
}

// meets says whether the file may hold a row that window wants.
func (r *reach) meets(w *window) bool {
	if !r.exact {
		// From and to of the window are by partition; without knowing which
		// are inside, only the partition and the epoch can rule a file out.
		return (w.partition == AllPartitions || int64(w.partition) >= r.partLeast && int64(w.partition) <= r.partMost) &&
			r.epochLeast <= int64(w.epoch) && (w.from == nil || r.epochMost >= int64(w.epoch))
	}
	for _, s := range r.spans {
		if w.partition != AllPartitions && s.partition != w.partition {
			continue
		}
		if s.epoch > w.epoch || s.epoch < w.epoch && w.from != nil {
			continue
		}
		if s.epoch < w.epoch || s.last >= w.from[s.partition] && (w.to == nil || s.first < w.to[s.partition]) {
			return true
		}
	}
	return false
}

// window is the positions that a scan wants: of the current epoch those in
// [from, to), of earlier ones all, unless from says where to begin.
type window struct {
	epoch     int32
	from, to  Progress
	partition int32
}

// holds says whether a position is wanted.
func (w *window) holds(p *drumbeat.Position) bool {
	if w.partition != AllPartitions && p.Partition != w.partition {
		return false
	}
	if p.Epoch != w.epoch {
		return p.Epoch < w.epoch && w.from == nil
	}
	return p.Offset >= w.from[p.Partition] && (w.to == nil || p.Offset < w.to[p.Partition])
}
