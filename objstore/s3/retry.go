package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"

	"drumbeat"
)

// again is an error after which the same call may succeed.
type again struct{ error }

func (a again) Unwrap() error { return a.error }

// retry calls do until it succeeds, fails for good, or has had its attempts.
func retry(ctx context.Context, do func(context.Context) error) error {
	for try := 1; ; try++ {
		err := do(ctx)
		if err == nil || ctx.Err() != nil || !passes(err) {
			return err
		}
		if try == attempts {
			return fmt.Errorf("after %d attempts: %w", attempts, err)
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
}

// pause waits before the next attempt, longer each time, at random so that
// those who failed together do not come together again.
func pause(ctx context.Context, try int) error {
	longest := min(50*time.Millisecond<<(try-1), 3*time.Second)
	timer := time.NewTimer(longest/2 + rand.N(longest/2)) //nolint:gosec // no secret
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// passes says whether an error may pass: the network's, and what a server says
// when it is unwell or asked too often.
func passes(err error) bool {
	if _, ok := errors.AsType[again](err); ok {
		return true
	}
	if response, ok := errors.AsType[minio.ErrorResponse](err); ok && response.StatusCode != 0 {
		switch response.StatusCode {
		case http.StatusConflict, http.StatusRequestTimeout, http.StatusTooManyRequests:
			return true // 409: another conditional create of the key is under way
		}
		return response.StatusCode >= 500
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}

func isCode(err error, status int) bool {
	response, ok := errors.AsType[minio.ErrorResponse](err)
	return ok && response.StatusCode == status
}

// explain adds to a server's answer what the operator can do about it.
func explain(err error) error {
	response, ok := errors.AsType[minio.ErrorResponse](err)
	if !ok {
		return err
	}
	switch response.StatusCode {
	case http.StatusForbidden, http.StatusUnauthorized:
		return fmt.Errorf("the server refuses this access key (%s); ask for the permission: %w", response.Code, err)
	case http.StatusNotImplemented:
		return fmt.Errorf("the server does not know conditional writes (%s), which keep two writers apart; use another: %w (%w)",
			response.Code, drumbeat.ErrInvalid, err)
	}
	return err
}
