package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/musterhq/muster/testing/harness"
)

// startBound is how long the browser may take to come up.
const startBound = time.Minute

// tab is a page of a browser that ends with its test. The test fails when the page has an error of its own.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex // guards what is below
	faults   []string   // exceptions, errors on the console, offences against the policy, dialogs
	unloaded []string   // what could not be fetched
}

// browserPath finds a browser, or leaves the test out.
func browserPath(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("starts processes and a browser")
	}
	if path := os.Getenv("MUSTER_CHROMIUM"); path != "" {
		return path
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium: apt-get install chromium, or set MUSTER_CHROMIUM")
	return ""
}

// open starts a browser with one empty page.
func open(t *testing.T) *tab {
	t.Helper()
	flags := append([]chromedp.ExecAllocatorOption{
		chromedp.ExecPath(browserPath(t)), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.WindowSize(1280, 900), chromedp.WSURLReadTimeout(startBound),
	}, switches("disable-quic", "disable-background-networking", "disable-component-update", "disable-sync", "disable-dev-shm-usage")...)
	allocator, end := chromedp.NewExecAllocator(t.Context(), flags...)
	b := &tab{t: t}
	// Its own complaints are of words that a newer browser says and it does not know.
	ctx, endTab := chromedp.NewContext(allocator, chromedp.WithErrorf(func(string, ...any) {}), chromedp.WithListener(b.listen))
	b.ctx = ctx
	t.Cleanup(func() { endTab(); end() })
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start the browser: %v", err)
	}
	t.Cleanup(b.check)
	return b
}

func switches(names ...string) (list []chromedp.ExecAllocatorOption) {
	for _, name := range names {
		list = append(list, chromedp.Flag(name, true))
	}
	return list
}

// listen notes what the page does not say in its text.
func (b *tab) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.faults = append(b.faults, exception(e.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			said := "console: " + string(e.Type)
			for _, arg := range e.Args {
				said += fmt.Sprintf(" %s%s", arg.Value, arg.Description)
			}
			b.faults = append(b.faults, said)
		}
	case *page.EventJavascriptDialogOpening:
		b.faults = append(b.faults, "dialog: "+e.Message)
		go b.dismiss()
	case *log.EventEntryAdded:
		switch {
		case e.Entry.Level != log.EntryLevelError:
		case e.Entry.Source == log.EntrySourceNetwork || strings.Contains(e.Entry.Text, "blocked by CORS policy"):
			b.unloaded = append(b.unloaded, e.Entry.Text+" "+e.Entry.URL)
		default:
			b.faults = append(b.faults, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	}
}

func exception(e *runtime.ExceptionDetails) string {
	text := fmt.Sprintf("exception: %s at %s:%d", e.Text, e.URL, e.LineNumber)
	if e.Exception != nil {
		text += ": " + e.Exception.Description
	}
	return text
}

// dismiss closes a dialog that should not be: nothing can be asked of the page while it is open.
func (b *tab) dismiss() {
	_, _ = chromedp.Call(b.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{})
}

// check fails the test for what the page did wrong.
func (b *tab) check() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, fault := range b.faults {
		b.t.Errorf("the page: %s", fault)
	}
	if b.t.Failed() {
		b.t.Logf("not fetched: %q", b.unloaded)
	}
}

// allFetched fails the test when the page has asked for what is not there. That a coordinator was too busy, or the
// leader lost for a moment, happens on a loaded machine, and the page must live with it.
func (b *tab) allFetched() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, what := range b.unloaded {
		if strings.Contains(what, "status of 4") && !strings.Contains(what, "status of 429") {
			b.t.Errorf("not fetched: %s", what)
		}
	}
}

// do has the browser take a step.
func (b *tab) do(what string, step chromedp.Action[chromedp.Void]) { ask(b, what, step) }

// ask has the browser take a step that answers something.
func ask[T any](b *tab, what string, step chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, harness.BoundDefault)
	defer cancel()
	answer, err := chromedp.Run(ctx, step)
	if err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
	return answer
}

// visit loads a coordinator's dashboard at a place.
func (b *tab) visit(n *harness.Node, place string) {
	b.t.Helper()
	b.do("visit "+place, chromedp.Navigate("http://"+n.Addresses().HTTP+"/"+place))
}

