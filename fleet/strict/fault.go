package strict

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"drumbeat"
)

// Fault is one mistake in a file.
type Fault struct {
	File         string
	Line, Column int    // from 1; Column is 0 where only the line is known
	Path         string // such as sensors[2].max; "" is the whole file
	Message      string
}

// String writes the fault as file:line:column: path: message, the form that
// editors follow.
func (f Fault) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:", f.File, f.Line)
	if f.Column > 0 {
		fmt.Fprintf(&b, "%d:", f.Column)
	}
	if f.Path != "" {
		b.WriteString(" " + f.Path + ":")
	}
	b.WriteString(" " + f.Message)
	return b.String()
}

// Faults is every mistake in a file, in its order. It is an error of the kind
// drumbeat.ErrInvalid.
type Faults []Fault

// Error writes one line a fault.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Is says that faults are invalid input.
func (fs Faults) Is(target error) bool { return target == drumbeat.ErrInvalid }

func (fs Faults) sort() {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// Nearest returns the known word that a person may have meant by word, ""
// if none is near: at most one edit in three letters away.
func Nearest(word string, known []string) string {
	best, bestAt := "", 1+max(1, len(word)/3)
	for _, candidate := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(candidate)); d < bestAt {
			best, bestAt = candidate, d
		}
	}
	return best
}

// Suggest returns "; did you mean …?" with the nearest known word, or else
// the list of them, or "" if nothing is known.
func Suggest(word string, known []string) string {
	const listed = 20 // longer lists hide more than they show
	if near := Nearest(word, known); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	if len(known) == 0 {
		return ""
	}
	if len(known) > listed {
		return fmt.Sprintf("; known: %s and %d more", strings.Join(known[:listed], ", "), len(known)-listed)
	}
	return "; known: " + strings.Join(known, ", ")
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbours between a and b. Long words are cut: they are never near.
func distance(a, b string) int {
	const longest = 64
	ra, rb := []rune(a), []rune(b)
	if len(ra) > longest || len(rb) > longest {
		return longest
	}
	var before, last []int
	row := make([]int, len(rb)+1)
	for j := range row {
		row[j] = j
	}
	for i := range ra {
		before, last, row = last, row, make([]int, len(rb)+1)
		row[0] = i + 1
		for j := range rb {
			cost := 1
			if ra[i] == rb[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && ra[i] == rb[j-1] && ra[i-1] == rb[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(rb)]
}
