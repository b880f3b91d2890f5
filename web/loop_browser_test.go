//go:build browser

package web_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"drumbeat/access"
)

func TestAnEngineerOverrulesTheGateByKeyboard(t *testing.T) {
	h := newHouse(t)
	b := newTab(t, h, 1280, 800, "light")
	b.signIn(h, access.Engineer)
	b.open(h, "/fleets/laundry/models")
	b.tabTo(`document.activeElement.getAttribute("href")?.endsWith("/models/4/promote")`)
	b.do(chromedp.KeyEvent("\r"))
	b.until(`document.querySelector("h1")?.textContent === "Make version 4 the champion?" && document.readyState === "complete"`)
	b.tabTo(`document.activeElement.id === "reason"`)
	b.do(chromedp.KeyEvent("too short"))
	b.tabTo(`document.activeElement.matches("button.send.grave")`)
	b.do(chromedp.KeyEvent("\r"))
	b.until(`document.querySelector("#reason-trouble")?.textContent.includes("at least 3 words")`)
	b.until(`document.activeElement.id === "reason" && document.activeElement.value === "too short"`)
	b.do(chromedp.KeyEvent(", and the summer is missing"))
	b.tabTo(`document.activeElement.matches("button.send.grave")`)
	b.do(chromedp.KeyEvent("\r"))
	b.until(`document.querySelector("h1")?.textContent === "Version 4 serves"`)
	if got := js[string](b, `document.querySelector(".said").textContent`); got != "Done: version 4 serves now." {
		t.Errorf("said %q", got)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.loop.asked) != 1 || !strings.Contains(h.loop.asked[0], "summer is missing") || !strings.Contains(h.loop.asked[0], "Ana Keller") {
		t.Errorf("asked %v", h.loop.asked)
	}
	b.forget("422")
}

func TestAQuestionIsNotTakenFromUnderTheHand(t *testing.T) {
	h := newHouse(t)
	b := newTab(t, h, 1280, 800, "light")
	b.signIn(h, access.Engineer)
	b.open(h, "/fleets/laundry/models/4/promote")
	b.do(chromedp.SendKeys(chromedp.CSS("#reason"), "half a sent"))
	h.open("W-099", 0.91, 0)
	b.until(`document.querySelector(".toast a")?.textContent.includes("W-099")`)
	if got := js[string](b, `document.querySelector("#reason").value`); got != "half a sent" {
		t.Errorf("the reason became %q", got)
	}
	if got := js[string](b, `document.querySelector(".toast a").getAttribute("href")`); !strings.HasPrefix(got, "/fleets/laundry/alerts/") {
		t.Errorf("the toast leads to %q", got)
	}
}

func TestTheDriftChartSwitchesAndStaysThroughRenewal(t *testing.T) {
	h := newHouse(t)
	b := newTab(t, h, 1280, 800, "light")
	b.signIn(h, access.Viewer)
	b.open(h, "/fleets/laundry/health")
	b.until(`document.querySelector("#plot-sum").textContent.startsWith("vibration: 3.2 Hz above")`)
	b.do(chromedp.Click(chromedp.Search(`//label[span="pressure"]`)))
	b.until(`document.querySelector("#plot-sum").textContent.startsWith("pressure:") && document.querySelector("#axis-title").textContent === "pressure, in bar"`)
	js[int](b, `window.canvas = document.querySelector(".plot canvas"), 1`)
	h.open("W-099", 0.91, 0) // the page renews itself
	b.until(`document.querySelector("#open-count span").textContent === "3"`)
	if !js[bool](b, `window.canvas.isConnected && document.querySelector("input[name=plot]:checked").value === "2"`) {
		t.Error("the chart was thrown away, or another sensor is picked")
	}
}

func TestTheSwitcherWorksByKeyboard(t *testing.T) {
	h := newSite(t)
	b := newTab(t, h, 1280, 800, "light")
	b.signInTo(h, access.Viewer, "/")
	b.tabTo(`document.activeElement.matches(".switch summary")`)
	b.do(chromedp.KeyEvent("\r"))
	b.until(`document.querySelector(".switch").open`)
	b.do(chromedp.KeyEvent("\u001b"))
	b.until(`!document.querySelector(".switch").open && document.activeElement.matches(".switch summary")`)
	b.do(chromedp.KeyEvent("\r"))
	b.tabTo(`document.activeElement.textContent === "Tumble dryers"`)
	b.do(chromedp.KeyEvent("\r"))
	b.until(`location.pathname === "/fleets/dryers/" && document.querySelector(".switch-name").textContent === "Tumble dryers"`)
}

func TestEveryTableAndProofIsReachedByKeyboard(t *testing.T) {
	h := newHouse(t)
	b := newTab(t, h, 390, 844, "light")
	b.signIn(h, access.Viewer)
	b.open(h, "/fleets/laundry/models")
	b.tabTo(`document.activeElement.matches(".scroll[aria-labelledby=versions-h]")`)
	b.tabTo(`document.activeElement.matches("#proof-3 summary")`)
	b.do(chromedp.KeyEvent("\r"))
	b.until(`document.querySelector("#proof-3").open`)
	if got := js[string](b, `document.querySelector("#proof-3 pre").textContent`); !strings.Contains(got, `"lower_bound": 0.86`) {
		t.Errorf("proof %q", got)
	}
	if over := js[int](b, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
		t.Errorf("an open proof makes the page %d px wider than the screen", over)
	}
}

// tabTo presses the tab key until an expression holds of what has the focus.
func (b *tab) tabTo(expression string) {
	b.t.Helper()
	const most = 150
	for range most {
		if js[bool](b, "!!("+expression+")") {
			return
		}
		b.do(chromedp.KeyEvent("\t"))
	}
	b.t.Fatalf("%d tabs did not lead to %s", most, expression)
}

// forget drops the faults that a test provokes: answers of a status that
// browsers write into the console.
func (b *tab) forget(status string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var left []string
	for _, fault := range b.faults {
		if !strings.Contains(fault, "status of "+status) {
			left = append(left, fault)
		}
	}
	b.faults = left
}
