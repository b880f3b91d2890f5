package main

import (
	"context"
	"testing"
)

// Ctrl-C asks the player and the loops at once, and either may end first.
func TestAPlayerWhoseLoopsEndBeforeItAfterCtrlCEndsWell(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	for range 100 { // of two that are ready, select takes any
		p := &player{daemon: &daemon{}, cancel: func() {}, done: make(chan error, 1)}
		p.done <- nil
		if err := p.follow(ctx, 1); err != nil {
			t.Fatal(err)
		}
	}
}
