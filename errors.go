package drumbeat

import "errors"

// The kinds of error that callers tell apart with errors.Is.
var (
	// ErrInvalid says that the input is wrong; sending it again cannot help.
	ErrInvalid = errors.New("invalid")
	// ErrNotFound says that the thing asked for does not exist.
	ErrNotFound = errors.New("not found")
	// ErrConflict says that somebody else was first; read again and retry.
	ErrConflict = errors.New("conflict")
	// ErrNewer says that data was written by a newer version of Drumbeat.
	ErrNewer = errors.New("written by a newer version")
	// ErrLimit says that a stated limit was exceeded.
	ErrLimit = errors.New("over a limit")
)
