package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version of the product. It rises with every release.
const version = "0.1.0"

type versionCommand struct{}

// Run prints the version, the Go release and the commit.
func (versionCommand) Run(p *process) error {
	commit := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				commit = setting.Value
			}
		}
	}
	_, err := fmt.Fprintf(p.stdout, "drumbeat %s (%s, commit %s)\n", version, runtime.Version(), commit)
	return err
}
