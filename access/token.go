package access

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"drumbeat"
)

// tokenPrefix marks a bearer token, so that a scanner for leaked secrets can
// tell what it found.
const tokenPrefix = "dbt_"

// maxTokens bounds the tokens that are alive at once; they are held in
// memory.
const maxTokens = 10_000

// MaxTokenLife is the longest that a token may live: nothing lasts for ever
// by accident.
const MaxTokenLife = 2 * 366 * 24 * time.Hour

// Token is a bearer token without its secret.
type Token struct {
	ID        string
	Name      string // whose it is
	Role      Role
	CreatedAt time.Time
	ExpiresAt time.Time
	RevokedAt time.Time // zero while it is not
}

// alive says whether t opens anything at now.
func (t *Token) alive(now time.Time) bool { return t.RevokedAt.IsZero() && now.Before(t.ExpiresAt) }

// NewToken makes a token for a person or a program, good for life, and
// returns it with its secret, which is not kept and cannot be shown again. By
// is who asked.
func (a *Access) NewToken(ctx context.Context, by, of Person, life time.Duration) (Token, string, error) {
	if err := checkPerson(of.Name, of.Role); err != nil {
		return Token{}, "", fmt.Errorf("make token: %w", err)
	}
	if life <= 0 || life > MaxTokenLife {
		return Token{}, "", fmt.Errorf("make token: life %s: want above 0 and at most %s: %w",
			life, MaxTokenLife, drumbeat.ErrInvalid)
	}
	secret, hash, err := a.newSecret(tokenPrefix)
	if err != nil {
		return Token{}, "", fmt.Errorf("make token: %w", err)
	}
	now := a.now()
	token := Token{
		ID: hex.EncodeToString(hash[:6]), Name: of.Name, Role: of.Role,
		CreatedAt: now, ExpiresAt: now.Add(life),
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.tokens, func(_ digest, t *Token) bool { return !t.alive(now) })
	if len(a.tokens) >= maxTokens {
		return Token{}, "", fmt.Errorf("make token: %d are alive already; revoke some: %w", len(a.tokens), drumbeat.ErrLimit)
	}
	act := Act{By: by, What: "token created", Subject: token.ID, Detail: token.Name + ", " + token.Role.String()}
	err = a.commit(ctx, act, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx,
			`INSERT INTO tokens (id, hash, name, role, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)`,
			token.ID, hash[:], token.Name, token.Role.String(), micros(now), micros(token.ExpiresAt))
		return err
	})
	if err != nil {
		return Token{}, "", fmt.Errorf("make token: %w", err)
	}
	a.tokens[hash] = &token
	return token, secret, nil
}

// RevokeToken ends a token and the sessions that it opened, at once.
func (a *Access) RevokeToken(ctx context.Context, by Person, id string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var hash digest
	var found *Token
	for h, token := range a.tokens {
		if token.ID == id {
			hash, found = h, token
		}
	}
	if found == nil {
		return fmt.Errorf("revoke token %q: no live token has this id: %w", id, drumbeat.ErrNotFound)
	}
	now := a.now()
	err := a.commit(ctx, Act{By: by, What: "token revoked", Subject: id, Detail: found.Name}, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE tokens SET revoked_at = ? WHERE id = ?`, micros(now), id); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE token = ?`, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("revoke token %s: %w", id, err)
	}
	delete(a.tokens, hash)
	for h, s := range a.sessions {
		if s.token == id {
			delete(a.sessions, h)
		}
	}
	return nil
}

// Tokens lists the tokens that are alive, oldest first.
func (a *Access) Tokens() []Token {
	now := a.now()
	a.mu.RLock()
	defer a.mu.RUnlock()
	list := make([]Token, 0, len(a.tokens))
	for _, token := range a.tokens {
		if token.alive(now) {
			list = append(list, *token)
		}
	}
	slices.SortFunc(list, func(x, y Token) int {
		return cmp.Or(x.CreatedAt.Compare(y.CreatedAt), cmp.Compare(x.ID, y.ID))
	})
	return list
}

// tokenOf finds the live token of a secret.
func (a *Access) tokenOf(secret string) (Token, bool) {
	hash := sha256.Sum256([]byte(secret))
	a.mu.RLock()
	token, found := a.tokens[hash]
	a.mu.RUnlock()
	if !found || !token.alive(a.now()) {
		return Token{}, false
	}
	return *token, true
}
