// Package s3test runs a real S3 server, versitygw, over a folder of its own
// for a test.
package s3test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// The keys of the server's owner.
const (
	AccessKey = "testkey"
	SecretKey = "testsecret"
)

// Bucket is there from the beginning.
const Bucket = "drumbeat"

// Start runs a server on a new folder until the test ends, and returns its
// endpoint. The variable DRUMBEAT_VERSITYGW names the program.
func Start(t *testing.T) (endpoint string) {
	t.Helper()
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, Bucket), 0o750); err != nil {
		t.Fatal(err)
	}
	return StartOn(t, folder)
}

// StartOn runs a server on a folder whose folders are its buckets. Several may
// share one.
func StartOn(t *testing.T, folder string) (endpoint string) {
	t.Helper()
	program := os.Getenv("DRUMBEAT_VERSITYGW") //nolint:forbidigo // the make target says where it is
	if program == "" {
		t.Fatal("DRUMBEAT_VERSITYGW names no S3 server: run this by `make test`, which installs it")
	}
	addr := freeAddr(t)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, "--quiet", "--port", addr, "posix", folder) //nolint:gosec // the test's own
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+AccessKey, "ROOT_SECRET_KEY="+SecretKey)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		if err := <-ended; err == nil {
			t.Error("the S3 server ended by itself")
		}
	})
	endpoint = "http://" + addr
	if err := await(t.Context(), endpoint, ended); err != nil {
		t.Fatalf("the S3 server at %s does not answer: %v\n%s", endpoint, err, said.String())
	}
	return endpoint
}

func freeAddr(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }() // only its number was wanted
	return listener.Addr().String()
}

// await waits for any answer, at most half a minute.
func await(ctx context.Context, endpoint string, ended chan error) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			return response.Body.Close()
		}
		select {
		case <-ticker.C:
		case err := <-ended:
			ended <- err
			return fmt.Errorf("it ended: %w", err)
		case <-ctx.Done():
			return err
		}
	}
}
