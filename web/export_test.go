package web

// What the tests look at from outside.
var (
	Number, Figure, Signed, ShareText, Lasted, Decimals = number, figure, signed, share, lasted, decimals
)
