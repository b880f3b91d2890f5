package propose

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"drumbeat"
)

// kind is what a column's cells are.
type kind uint8

const (
	kindEmpty kind = iota
	kindNumber
	kindText
	kindTime
)

// column is what a sample says of a column.
type column struct {
	name     string
	words    []string // of the name: machineID is machine, id
	kind     kind
	twice    bool // another column has this name
	format   timeFormat
	proven   bool // of format: the order of day and month is certain
	comma    bool // numbers have decimal commas
	decimals bool // numbers have digits behind the point
	filled   int
	distinct map[string]int
}

// sheet is a table with what a sample of it says.
type sheet struct {
	*table
	cols    []column
	rows0   [][][]byte    // the sample
	machine int           // the machine's column, -1 without one
	time    int           // the event time's column, -1 without one
	start   int           // the column of a window's start beside time, its end, or -1
	known   int           // the column of an arrival time, or -1
	regular float64       // share of gaps near the median, per machine; NaN without gaps
	gap     time.Duration // the median
	falling bool          // the newest rows stand first
}

// role is what a table is to the fleet.
type role uint8

const (
	roleNone role = iota
	roleTelemetry
	roleMachines
	roleLog
)

// String returns the role as the report writes it.
func (r role) String() string {
	return [...]string{"unused", "telemetry", "machines", "log"}[r]
}

// maxDistinct bounds the texts that are counted one by one.
const maxDistinct = 1000

// look reads a sample of the table and says what its columns are.
func look(ctx context.Context, t *table) (*sheet, error) {
	rows, err := t.sample(ctx)
	if err != nil {
		return nil, err
	}
	s := &sheet{table: t, rows0: rows, machine: -1, time: -1, start: -1, known: -1, regular: math.NaN()}
	s.cols = make([]column, len(t.columns))
	for i, name := range t.columns {
		s.cols[i] = lookColumn(name, rows, i)
		s.cols[i].twice = name == "" || slices.Index(t.columns, name) != i ||
			slices.Contains(t.columns[i+1:], name)
	}
	s.times()
	return s, nil
}

func lookColumn(name string, rows [][][]byte, at int) column {
	c := column{name: name, words: wordsOf(name), distinct: map[string]int{}}
	numbers, points, commas := 0, 0, 0
	var cells [][]byte
	const tried = 400 // cells that a time's format is guessed from
	step := max(1, len(rows)/tried)
	for i, row := range rows {
		cell := row[at]
		if isMissing(cell) {
			continue
		}
		c.filled++
		if len(c.distinct) < maxDistinct || c.distinct[string(cell)] > 0 {
			c.distinct[string(cell)]++
		}
		if n, ok := parseNumber(cell); ok {
			numbers++
			if n.comma {
				commas++
			}
			if n.decimals > 0 {
				points++
			}
		}
		if i%step == 0 || len(cells) == 0 {
			cells = append(cells, cell)
		}
	}
	if c.filled == 0 {
		return c
	}
	hint := hasWord(c.words, "time", "date", "datetime", "timestamp", "ts", "epoch", "day", "when", "at", "utc", "stamp")
	isNumber := numbers*20 >= c.filled*19
	if !isNumber || hint && points == 0 {
		if f, proven, ok := guessFormat(cells, hint); ok {
			c.kind, c.format, c.proven = kindTime, f, proven
			return c
		}
	}
	c.kind = kindText
	if isNumber {
		c.kind, c.comma, c.decimals = kindNumber, commas > 0, points > 0
	}
	return c
}

// wordsOf cuts a name into lower-case words: machineID becomes machine, id.
func wordsOf(name string) []string {
	var words []string
	var word []rune
	flush := func() {
		if len(word) > 0 {
			words = append(words, strings.ToLower(string(word)))
			word = word[:0]
		}
	}
	runes := []rune(name)
	for i, r := range runes {
		letter := r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r > 127
		upper := r >= 'A' && r <= 'Z'
		switch {
		case upper:
			before := i > 0 && runes[i-1] >= 'a' && runes[i-1] <= 'z'
			last := i > 0 && i+1 < len(runes) && runes[i+1] >= 'a' && runes[i+1] <= 'z' &&
				runes[i-1] >= 'A' && runes[i-1] <= 'Z'
			if before || last {
				flush()
			}
			word = append(word, r)
		case letter:
			word = append(word, r)
		default:
			flush()
		}
	}
	flush()
	return words
}

// hasWord says whether one of the words is among the wanted.
func hasWord(words []string, wanted ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(wanted, w) })
}

// hasPart says whether a word begins with one of the parts.
func hasPart(words []string, parts ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.HasPrefix(w, p) })
	})
}

// times chooses the column of the event time, and knows the start of a window
// and the time of arrival by their names. A window's values are known at its
// end: that is their event time.
func (s *sheet) times() {
	best := math.Inf(-1)
	for i := range s.cols {
		c := &s.cols[i]
		if c.kind != kindTime || c.twice {
			continue
		}
		score := 0.0
		switch {
		case isArrival(c.words):
			score = -5
			s.known = i
		case hasWord(c.words, "start", "begin", "from", "opened"):
			score = -1
		case hasWord(c.words, "end", "until", "to", "stop", "finish", "closed"):
			score = 1
		case hasWord(c.words, "timestamp", "datetime", "time", "ts", "date"):
			score = 2
		}
		if hasPart(c.words, "install", "commission", "purchase", "manufact", "warranty", "built", "birth") {
			score = -8
		}
		score += float64(c.filled) / float64(max(1, len(s.rows0)))
		if score > best {
			best, s.time = score, i
		}
	}
	if s.time < 0 {
		s.known = -1
		return
	}
	if s.known == s.time {
		s.known = -1
	}
	for i := range s.cols {
		if c := &s.cols[i]; c.kind == kindTime && i != s.time && hasWord(c.words, "start", "begin", "from") {
			s.start = i
		}
	}
}

// isArrival knows the names of the time at which a row was stored.
func isArrival(words []string) bool {
	return hasPart(words, "receiv", "ingest", "arriv", "insert", "upload", "stored", "reported", "recorded", "created", "loaded")
}

// gaps measures how regular each machine's rows of the sample are.
func (s *sheet) gaps() {
	if s.machine < 0 || s.time < 0 {
		return
	}
	last := map[string]drumbeat.Time{}
	c := clock{format: s.cols[s.time].format}
	var all []time.Duration
	fell := 0
	for _, row := range s.rows0 {
		t, ok := c.read(row[s.time])
		if !ok {
			continue
		}
		id := string(row[s.machine])
		if before, seen := last[id]; seen && t != before {
			all = append(all, t.Sub(before).Abs())
			if t < before {
				fell++
			}
		}
		last[id] = t
	}
	if len(all) == 0 {
		return
	}
	s.falling = fell*2 > len(all)
	slices.Sort(all)
	s.gap = all[len(all)/2]
	near := 0
	for _, g := range all {
		if g >= s.gap*4/5 && g <= s.gap*6/5 {
			near++
		}
	}
	s.regular = float64(near) / float64(len(all))
}