// goTo goes to another place of the page that is open, as a link does.
func (b *tab) goTo(place string) {
	b.t.Helper()
	b.act(fmt.Sprintf("location.hash = %q", place))
}

// act runs a script in the page.
func (b *tab) act(script string) {
	b.t.Helper()
	value[bool](b, "("+"() => { "+script+" })() ?? true")
}

// value runs a script in the page and reads what it comes to, a promise's end included.
func value[T any](b *tab, script string) T {
	b.t.Helper()
	return ask(b, "script "+script, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
}

// until waits for a condition, which is a script.
func (b *tab) until(what, script string) {
	b.t.Helper()
	bound := harness.BoundDefault
	deadline, cancel := context.WithTimeout(b.ctx, bound)
	defer cancel()
	for {
		ok, err := chromedp.Run(deadline, chromedp.Evaluate[bool]("Boolean("+script+")"))
		switch {
		case err == nil && ok:
			return
		case deadline.Err() != nil:
			b.t.Fatalf("waited %v until %s (%v); the page says:\n%s", bound, what, err, b.text())
		}
		select {
		case <-deadline.Done():
		case <-time.After(untilEvery):
		}
	}
}

// untilEvery is how often a page is asked.
const untilEvery = 20 * time.Millisecond

// shows waits for texts on the page.
func (b *tab) shows(texts ...string) {
	b.t.Helper()
	for _, text := range texts {
		b.until(fmt.Sprintf("it shows %q", text), fmt.Sprintf("document.body.innerText.includes(%q)", text))
	}
}

// inGraph is a script: whether the graph has a job of those words.
func inGraph(words string) string {
	return fmt.Sprintf("[...document.querySelectorAll('.graph .node > title')].some((t) => t.textContent === %q)", words)
}

// text is what the page shows, for a failure.
func (b *tab) text() string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
	if err != nil {
		return err.Error()
	}
	return text
}

// press presses the button of that text, and the same in the question that follows if sure.
func (b *tab) press(text string, sure bool) {
	b.t.Helper()
	const find = `[...document.querySelectorAll(%q)].find((b) => b.textContent.trim() === %q && !b.disabled)`
	button := fmt.Sprintf(find, "main button", text)
	b.until("there is a button "+text, button)
	b.act(button + ".click()")
	if sure {
		yes := fmt.Sprintf(find, "dialog[open] button", text)
		b.until("it asks", yes)
		b.act(yes + ".click()")
	}
}

// colours has the page in light or dark.
func (b *tab) colours(scheme string) {
	b.t.Helper()
	b.do("set "+scheme, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}))
}

// size sets the size of the window.
func (b *tab) size(width, height int64) {
	b.t.Helper()
	b.do("set the size", chromedp.EmulateViewport(width, height))
}

// shot keeps a picture if that is wanted.
func (b *tab) shot(name string) {
	b.t.Helper()
	dir := os.Getenv("MUSTER_TEST_SHOTS")
	if dir == "" {
		return
	}
	picture := ask(b, "take a picture", chromedp.CaptureScreenshot())
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644)
	}
	if err != nil {
		b.t.Fatalf("keep a picture: %v", err)
	}
}

// gate is a file that jobs wait for, so that a test says when they go on.
type gate string

func newGate(t *testing.T) gate { return gate(filepath.Join(t.TempDir(), "open")) }

// wait is a piece of shell script.
func (g gate) wait() string { return "while [ ! -e '" + string(g) + "' ]; do sleep 0.05; done" }

func (g gate) open(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(string(g), nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

// object is a piece of a request.
type object = map[string]any

func job(name, shell string, needs ...string) object {
	j := object{"name": name, "shell": shell}
	if len(needs) > 0 {
		j["needs"] = needs
	}
	return j
}

// repeat is n jobs whose names differ in a number.
func repeat(n int, name, shell string, needs func(i int) []string) (list []object) {
	for i := range n {
		list = append(list, job(fmt.Sprintf("%s-%d", name, i), shell, needs(i)...))
	}
	return list
}

func lines(list ...string) string { return strings.Join(list, "\n") }
