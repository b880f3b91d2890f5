//go:build real

package e2e_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
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
	cmd := command(ctx, t, "quickstart", "--dir", dir, "--speed", "2")
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
	err = chromedp.Do(ctx, chromedp.Navigate(link), chromedp.Click(`main button[type=submit]`), chromedp.WaitVisible(`#board .tile`))
	if err != nil {
		t.Fatalf("sign in: %v", err)
	}
	home := link[:strings.Index(link, "/sign-in")]
	// The fleet lives on: an alert may be closed by a failure before it is
	// answered. Then there is another.
	for range 10 {
		said, err := answerNext(ctx, home)
		if strings.Contains(said, "Nothing wrong") {
			return
		}
		t.Logf("not this one: %q, %v", said, err)
	}
	shoot(ctx, t)
	t.Fatal("no alert could be answered")
}

// answerNext waits for an open alert, answers it in two taps, and returns what
// its page then says of how it ended.
func answerNext(ctx context.Context, home string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	const card = `#board a.card[href*="/alerts/"]`
	err := chromedp.Do(ctx,
		chromedp.Navigate(home+"/"), chromedp.WaitVisible(card), chromedp.Click(card), chromedp.WaitVisible(`#chart canvas`),
		chromedp.Click(`label.choice.nothing_wrong`), chromedp.Click(`form.answer.asked button[type=submit]`),
		chromedp.WaitVisible(`.closed`),
	)
	if err != nil {
		return "", err
	}
	return chromedp.Run(ctx, chromedp.Text(`.closed`))
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
