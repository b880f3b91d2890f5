// Package failpoint names the places where a process may be killed to prove
// that nothing is lost or doubled: one at each step of a commit. In a program
// built without the tag failpoint it does nothing and costs nothing.
//
// A program built with the tag reads DRUMBEAT_FAILPOINT=NAME or NAME:N and
// kills itself with SIGKILL when it comes to that place for the N-th time
// (the first, without N).
package failpoint
