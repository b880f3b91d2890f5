package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"drumbeat"
	"drumbeat/access"
)

// signInView is the sign-in page.
type signInView struct {
	Link    string // the code of the link by which somebody came
	To      string // where to go then
	Trouble string
	// Again asks the browser to come once more: a link on another site was
	// followed, and then browsers keep the session's cookie to themselves.
	Again bool
}

// LinkPath is the address, below the site's own, of a sign-in link's code.
func LinkPath(code string) string { return access.SignInPath + "?link=" + url.QueryEscape(code) }

// signInPage asks who it is. It uses up nothing: programs that follow links
// to look at them must not spend one.
func (s *Site) signInPage(w http.ResponseWriter, r *http.Request) error {
	v := &signInView{Link: r.URL.Query().Get("link"), To: ownPath(r.URL.Query().Get("to"))}
	v.Again = v.Link == "" && v.To != "/" && r.Header.Get("Sec-Fetch-Site") == "cross-site"
	return s.show(w, r, http.StatusOK, "sign-in", &page{Title: "Sign in", Main: v})
}

// signIn opens a session.
func (s *Site) signIn(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return fmt.Errorf("read the sign-in form: %w: %w", err, drumbeat.ErrInvalid)
	}
	to := ownPath(r.PostForm.Get("to"))
	secret, _, err := s.opt.Access.SignIn(r, r.PostForm.Get("secret"))
	if err == nil {
		access.SetCookie(w, r, secret)
		http.Redirect(w, r, to, http.StatusSeeOther) //nolint:gosec // ownPath saw to it
		return nil
	}
	status, view := http.StatusUnauthorized, &signInView{To: to}
	problem, limited := errors.AsType[*access.Problem](err)
	switch {
	case limited:
		status, view.Trouble = problem.Status, "Too many wrong ones came from here. Wait a minute, then try again."
	case errors.Is(err, access.ErrSignIn):
		view.Trouble = "This link or token is not valid, or not any more. " +
			"A link works once and for a short time. Ask for a new one."
	default:
		return err
	}
	return s.show(w, r, status, "sign-in", &page{Title: "Sign in", Main: view})
}

// signOut ends the session.
func (s *Site) signOut(w http.ResponseWriter, r *http.Request) error {
	if err := s.opt.Access.SignOut(r.Context(), access.CookieOf(r)); err != nil {
		return err
	}
	access.ClearCookie(w, r)
	http.Redirect(w, r, access.SignInPath, http.StatusSeeOther)
	return nil
}

// ownPath is where to go after signing in: a path of this site, never
// elsewhere.
func ownPath(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/") ||
		strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n\t") || strings.HasPrefix(u.Path, "//") {
		return "/"
	}
	return to
}
