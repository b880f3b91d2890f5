package web

// What the tests look at from outside.
//
//nolint:gochecknoglobals // names for tests
var (
	Number, Figure, Signed, ShareText, Lasted, Decimals = number, figure, signed, share, lasted, decimals
)
