package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(tidy{m}, map[string]func(){"drumbeat": func() { os.Exit(run(os.Args[1:])) }})
}

// tidy removes the small site that tests share.
type tidy struct{ *testing.M }

// Run runs the tests.
func (t tidy) Run() int {
	code := t.M.Run()
	if shared != "" {
		_ = os.RemoveAll(shared) // a folder of the system's own for such
	}
	return code
}

// TestCommands plays the scripts of testdata, as a person would type them.
func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata"})
}
