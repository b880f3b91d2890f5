package access

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"drumbeat"
)

// Act is something that somebody did.
type Act struct {
	By      Person
	What    string // in words: "finding recorded"
	Subject string // the id of what it was done to
	Detail  string
}

// Entry is an act in the record. Its hash covers its own fields and the hash
// of the entry before it; docs/format/access.md has the bytes.
type Entry struct {
	Act
	Seq  int64 // from 1, without gaps
	At   time.Time
	Hash [sha256.Size]byte
}

// Head is the record's newest entry. Kept outside the file, it proves later
// that nothing was cut off the end.
type Head struct {
	Seq  int64
	Hash [sha256.Size]byte
}

// String writes h as seq:hash.
func (h Head) String() string { return fmt.Sprintf("%d:%s", h.Seq, hex.EncodeToString(h.Hash[:])) }

// maxText bounds each text of an act, in bytes: a note fits, a flood does not.
const maxText = 4096

// Record appends an act; it is durable when Record returns.
func (a *Access) Record(ctx context.Context, act Act) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.commit(ctx, act, func(*sql.Tx) error { return nil }); err != nil {
		return fmt.Errorf("record act %q: %w", act.What, err)
	}
	return nil
}

// commit does change and records act in one transaction. The caller holds mu.
func (a *Access) commit(ctx context.Context, act Act, change func(*sql.Tx) error) (err error) {
	for _, text := range []string{act.By.Name, act.What, act.Subject, act.Detail} {
		if len(text) > maxText {
			return fmt.Errorf("a text of %d bytes, want at most %d: %w", len(text), maxText, drumbeat.ErrLimit)
		}
	}
	tx, err := a.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err == nil {
			return
		}
		if rollback := tx.Rollback(); !errors.Is(rollback, sql.ErrTxDone) {
			err = errors.Join(err, rollback)
		}
	}()
	if err := change(tx); err != nil {
		return err
	}
	entry := Entry{Act: act, Seq: a.head.Seq + 1, At: a.now().Truncate(time.Microsecond)}
	entry.Hash = chain(a.head.Hash, &entry)
	_, err = tx.ExecContext(ctx,
		`INSERT INTO acts (seq, at, who, role, what, subject, detail, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		entry.Seq, micros(entry.At), act.By.Name, act.By.Role.String(), act.What, act.Subject, act.Detail, entry.Hash[:])
	if err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		// Whether it was committed is unknown: ask the table.
		return errors.Join(err, a.loadHead(context.WithoutCancel(ctx)))
	}
	a.head = Head{Seq: entry.Seq, Hash: entry.Hash}
	return nil
}

// chain hashes an entry onto the one before it: the previous hash, then each
// field as a netstring, so that no text can pose as two.
func chain(previous [sha256.Size]byte, e *Entry) [sha256.Size]byte {
	b := append(make([]byte, 0, 256), previous[:]...)
	for _, text := range []string{
		strconv.FormatInt(e.Seq, 10), strconv.FormatInt(micros(e.At), 10),
		e.By.Name, e.By.Role.String(), e.What, e.Subject, e.Detail,
	} {
		b = fmt.Appendf(b, "%d:%s,", len(text), text)
	}
	return sha256.Sum256(b)
}

// Head returns the record's newest entry; Seq 0 before the first.
func (a *Access) Head() Head {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.head
}

func (a *Access) loadHead(ctx context.Context) error {
	var hash []byte
	var head Head
	err := a.db.QueryRowContext(ctx, `SELECT seq, hash FROM acts ORDER BY seq DESC LIMIT 1`).Scan(&head.Seq, &hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("record's head: %w", err)
	}
	copy(head.Hash[:], hash)
	a.head = head
	return nil
}

// Verify walks the whole record and says where its chain first breaks, with
// drumbeat.ErrInvalid: an entry was changed, taken out or put in behind the
// program's back. It returns the head that it proved; compare it with one
// kept elsewhere to see that nothing was cut off the end.
func (a *Access) Verify(ctx context.Context) (Head, error) {
	var proved Head
	err := a.walk(ctx, 0, -1, func(e *Entry) error {
		if e.Seq != proved.Seq+1 {
			return fmt.Errorf("entry %d follows entry %d: %w", e.Seq, proved.Seq, drumbeat.ErrInvalid)
		}
		if want := chain(proved.Hash, e); e.Hash != want {
			return fmt.Errorf("entry %d (%s by %s at %s) does not carry its own hash: %w",
				e.Seq, e.What, e.By.Name, e.At.Format(time.RFC3339), drumbeat.ErrInvalid)
		}
		proved = Head{Seq: e.Seq, Hash: e.Hash}
		return nil
	})
	if err != nil {
		return proved, fmt.Errorf("verify the record of acts: %w", err)
	}
	return proved, nil
}

// Acts returns at most limit entries with a Seq above after, oldest first.
func (a *Access) Acts(ctx context.Context, after int64, limit int) ([]Entry, error) {
	var list []Entry
	err := a.walk(ctx, after, limit, func(e *Entry) error {
		list = append(list, *e)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the record of acts: %w", err)
	}
	return list, nil
}

// walk calls visit for each entry above after, in order; a negative limit is
// none.
func (a *Access) walk(ctx context.Context, after int64, limit int, visit func(*Entry) error) (err error) {
	rows, err := a.db.QueryContext(ctx, `SELECT seq, at, who, role, what, subject, detail, hash
		FROM acts WHERE seq > ? ORDER BY seq LIMIT ?`, after, limit)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var e Entry
		var at int64
		var role string
		var hash []byte
		if err := rows.Scan(&e.Seq, &at, &e.By.Name, &role, &e.What, &e.Subject, &e.Detail, &hash); err != nil {
			return err
		}
		e.At, e.By.Role = time.UnixMicro(at), roleNamed(role)
		copy(e.Hash[:], hash)
		if err := visit(&e); err != nil {
			return err
		}
	}
	return rows.Err()
}
