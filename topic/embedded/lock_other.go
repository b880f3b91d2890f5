//go:build !unix

package embedded

import "os"

// lock only makes the file: this system has no lock that ends with a process.
func lock(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
}
