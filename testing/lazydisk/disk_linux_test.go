package lazydisk

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

func mount(t *testing.T) (*Disk, string) {
	t.Helper()
	if err := Allowed(); err != nil {
		t.Skipf("this machine does not let a test mount a disk: %v", err)
	}
	dir := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	d, err := Mount(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Unmount(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(dir); err != nil {
			t.Error(err)
		}
	})
	return d, dir
}

// put writes to a file and fsyncs it when asked to.
func put(t *testing.T, path, text string, off int64, sync bool) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		defer f.Close()
		_, err = f.WriteAt([]byte(text), off)
	}
	if err == nil && sync {
		err = f.Sync()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func has(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s has %.80q, %v; want %.80q", filepath.Base(path), got, err, want)
	}
}

func lose(t *testing.T, d *Disk, random *rand.Rand) Loss {
	t.Helper()
	loss, err := d.PowerLoss(random)
	if err != nil {
		t.Fatal(err)
	}
	return loss
}

func TestWhatWasSyncedStaysAndTheRestIsLost(t *testing.T) {
	d, dir := mount(t)
	path := filepath.Join(dir, "a")
	put(t, path, "durable", 0, true)
	put(t, path, "DUR", 0, false)
	put(t, path, " and more", 7, false)
	put(t, filepath.Join(dir, "new"), "new", 0, false)
	has(t, path, "DURable and more")
	loss := lose(t, d, nil)
	has(t, path, "durable")
	if _, err := os.Stat(filepath.Join(dir, "new")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that was never synced is there: %v", err)
	}
	if loss.Pages != 2 || loss.Names != 1 {
		t.Errorf("%v", loss)
	}
	put(t, path, "DUR", 0, true)
	lose(t, d, nil)
	has(t, path, "DURable")
}

func TestATruncationIsUndone(t *testing.T) {
	d, dir := mount(t)
	path, long := filepath.Join(dir, "a"), string(bytes.Repeat([]byte("0123456789abcdef"), 1000))
	put(t, path, long, 0, true)
	if err := os.Truncate(path, 5000); err != nil {
		t.Fatal(err)
	}
	put(t, path, "x", 9000, false)
	lose(t, d, nil)
	has(t, path, long)
}

func TestNamesAreUndoneBackToTheLastSync(t *testing.T) {
	d, dir := mount(t)
	a, b, sub := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "sub")
	put(t, a, "a", 0, true)
	put(t, b, "b", 0, true)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(os.Rename(a, b)) // over the old one
	check(os.Mkdir(sub, 0o700))
	check(os.Remove(b))
	lose(t, d, nil)
	has(t, a, "a")
	has(t, b, "b")
	if _, err := os.Stat(sub); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	check(os.Rename(a, b))
	parent, err := os.Open(dir)
	check(err)
	check(parent.Sync())
	check(parent.Close())
	lose(t, d, nil)
	has(t, b, "a")
}

func TestChanceTearsAndKeeps(t *testing.T) {
	d, dir := mount(t)
	path := filepath.Join(dir, "a")
	const n = 64
	old, fresh := bytes.Repeat([]byte("o"), n*pageBytes), bytes.Repeat([]byte("f"), n*pageBytes)
	seen := map[string]bool{}
	var torn int
	for seed := range uint64(20) {
		put(t, path, string(old), 0, true)
		put(t, path, string(fresh), 0, false)
		torn += lose(t, d, rand.New(rand.NewPCG(seed, 0))).Torn
		got, err := os.ReadFile(path)
		if err != nil || len(got) != n*pageBytes {
			t.Fatal(len(got), err)
		}
		for sector := range bytes.Lines(bytes.ReplaceAll(got, []byte("of"), []byte("o\nf"))) {
			seen[string(sector[:1])] = true
		}
		for i := 0; i < len(got); i += sectorBytes {
			if s := got[i : i+sectorBytes]; !bytes.Equal(s, old[:sectorBytes]) && !bytes.Equal(s, fresh[:sectorBytes]) {
				t.Fatalf("seed %d: the sector at %d is torn", seed, i)
			}
		}
	}
	if torn == 0 || !seen["o"] || !seen["f"] {
		t.Errorf("%d pages were torn, sectors are %v", torn, seen)
	}
}

func TestASyncThatFailedIsNotMadeGoodByTheNext(t *testing.T) {
	d, dir := mount(t)
	path := filepath.Join(dir, "a")
	put(t, path, "old", 0, true)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	write := func(text string) {
		if _, err := f.WriteAt([]byte(text), 0); err != nil {
			t.Fatal(err)
		}
	}
	write("new")
	d.FailSync(1)
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("fsync: %v", err)
	}
	if err := f.Sync(); err != nil {
		t.Errorf("the next fsync: %v", err)
	}
	_ = f.Close()
	lose(t, d, nil)
	has(t, path, "old")
}

