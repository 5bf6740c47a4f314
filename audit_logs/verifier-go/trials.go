package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"sort"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// trials tries edits on a log in memory. It goes on from what the same check had seen before the first byte that an
// edit touches; every so often it also checks the whole, and the two have to agree.
type trials struct {
	files folder
	given []byte
	kept  []*log // states of the check of the untouched log, in order
	whole int    // every so many edits
	tried int
}

// try applies one edit after the other, each to the log as it lies there, and prints the verdicts.
func try(files folder, given []byte, every int64, whole int) error {
	t := &trials{files: files, given: given, whole: whole}
	if every > 0 {
		if err := t.keep(every); err != nil {
			return err
		}
	}
	lines, out := bufio.NewScanner(os.Stdin), bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for lines.Scan() {
		var name, encoded string
		var from, to int
		if _, err := fmt.Sscan(lines.Text(), &name, &from, &to, &encoded); err != nil {
			return err
		}
		more, err := hex.DecodeString(strings.TrimPrefix(encoded, "-"))
		if err != nil {
			return err
		}
		untouched := files[name]
		edited := make([]byte, 0, len(untouched)+len(more))
		files[name] = append(append(append(edited, untouched[:from]...), more...), untouched[to:]...)
		altered, err := t.altered(name, int64(from))
		if err != nil {
			return err
		}
		files[name] = untouched
		fmt.Fprintln(out, altered)
	}
	return lines.Err()
}

// keep checks the untouched log and remembers its state before every so many entries, and at the end.
func (t *trials) keep(every int64) error {
	l, err := openKeys(t.files, t.given)
	if err != nil {
		return err
	}
	l.opened, l.known, l.knownTo = map[string]string{}, map[int64]tlog.Hash{}, math.MaxInt64
	l.before = func() {
		if l.size%every == 0 {
			t.kept = append(t.kept, l.state())
		}
	}
	if err := l.judge(t.files); err != nil {
		return err
	}
	t.kept = append(t.kept, l.state())
	return nil
}

// state is what the check knows now; going on from it leaves it as it is.
func (l *log) state() *log {
	now := *l
	now.before = nil
	now.hashes = l.hashes[:len(l.hashes):len(l.hashes)]
	now.knownTo = l.size
	return &now
}

// altered is 1 where the check finds something in the files as they are now, of which `name` was changed at `from`.
func (t *trials) altered(name string, from int64) (int, error) {
	t.tried++
	before := t.lastBefore(name, from)
	if before == nil {
		_, err := check(t.files, t.given)
		return found(err), nil
	}
	altered := found(before.judge(t.files))
	if t.tried%t.whole == 0 {
		if _, err := check(t.files, t.given); found(err) != altered {
			return 0, fmt.Errorf("the whole check says %d after %d for %s at %d", found(err), altered, name, from)
		}
	}
	return altered, nil
}

// lastBefore is the last state that knows nothing of the change, or nil.
func (t *trials) lastBefore(name string, from int64) *log {
	if len(t.kept) == 0 || name == "key.cert" || name == "device.vkey" {
		return nil
	}
	after := len(t.kept)
	if name == "entries.lfr" {
		after = sort.Search(len(t.kept), func(i int) bool { return t.kept[i].offset > from })
	}
	return t.kept[after-1].state()
}

func found(err error) int {
	if err != nil {
		return 1
	}
	return 0
}
