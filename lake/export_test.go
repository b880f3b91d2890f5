package lake

// OpenAt is Open with a wall clock of the test's.
var OpenAt = open
