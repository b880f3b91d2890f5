//go:build browser

package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"drumbeat/access"
)

// chrome is the browser of all tests; each has a window of its own in it, with
// its own cookies.
var chrome = sync.OnceValues(func() (context.Context, error) {
	// These tests were asked for by their build tag: without a browser they
	// fail.
	path := os.Getenv("DRUMBEAT_CHROME")
	if path == "" {
		found, err := exec.LookPath("chromium")
		if err != nil {
			return nil, fmt.Errorf("find a browser: install chromium or name one in DRUMBEAT_CHROME: %w", err)
		}
		path = found
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("hide-scrollbars", true))
	allocated, _ := chromedp.NewExecAllocator(everything, options...)
	ctx, _ := chromedp.NewContext(allocated)
	return ctx, chromedp.Do(ctx)
})

// everything ends when all tests have: it takes the browser along.
var everything, end = context.WithCancel(context.Background())

func TestMain(m *testing.M) {
	status := m.Run()
	if ctx, err := chrome(); err == nil {
		_ = chromedp.Cancel(ctx) // waits for the browser to be gone
	}
	end()
	os.Exit(status)
}

// tab is a browser's tab that remembers what should not have happened.
type tab struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // chromedp keeps its tab in the context

	mu     sync.Mutex
	faults []string
}

// newTab opens a browser of a size and a colour scheme.
func newTab(t *testing.T, h *house, width, height int64, scheme string) *tab {
	t.Helper()
	browser, err := chrome()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	b := &tab{t: t}
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, func(ev any) { b.watch(ev, h.server.URL) }); err != nil {
		t.Fatal(err)
	}
	limited, cancel := context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(cancel)
	b.ctx = limited
	b.do(
		chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
			if _, err := cdp.Call(ctx, target, network.Enable, network.EnableParams{}); err != nil {
				return err
			}
			if _, err := cdp.Call(ctx, target, cdplog.Enable, cdp.Empty{}); err != nil {
				return err
			}
			_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			})
			return err
		}),
		chromedp.EmulateViewport(width, height),
	)
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, fault := range b.faults {
			t.Errorf("browser: %s", fault)
		}
	})
	return b
}

// watch collects requests to elsewhere, refusals of the content policy, and
// errors of scripts.
func (b *tab) watch(ev any, origin string) {
	fault := ""
	switch e := ev.(type) {
	case *network.EventRequestWillBeSent:
		if u := e.Request.URL; !strings.HasPrefix(u, origin) && !strings.HasPrefix(u, "about:") {
			fault = "request to " + u
		}
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError && !strings.Contains(e.Entry.URL, "/sign-in") {
			fault = "console: " + e.Entry.Text + " " + e.Entry.URL
		}
	case *runtime.EventExceptionThrown:
		fault = "script: " + e.ExceptionDetails.Text
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError {
			fault = "console.error"
		}
	}
	if fault != "" {
		b.mu.Lock()
		b.faults = append(b.faults, fault)
		b.mu.Unlock()
	}
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// js evaluates an expression.
func js[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// until waits for an expression to be true, across pages.
func (b *tab) until(expression string) {
	b.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(10 * time.Second); ; {
		// While a page goes and another comes there is nothing to ask.
		if is, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("!!("+expression+")")); err == nil && is {
			return
		}
		select {
		case <-end:
			b.t.Fatalf("waited in vain for %s", expression)
		case <-tick.C:
		}
	}
}

// open goes to a path of the page and waits for its scripts.
func (b *tab) open(h *house, path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(h.server.URL + path))
	b.until(`document.readyState === "complete" && document.querySelector("#live")?.dataset.state === "live"`)
	if strings.Contains(path, "/machines/") || strings.Contains(path, "/fleets/laundry/alerts/") {
		b.until(`!!document.querySelector(".plot canvas")`)
	}
}

// signIn follows a sign-in link.
func (b *tab) signIn(h *house, role access.Role) {
	b.t.Helper()
	b.signInTo(h, role, "/fleets/laundry/")
}

// signInTo follows a sign-in link, which leads to a path.
func (b *tab) signInTo(h *house, role access.Role, path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(h.link(b.t, role)), chromedp.Click(chromedp.CSS(".send")))
	b.until(`location.pathname === "` + path + `" && document.readyState === "complete"`)
}

