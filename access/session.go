package access

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	"drumbeat"
)

const (
	linkPrefix = "dbl_"

	// MaxLinkLife is the longest that a sign-in link may wait: it is read by
	// whoever sees it first, so not a day longer.
	MaxLinkLife = 24 * time.Hour

	// sessionLife is a shift and its handover; then one signs in again.
	sessionLife = 12 * time.Hour

	// maxSessions bounds the sessions held in memory. The oldest to expire
	// gives way.
	maxSessions = 10_000
)

// ErrSignIn says that a secret opens nothing: it never did, it was used, it
// expired or it was revoked. Which of these, nobody is told.
var ErrSignIn = errors.New("sign in: this link or token is not valid, or not any more; ask for a new one")

// session is a signed-in browser.
type session struct {
	person  Person
	token   string // the id of the token that opened it, "" for a link
	expires time.Time
}

// NewLink makes the code of a one-time sign-in link for a person, good for
// life. Like a token's secret it is shown once. By is who asked.
func (a *Access) NewLink(ctx context.Context, by, of Person, life time.Duration) (string, error) {
	if err := checkPerson(of.Name, of.Role); err != nil {
		return "", fmt.Errorf("make sign-in link: %w", err)
	}
	if life <= 0 || life > MaxLinkLife {
		return "", fmt.Errorf("make sign-in link: life %s: want above 0 and at most %s: %w",
			life, MaxLinkLife, drumbeat.ErrInvalid)
	}
	code, hash, err := a.newSecret(linkPrefix)
	if err != nil {
		return "", fmt.Errorf("make sign-in link: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	act := Act{By: by, What: "sign-in link created", Subject: of.Name, Detail: of.Role.String()}
	err = a.commit(ctx, act, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO links (hash, name, role, expires_at) VALUES (?, ?, ?, ?)`,
			hash[:], of.Name, of.Role.String(), micros(a.now().Add(life)))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("make sign-in link: %w", err)
	}
	return code, nil
}

// SignInByLink uses up the code of a sign-in link and opens a session,
// returning its secret.
func (a *Access) SignInByLink(ctx context.Context, code string) (string, Person, error) {
	hash := sha256.Sum256([]byte(code))
	a.mu.Lock()
	defer a.mu.Unlock()
	var person Person
	var role string
	var expires int64
	err := a.db.QueryRowContext(ctx, `SELECT name, role, expires_at FROM links WHERE hash = ?`, hash[:]).
		Scan(&person.Name, &role, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return "", Person{}, ErrSignIn
	}
	if err != nil {
		return "", Person{}, fmt.Errorf("sign in: %w", err)
	}
	if !a.now().Before(time.UnixMicro(expires)) {
		return "", Person{}, ErrSignIn
	}
	person.Role = roleNamed(role)
	use := func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM links WHERE hash = ?`, hash[:])
		return err
	}
	secret, err := a.openSession(ctx, session{person: person, expires: a.now().Add(sessionLife)}, use)
	return secret, person, err
}

// SignInByToken opens a session for the holder of a token, returning its
// secret. The session ends with the token.
func (a *Access) SignInByToken(ctx context.Context, secret string) (string, Person, error) {
	token, ok := a.tokenOf(secret)
	if !ok {
		return "", Person{}, ErrSignIn
	}
	expires := a.now().Add(sessionLife)
	if token.ExpiresAt.Before(expires) {
		expires = token.ExpiresAt
	}
	person := Person{Name: token.Name, Role: token.Role}
	a.mu.Lock()
	defer a.mu.Unlock()
	none := func(*sql.Tx) error { return nil }
	opened, err := a.openSession(ctx, session{person: person, token: token.ID, expires: expires}, none)
	return opened, person, err
}

// openSession stores s and does also in the same transaction. The caller
// holds mu.
func (a *Access) openSession(ctx context.Context, s session, also func(*sql.Tx) error) (string, error) {
	secret, hash, err := a.newSecret("")
	if err != nil {
		return "", fmt.Errorf("sign in: %w", err)
	}
	by := "link"
	if s.token != "" {
		by = "token " + s.token
	}
	var dropped []digest
	err = a.commit(ctx, Act{By: s.person, What: "signed in", Subject: s.person.Name, Detail: "by " + by},
		func(tx *sql.Tx) error {
			if err := also(tx); err != nil {
				return err
			}
			dropped = a.surplus()
			for _, old := range dropped {
				if _, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE hash = ?`, old[:]); err != nil {
					return err
				}
			}
			_, err := tx.ExecContext(ctx,
				`INSERT INTO sessions (hash, name, role, token, expires_at) VALUES (?, ?, ?, ?, ?)`,
				hash[:], s.person.Name, s.person.Role.String(), s.token, micros(s.expires))
			return err
		})
	if err != nil {
		return "", fmt.Errorf("sign in: %w", err)
	}
	for _, old := range dropped {
		delete(a.sessions, old)
	}
	a.sessions[hash] = &s
	return secret, nil
}

// surplus lists the sessions that must go before another is opened: those
// that expired and, at the limit, the first to expire.
func (a *Access) surplus() []digest {
	now := a.now()
	var gone []digest
	var first digest
	var expires time.Time
	for hash, s := range maps.All(a.sessions) {
		if !now.Before(s.expires) {
			gone = append(gone, hash)
		} else if expires.IsZero() || s.expires.Before(expires) {
			first, expires = hash, s.expires
		}
	}
	if len(a.sessions)-len(gone) >= maxSessions {
		gone = append(gone, first)
	}
	return gone
}

// sessionOf finds the live session of a secret.
func (a *Access) sessionOf(secret string) (Person, bool) {
	hash := sha256.Sum256([]byte(secret))
	a.mu.RLock()
	defer a.mu.RUnlock()
	s, found := a.sessions[hash]
	if !found || !a.now().Before(s.expires) {
		return Person{}, false
	}
	return s.person, true
}

// SignOut ends a session; one that is not there is no error.
func (a *Access) SignOut(ctx context.Context, secret string) error {
	hash := sha256.Sum256([]byte(secret))
	a.mu.Lock()
	defer a.mu.Unlock()
	s, found := a.sessions[hash]
	if !found {
		return nil
	}
	err := a.commit(ctx, Act{By: s.person, What: "signed out", Subject: s.person.Name}, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE hash = ?`, hash[:])
		return err
	})
	if err != nil {
		return fmt.Errorf("sign out: %w", err)
	}
	delete(a.sessions, hash)
	return nil
}

// SetCookie hands a session's secret to a browser.
func SetCookie(w http.ResponseWriter, r *http.Request, secret string) {
	setCookie(w, r, secret, int(sessionLife/time.Second))
}

// ClearCookie takes a session's secret back from a browser.
func ClearCookie(w http.ResponseWriter, r *http.Request) { setCookie(w, r, "", -1) }

func setCookie(w http.ResponseWriter, r *http.Request, secret string, maxAge int) {
	//nolint:gosec // Secure where there is TLS; without it, on loopback, the cookie would be lost
	http.SetCookie(w, &http.Cookie{
		Name: cookieName(r), Value: secret, Path: "/", MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
	})
}

// CookieOf returns the session secret that a request carries, "" without one.
func CookieOf(r *http.Request) string {
	cookie, err := r.Cookie(cookieName(r))
	if err != nil {
		return ""
	}
	return cookie.Value
}

// cookieName carries the port, because browsers share cookies between the
// ports of a host: two Drumbeats on one machine would sign each other out.
func cookieName(r *http.Request) string {
	if u, err := r.URL.Parse("//" + r.Host); err == nil && u.Port() != "" {
		return "drumbeat_session_" + u.Port()
	}
	return "drumbeat_session"
}
