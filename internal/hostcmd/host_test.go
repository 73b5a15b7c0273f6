package hostcmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// worked makes a host with some commands, and a directory that those find in $DIR.
func worked(t *testing.T, commands map[Action]string) (*Host, string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("DIR", dir)
	return &Host{ID: "h7", timeout: 20 * time.Second, commands: commands}, dir
}

func read(t *testing.T, path string) string {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(body)
}

func TestACommandKnowsItsHostAndNothingOfThePersonsCommand(t *testing.T) {
	t.Setenv("VSTACK_CLUSTER", "lab")
	h, dir := worked(t, map[Action]string{Cut: `echo "$DRILL_HOST $DRILL_PEERS ${VSTACK_CLUSTER-unset}" >$DIR/out`})
	if err := h.Do(t.Context(), Cut, "DRILL_PEERS=10.0.0.1,10.0.0.2"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(dir, "out")); got != "h7 10.0.0.1,10.0.0.2 unset\n" {
		t.Errorf("got %q", got)
	}
}

func TestTheErrorOfACommandCarriesTheEndOfItsOutput(t *testing.T) {
	h, _ := worked(t, map[Action]string{Pause: `yes x | head -c 100000; echo no such host >&2; exit 3`})
	err := h.Do(t.Context(), Pause)
	if err == nil || !strings.Contains(err.Error(), "pause host h7") || !strings.Contains(err.Error(), "exit status 3") || !strings.HasSuffix(err.Error(), "no such host") {
		t.Errorf("%.300v", err)
	}
	if len(err.Error()) > maxOutput+200 {
		t.Errorf("%d bytes", len(err.Error()))
	}
	if err := h.Do(t.Context(), Freeze); !errors.Is(err, vstack.ErrInvalid) || !strings.Contains(err.Error(), "no command") {
		t.Error(err)
	}
}

func TestACommandThatTakesTooLongEndsWithAllThatItStarted(t *testing.T) {
	h, dir := worked(t, map[Action]string{Kill: `sh -c 'echo $$ >$DIR/pid; sleep 600' ; true`})
	h.timeout = 500 * time.Millisecond
	err := h.Do(t.Context(), Kill)
	if !errors.Is(err, vstack.ErrTimeout) || !strings.Contains(err.Error(), "500ms") {
		t.Error(err)
	}
	pid := strings.TrimSpace(read(t, filepath.Join(dir, "pid")))
	if pid == "" {
		t.Fatal("it did not begin")
	}
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Readlink("/proc/" + pid + "/exe"); err != nil {
			break
		}
		if time.Since(began) > 10*time.Second {
			t.Fatalf("process %s runs", pid)
		}
	}
	if !h.Owes(Start) {
		t.Error("a kill that may have taken effect is not mended")
	}
}

func TestACommandMayNotLeaveItsOutputOpen(t *testing.T) {
	h, dir := worked(t, map[Action]string{Start: `sleep 600 & echo $! >$DIR/pid`})
	err := h.Do(t.Context(), Start)
	if pid := strings.TrimSpace(read(t, filepath.Join(dir, "pid"))); pid != "" {
		defer func() {
			if err := run(context.Background(), "kill "+pid, time.Second, nil); err != nil {
				t.Error(err)
			}
		}()
	}
	if !errors.Is(err, vstack.ErrInvalid) || !strings.Contains(err.Error(), ">/dev/null 2>&1") {
		t.Error(err)
	}
}

func TestWhatWasHurtIsMendedTheLatestFirst(t *testing.T) {
	commands := map[Action]string{}
	for _, a := range Actions() {
		commands[a] = fmt.Sprintf("echo %s >>$DIR/log", a)
	}
	commands[CutSends] += "; exit 1" // it may have taken effect
	h, dir := worked(t, commands)
	for _, a := range []Action{Kill, Start, Stop, Freeze, Pause, Resume, CutSends} {
		if err := h.Do(t.Context(), a); (err != nil) != (a == CutSends) {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	if err := h.Mend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(dir, "log")); got != "heal\nthaw\nstart\n" {
		t.Errorf("mended by %q", got)
	}
	if err := h.Mend(t.Context()); err != nil || len(h.owed) > 0 || strings.Count(read(t, filepath.Join(dir, "log")), "\n") != 3 {
		t.Errorf("mended twice: %v, %v", h.owed, err)
	}
}

func TestMendingIsTriedAgainAndToldWhenItFails(t *testing.T) {
	h, dir := worked(t, map[Action]string{
		Pause:  `true`,
		Resume: `echo try >>$DIR/log; test $(wc -l <$DIR/log) -ge 2 || { echo away; exit 255; }`,
		Freeze: `true`,
		Thaw:   `echo still away; exit 255`,
	})
	for _, a := range []Action{Pause, Freeze} {
		if err := h.Do(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	err := h.Mend(t.Context())
	if err == nil || !strings.Contains(err.Error(), "h7 is left") || !strings.Contains(err.Error(), "still away") || strings.Contains(err.Error(), "resume") {
		t.Error(err)
	}
	if got := read(t, filepath.Join(dir, "log")); got != "try\ntry\n" {
		t.Errorf("resumed by %q", got)
	}
}