// press presses one key as a keyboard does: a page that handles it keeps it
// from being typed.
func (b *tab) press(key string) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeKeyDown, input.DispatchKeyEventTypeKeyUp} {
			params := input.DispatchKeyEventParams{Type: kind, Key: key}
			if kind == input.DispatchKeyEventTypeKeyDown {
				params.Text = key
			}
			if _, err := cdp.Call(ctx, target, input.DispatchKeyEvent, params); err != nil {
				return err
			}
		}
		return nil
	}))
}

// shoot takes a picture of the whole page where DRUMBEAT_SHOTS says.
func (b *tab) shoot(name string) {
	b.t.Helper()
	dir := os.Getenv("DRUMBEAT_SHOTS")
	if dir == "" {
		return
	}
	picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// violations runs axe and returns what it finds.
func (b *tab) violations() []string {
	b.t.Helper()
	script, err := os.ReadFile("node_modules/axe-core/axe.min.js")
	if err != nil {
		b.t.Fatalf("axe: %v; run npm ci in web/", err)
	}
	js[int](b, string(script)+";0")
	report := js[string](b, `axe.run(document, {resultTypes: ["violations"]}).then(r => JSON.stringify(
		r.violations.map(v => v.id + ": " + v.nodes.map(n => n.html.slice(0, 160) + " " + n.failureSummary).join(" | "))))`)
	var list []string
	if err := json.Unmarshal([]byte(report), &list); err != nil {
		b.t.Fatal(err)
	}
	return list
}

// check runs axe on the page, sees that it fits, and takes its picture.
func (b *tab) check(scheme, name, picture string) {
	b.t.Helper()
	for _, v := range b.violations() {
		b.t.Errorf("%s: %s", name, v)
	}
	if over := js[int](b, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
		b.t.Errorf("%s: %d px wider than the screen", name, over)
	}
	if dark := js[bool](b, `matchMedia("(prefers-color-scheme: dark)").matches`); dark != (scheme == "dark") {
		b.t.Errorf("%s: dark is %t", name, dark)
	}
	b.shoot(picture)
}

// schemes are the ways in which every page must work.
var schemes = []struct {
	name          string
	width, height int64
	scheme        string
}{
	{"wide light", 1280, 800, "light"},
	{"wide dark", 1280, 800, "dark"},
	{"phone light", 390, 844, "light"},
	{"phone dark", 360, 780, "dark"},
}

func TestEveryPageIsAccessibleAndFitsInEverySchemeAndSize(t *testing.T) {
	h := newHouse(t)
	for _, s := range schemes {
		t.Run(s.name, func(t *testing.T) {
			b := newTab(t, h, s.width, s.height, s.scheme)
			check := func(name string) {
				t.Helper()
				b.check(s.scheme, name, strings.ReplaceAll(s.name, " ", "-")+"-"+name)
			}
			b.do(chromedp.Navigate(h.server.URL + "/"))
			b.until(`location.pathname === "/sign-in"`)
			check("door")
			b.do(chromedp.Navigate(h.link(t, access.Technician)))
			check("link")
			b.do(chromedp.Click(chromedp.CSS(".send")))
			b.until(`location.pathname === "/fleets/laundry/"`)
			for name, path := range map[string]string{
				"fleet": "/fleets/laundry/", "alerts": "/fleets/laundry/alerts", "alert": "/fleets/laundry/alerts/a-1", "machine": "/fleets/laundry/machines/W-005",
				"health": "/fleets/laundry/health", "quality": "/fleets/laundry/quality", "models": "/fleets/laundry/models",
				"version": "/fleets/laundry/models/3", "closed": "/fleets/laundry/alerts/a-3", "silent": "/fleets/laundry/machines/W-058", "nothing": "/fleets/laundry/?q=zebra",
			} {
				b.open(h, path)
				check(name)
			}
		})
	}
}

func TestThePagesOfAnEngineerAreAccessibleInEverySchemeAndSize(t *testing.T) {
	h := newSite(t)
	for _, s := range schemes {
		t.Run(s.name, func(t *testing.T) {
			b := newTab(t, h, s.width, s.height, s.scheme)
			b.signInTo(h, access.Engineer, "/")
			for name, path := range map[string]string{
				"overview": "/", "decide": "/fleets/laundry/models/4/promote", "rollback": "/fleets/laundry/models/rollback",
				"retrain": "/fleets/laundry/models/retrain", "engineer-models": "/fleets/laundry/models", "empty-models": "/fleets/dryers/models",
				"empty-health": "/fleets/dryers/health", "empty-quality": "/fleets/dryers/quality", "lost": "/fleets/washers/alerts",
				"challenger": "/fleets/laundry/models/4",
			} {
				b.do(chromedp.Navigate(h.server.URL + path))
				b.until(`document.readyState === "complete"`)
				b.check(s.scheme, name, strings.ReplaceAll(s.name, " ", "-")+"-"+name)
			}
			b.forget("404") // of the page that is lost
			b.do(chromedp.Navigate(h.server.URL+"/fleets/laundry/health"), chromedp.Click(chromedp.CSS(".switch summary")))
			b.check(s.scheme, "switcher", strings.ReplaceAll(s.name, " ", "-")+"-switcher")
		})
	}
}

func TestSigningInByLinkShowsTheFleetMostAtRiskFirst(t *testing.T) {
	h := newHouse(t)
	b := newTab(t, h, 1280, 800, "light")
	b.signIn(h, access.Viewer)
	if got := js[string](b, `document.querySelector("h1").textContent`); got != "3 machines need you" {
		t.Errorf("headline %q", got)
	}
	ids := js[[]string](b, `[...document.querySelectorAll("[data-walk] .id")].map(e => e.textContent)`)
	if len(ids) != 100 || ids[0] != "W-042" || ids[1] != "W-017" {
		t.Errorf("%d machines, first %v; want 100, W-042, W-017", len(ids), ids[:min(3, len(ids))])
	}
	silent := js[string](b, `document.querySelector("#m-W-058 .state").textContent`)
	if silent != "Not watched" {
		t.Errorf("a silent machine is %q", silent)
	}
	if bare := js[int](b, `[...document.querySelectorAll("[data-walk] .state")].filter(e => !e.querySelector("svg use") || !e.textContent).length`); bare != 0 {
		t.Errorf("%d states without a symbol or a word", bare)
	}
}

func TestANewAlertAppearsByItself(t *testing.T) {
	h := newHouse(t)
	b := newTab(t, h, 1280, 800, "light")
	b.signIn(h, access.Technician)
	b.open(h, "/fleets/laundry/")
	js[int](b, `window.sameDocument = 1`)
	h.open("W-099", 0.91, 0)
	b.until(`document.querySelector(".toast a")?.textContent.includes("W-099")`)
	b.until(`document.querySelector(".cards .id").textContent === "W-099"`)
	b.until(`document.querySelector("#open-count span").textContent === "3" && document.title.startsWith("(3)")`)
	if js[int](b, `window.sameDocument`) != 1 {
		t.Error("the page was loaded anew")
	}
	if moved := js[float64](b, `performance.getEntriesByType("layout-shift").reduce((n, e) => n + (e.hadRecentInput ? 0 : e.value), 0)`); moved > 0.05 {
		t.Errorf("layout shift %.3f", moved)
	}
	b.shoot("toast")
}

func TestAFollowerThatLostTheServerComesBackWhereItWas(t *testing.T) {
	h := newHouse(t)
	b := newTab(t, h, 1280, 800, "light")
	b.signIn(h, access.Technician)
	b.open(h, "/fleets/laundry/")
	h.open("W-099", 0.91, 0)
	b.until(`!!document.querySelector(".toast")`)
	h.server.CloseClientConnections()
	h.open("W-098", 0.93, 0)
	b.until(`[...document.querySelectorAll(".toast a")].some(e => e.textContent.includes("W-098"))`)
	h.mu.Lock()
	defer h.mu.Unlock()
	if last := h.subscribed[len(h.subscribed)-1]; last != 1 {
		t.Errorf("came back after event %d, want 1", last)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = nil // the lost connection stands in the console
}

func TestAnAlertIsAnsweredInTwoTaps(t *testing.T) {
	h := newHouse(t)
	b := newTab(t, h, 360, 780, "light")
	b.signIn(h, access.Technician)
	b.open(h, "/fleets/laundry/alerts/a-1")
	b.do(
		chromedp.Click(chromedp.CSS("label.repaired")),
		chromedp.Click(chromedp.CSS("form.asked .send")),
	)
	b.until(`document.querySelector(".closed")?.textContent.includes("Found a fault, repaired")`)
	if got := js[string](b, `document.querySelector(".closed").textContent`); !strings.Contains(got, "Ana Keller") {
		t.Errorf("closed: %q, want who", got)
	}
	a, err := h.alert(t.Context(), "a-1")
	if err != nil || a.Outcome != "repaired" {
		t.Errorf("alert %+v, %v", a, err)
	}
}

func TestTheKeyboardIsEnough(t *testing.T) {
	h := newHouse(t)
	b := newTab(t, h, 1280, 800, "light")
	b.do(chromedp.Navigate(h.link(t, access.Technician)))
	b.until(`document.activeElement.matches("button.send")`)
	b.do(chromedp.KeyEvent("\r"))
	b.until(`document.readyState === "complete" && document.querySelector("#live")?.dataset.state === "live"`)
	b.press("/")
	b.do(chromedp.KeyEvent("w-017"))
	b.until(`document.querySelectorAll("[data-walk]").length === 1`)
	if got := js[string](b, `document.activeElement.id + " " + document.activeElement.value`); got != "q w-017" {
		t.Errorf("focus on %q after the search", got)
	}
	b.do(chromedp.KeyEvent("\u0301")) // ArrowDown
	b.until(`document.activeElement.matches("[data-walk]")`)
	b.do(chromedp.KeyEvent("\r"))
	b.until(`location.pathname.startsWith("/fleets/laundry/alerts/") && !!document.querySelector(".plot canvas")`)
	b.press("3")
	b.until(`document.querySelector("form.asked input:checked")?.value === "nothing_wrong"`)
	b.do(chromedp.KeyEvent("\r"))
	b.until(`document.querySelector(".closed")?.textContent.includes("Nothing wrong")`)
	if !js[bool](b, `document.querySelector("#q") === null`) {
		t.Error("left the alert's page")
	}
}

func TestSearchAndFilterNarrowTheFleetWithoutReloading(t *testing.T) {
	h := newHouse(t)
	b := newTab(t, h, 1280, 800, "light")
	b.signIn(h, access.Viewer)
	b.open(h, "/fleets/laundry/")
	js[int](b, `window.sameDocument = 1`)
	b.do(chromedp.Click(chromedp.CSS("a.chip.off")))
	b.until(`[...document.querySelectorAll("[data-walk] .state")].every(e => e.textContent === "Off")`)
	b.do(chromedp.SendKeys(chromedp.CSS("#q"), "genève"))
	b.until(`location.search.includes("q=") && [...document.querySelectorAll("[data-walk]")].length < 6`)
	if got := js[string](b, `location.search`); !strings.Contains(got, "state=off") || !strings.Contains(got, url.QueryEscape("genève")) {
		t.Errorf("address %q keeps neither filter nor search", got)
	}
	if js[int](b, `window.sameDocument`) != 1 {
		t.Error("the page was loaded anew")
	}
}

func TestTheChartShowsTheTellingSensorAndSwitches(t *testing.T) {
	h := newHouse(t)
	b := newTab(t, h, 1280, 800, "light")
	b.signIn(h, access.Viewer)
	b.open(h, "/fleets/laundry/alerts/a-1")
	b.until(`document.querySelector("#chart-sum").textContent.startsWith("vibration over 21 days")`)
	b.do(chromedp.Click(chromedp.Search(`//label[span="pressure"]`)))
	b.until(`document.querySelector("#chart-sum").textContent.startsWith("pressure over 21 days")`)
	b.do(chromedp.Click(chromedp.Search(`//label[span="7 days"]`)))
	b.until(`document.querySelector("#chart-sum").textContent.startsWith("pressure over 7 days")`)
	if js[int](b, `document.querySelectorAll("form.asked").length`) != 0 {
		t.Error("a viewer is offered to answer")
	}
}
