//go:build real

package e2e_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// goOn starts quickstart again in a folder that was taken through its steps,
// and uses the page as a technician does, in a real browser: signs in by the
// printed link, waits for an alert to appear by itself, and answers it in two
// taps. Then Ctrl-C must leave nothing half done.
func goOn(t *testing.T, dir string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := command(ctx, t, "quickstart", "--dir", dir, "--speed", "6")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	link := make(chan string, 1)
	go func() {
		said := regexp.MustCompile(`http://\S+/sign-in\?link=\S+`)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if found := said.FindString(lines.Text()); found != "" {
				link <- found
			}
		}
	}()
	select {
	case address := <-link:
		answerOneAlert(ctx, t, address)
	case <-ctx.Done():
		t.Fatal("quickstart printed no sign-in link")
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after Ctrl-C: %v", err)
	}
	alerts := decode[[]struct {
		Outcome string `json:"outcome"`
	}](t, drumbeat(t, "alerts", "--json", "--data", dir))
	answered := 0
	for _, a := range alerts {
		if a.Outcome == "nothing_wrong" {
			answered++
		}
	}
	if answered != 1 {
		t.Errorf("%d alerts were answered \"nothing wrong\", want the one from the page", answered)
	}
}

// answerOneAlert does what a technician does.
func answerOneAlert(ctx context.Context, t *testing.T, link string) {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("find a browser: %v", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox,
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.WindowSize(1280, 900))
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	defer stop()
	ctx, stop = chromedp.NewContext(ctx)
	defer stop()
	for _, step := range []struct {
		name string
		do   []chromedp.Action[chromedp.Void]
	}{
		{"sign in", []chromedp.Action[chromedp.Void]{chromedp.Navigate(link), chromedp.Click(`main button[type=submit]`), chromedp.WaitVisible(`#board .tile`)}},
		{"see an alert", []chromedp.Action[chromedp.Void]{chromedp.WaitVisible(`#board a.card[href^="/alerts/"]`)}},
		{"open it", []chromedp.Action[chromedp.Void]{chromedp.Click(`#board a.card[href^="/alerts/"]`), chromedp.WaitVisible(`form.answer.asked`)}},
		{"see the chart", []chromedp.Action[chromedp.Void]{chromedp.WaitVisible(`#chart canvas`)}},
		{"answer", []chromedp.Action[chromedp.Void]{
			chromedp.Click(`label.choice.nothing_wrong`), chromedp.Click(`form.answer.asked button[type=submit]`),
			chromedp.WaitNotPresent(`form.answer.asked`),
		}},
	} {
		if err := chromedp.Do(ctx, step.do...); err != nil {
			shoot(ctx, t)
			t.Fatalf("%s: %v", step.name, err)
		}
	}
	shoot(ctx, t)
}

// shoot keeps a picture of the page where DRUMBEAT_PICTURES says.
func shoot(ctx context.Context, t *testing.T) {
	t.Helper()
	dir := os.Getenv("DRUMBEAT_PICTURES")
	if dir == "" {
		return
	}
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "page.png"), picture, 0o600)
	}
	if err != nil {
		t.Log(err)
	}
}
