package superblock

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/vstack/vstack/internal/soak"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

// killDirEnv makes this test binary the victim of TestKillMinusNine.
const killDirEnv = "VSTACK_TEST_SUPERBLOCK_DIR"

func killConfig(dir string) Config {
	return Config{Dir: dir, FS: vfs.OS{}, SuperblockSize: 512 << 10, Reserve: 512 << 10, GarbageRatio: 0.2, Keys: bareKeys{},
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

func killChunk(i int) []byte { return payload(uint64(i), 500+(i*37)%9000) }

// TestKillVictim appends from 8 goroutines and says "n" for each acknowledged chunk n
// that it stored and "-n" before and "=n" after dropping one, until it is killed.
func TestKillVictim(t *testing.T) {
	dir := os.Getenv(killDirEnv)
	if dir == "" {
		t.Skip("only as the child of TestKillMinusNine")
	}
	s, err := Open(context.Background(), killConfig(dir))
	if err != nil {
		fmt.Println("error", err)
		return
	}
	var mu sync.Mutex
	say := func(what string, i int) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(os.Stdout, "%s%d\n", what, i)
	}
	first := int(s.LSN()) * 10 // behind every number of earlier lives
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for n := 0; ; n++ {
				i := first + n*8 + w
				data := killChunk(i)
				if _, err := s.Append(context.Background(), voted(data, slotOf(1, uint32(i)), 0)); err != nil {
					fmt.Println("error", err)
					return
				}
				say("+", i)
				if n%3 == 0 {
					say("-", i)
					mustAppend(t, s, Record{Kind: KindDrop, Value: vstack.Value{Chunk: vstack.ChunkIDOf(data)}})
					say("=", i)
				}
			}
		})
	}
	for {
		if _, err := s.Compact(context.Background()); err != nil {
			fmt.Println("error", err)
			return
		}
	}
}

// TestKillMinusNine kills a storing, dropping and compacting process again and again,
// on the real disk, and checks what it had acknowledged.
func TestKillMinusNine(t *testing.T) {
	dir := t.TempDir()
	stored, dropped := map[int]bool{}, map[int]bool{}
	lives := 6 * min(scale(t), 5) // each reads all that the ones before it left
	for life := range lives {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKillVictim$", "-test.v")
		cmd.Env = append(os.Environ(), killDirEnv+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		killAt := 50 + life*61
		for n := 0; lines.Scan(); n++ {
			line := lines.Text()
			if strings.HasPrefix(line, "error") {
				t.Errorf("life %d: %s", life, line)
			}
			if n == killAt {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			if i, err := strconv.Atoi(strings.TrimLeft(line, "+-=")); err == nil {
				switch line[0] {
				case '+':
					stored[i] = true
				case '-':
					delete(stored, i) // from now on either is right
				case '=':
					dropped[i] = true
				}
			}
		}
		_ = cmd.Wait() // killed, as it should be
		checkKilled(t, dir, stored, dropped)
	}
	t.Logf("%d lives: %d chunks stored and kept, %d dropped", lives, len(stored), len(dropped))
	if len(stored) < 100 || len(dropped) < 30 {
		t.Errorf("too little happened: %d kept, %d dropped", len(stored), len(dropped))
	}
	soak.Add(t, map[string]int64{"superblock: writers killed by SIGKILL": int64(lives), "violations": 0})
}

func checkKilled(t *testing.T, dir string, stored, dropped map[int]bool) {
	t.Helper()
	s := open(t, killConfig(dir))
	defer closeStore(t, s)
	votes := map[vstack.Slot]bool{}
	s.State(func(r Record, _ vstack.LSN) bool { votes[r.Slot] = true; return true })
	for i := range stored {
		wantChunk(t, s, killChunk(i))
		if !votes[slotOf(1, uint32(i))] {
			t.Errorf("vote %d is gone", i)
		}
	}
	for i := range dropped {
		if _, ok := s.Lookup(vstack.ChunkIDOf(killChunk(i))); ok {
			t.Errorf("chunk %d was dropped and is back", i)
		}
	}
	for _, f := range s.Findings() {
		if f.Kind != FindTornTail {
			t.Errorf("finding after a kill: %+v", f)
		}
	}
}