func TestALyingDiskLosesWhatItAcknowledged(t *testing.T) {
	d, dir := mount(t)
	path := filepath.Join(dir, "a")
	put(t, path, "old", 0, true)
	d.IgnoreSync(true)
	put(t, path, "new", 0, true)
	lose(t, d, nil)
	has(t, path, "old")
}

func TestAFullDiskTakesNothing(t *testing.T) {
	d, dir := mount(t)
	path := filepath.Join(dir, "a")
	put(t, path, "old", 0, true)
	d.Fill(true)
	if err := os.WriteFile(filepath.Join(dir, "b"), nil, 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("create: %v", err)
	}
	if err := os.WriteFile(path, []byte("new"), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("write: %v", err)
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil || st.Bavail != 0 || st.Blocks == 0 {
		t.Errorf("%d of %d blocks are free, %v", st.Bavail, st.Blocks, err)
	}
	d.Heal()
	put(t, path, "new", 0, true)
	has(t, path, "new")
}

func TestAHangingDiskWaitsForHeal(t *testing.T) {
	d, dir := mount(t)
	path := filepath.Join(dir, "a")
	put(t, path, "old", 0, true)
	d.Hang()
	done := make(chan struct{})
	go func() {
		defer close(done)
		put(t, path, "new", 0, true)
	}()
	select {
	case <-done:
		t.Error("it was fsynced")
	case <-time.After(50 * time.Millisecond):
	}
	d.Heal()
	<-done
	has(t, path, "new")
}

// boltEnv names the database that a child of the test works on; boltRound says how often one did before.
const boltEnv, boltRound = "LAZYDISK_TEST_BOLT", "LAZYDISK_TEST_ROUND"

// boltReady is what the child prints before its last commit.
const boltReady = "ready"

// perRound is how many commits a child makes.
const perRound = 5

// TestBoltSurvivesPowerLosses: a database that is read through a mapping, by another process, has what its last commit
// wrote after each power loss, whatever part of the one under way was written.
func TestBoltSurvivesPowerLosses(t *testing.T) {
	if path := os.Getenv(boltEnv); path != "" {
		boltChild(t, path)
		return
	}
	d, dir := mount(t)
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 10 {
		child := exec.Command(os.Args[0], "-test.run=^TestBoltSurvivesPowerLosses$")
		child.Env = append(os.Environ(), boltEnv+"="+filepath.Join(dir, "db"), fmt.Sprint(boltRound, "=", round))
		var out bytes.Buffer
		child.Stderr = os.Stderr
		in, err1 := child.StdinPipe()
		said, err2 := child.StdoutPipe()
		if err := errors.Join(err1, err2, child.Start()); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(said)
		for lines.Scan() && lines.Text() != boltReady {
			fmt.Fprintln(&out, lines.Text())
		}
		d.FailSync(1) // of a commit that does not get through, half of it written
		_ = in.Close()
		for lines.Scan() {
			fmt.Fprintln(&out, lines.Text())
		}
		if err := child.Wait(); err != nil {
			t.Fatalf("round %d: %v\n%s", round, err, &out)
		}
		t.Log(lose(t, d, random))
	}
}

func boltChild(t *testing.T, path string) {
	round, err := strconv.Atoi(os.Getenv(boltRound))
	if err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	bucket := []byte("b")
	count := func() (n int) {
		if err := db.View(func(tx *bbolt.Tx) error {
			if b := tx.Bucket(bucket); b != nil {
				n = b.Stats().KeyN
			}
			for err := range tx.Check() {
				t.Error(err)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if got := count(); got < round*perRound {
		t.Fatalf("%d keys, %d were committed", got, round*perRound)
	}
	for i := range perRound {
		if err := db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists(bucket)
			if err != nil {
				return err
			}
			return b.Put(fmt.Appendf(nil, "%06d", round*perRound+i), bytes.Repeat([]byte("v"), 1+1000*i))
		}); err != nil {
			t.Fatal(err)
		}
	}
	if got := count(); got != (round+1)*perRound {
		t.Errorf("%d keys", got)
	}
	fmt.Println(boltReady)
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucket).Put([]byte("half"), bytes.Repeat([]byte("h"), 20000))
	}); err == nil {
		t.Error("the commit whose fsync fails succeeds")
	}
}
