// Package fleets holds the fleet folders that come with the binary: a fleet
// file and a view each. They are data, read by the packages fleet and feature
// as any other folder is.
package fleets

import (
	"embed"
	"io/fs"
)

//go:embed */fleet.yaml */features.yaml
var folders embed.FS // embed fills package variables only; nothing writes it

// FS returns the ready folders: laundry, azure-pdm and azure-pdm-hourly, each
// with fleet.yaml and features.yaml.
func FS() fs.FS { return folders }
