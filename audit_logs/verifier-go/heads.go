package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// recoveryEntries is what opening a log may add before it signs: log.recovered and disk.full.
const recoveryEntries = 2

var (
	tornHead      = regexp.MustCompile(`^[0-9]{1,16}( ([A-Za-z0-9+/=]{0,44}|[A-Za-z0-9+/=]{44} [0-9a-f]{0,8}))?$`)
	tornSignature = regexp.MustCompile(`^[A-Za-z0-9+/=]{0,92}\n?$`)
)

type head struct {
	size int64
	root tlog.Hash
}

func (l *log) root(size int64) (tlog.Hash, error) {
	if size > l.size {
		return tlog.Hash{}, fmt.Errorf("a head covers %d entries, %d are readable", size, l.size)
	}
	if size == 0 {
		return sha256.Sum256(nil), nil
	}
	if root, found := l.known[size]; found && size <= l.knownTo {
		return root, nil
	}
	root, err := tlog.TreeHash(size, l.hashes)
	if err == nil && l.knownTo == math.MaxInt64 {
		l.known[size] = root
	}
	return root, err
}

func (l *log) check(h head) error {
	root, err := l.root(h.size)
	if err == nil && root != h.root {
		err = fmt.Errorf("the first %d entries are not those that were signed", h.size)
	}
	return err
}

func parseHead(size, root string) (head, error) {
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != size || !strict(root) {
		return head{}, errors.New("not a head")
	}
	hash, err := tlog.ParseHash(root)
	return head{n, hash}, err
}

func (l *log) checkHeads(files folder) (map[head]bool, error) {
	raw, found := files["heads"]
	if !found {
		return nil, errors.New("heads is missing")
	}
	heads := map[head]bool{}
	before := int64(0)
	l.last.size = -1
	l.order = nil
	for text := string(raw); text != ""; {
		line, rest, whole := strings.Cut(text, "\n")
		if !whole && tornHead.MatchString(line) && !(l.closed && before == l.size) {
			break
		}
		parts := strings.Split(line, " ")
		if !whole || len(parts) != 3 ||
			parts[2] != fmt.Sprintf("%08x", crc32.Checksum([]byte(parts[0]+" "+parts[1]), castagnoli)) {
			return nil, errors.New("the heads file is wrong")
		}
		h, err := parseHead(parts[0], parts[1])
		if err != nil {
			return nil, err
		}
		if h.size < before {
			return nil, errors.New("a head is smaller than the one before it")
		}
		if err := l.check(h); err != nil {
			return nil, err
		}
		heads[h], l.last, before, text = true, h, h.size, rest
		l.order = append(l.order, h)
	}
	return heads, nil
}

func (l *log) checkCheckpoints(files folder, heads map[head]bool) error {
	raw, found := files["checkpoints"]
	if !found {
		return errors.New("checkpoints is missing")
	}
	signed, all := head{root: sha256.Sum256(nil)}, map[head]bool{}
	for text := string(raw); text != ""; {
		body, rest, ok := strings.Cut(text, "\n\n")
		signature, after, whole := strings.Cut(rest, "\n\n")
		if !ok || !whole {
			if l.torn(text) && !(l.closed && signed.size == l.size) {
				break
			}
			return errors.New("the checkpoints are wrong")
		}
		h, err := l.openCheckpoint([]byte(body + "\n\n" + signature + "\n"))
		if err != nil {
			return err
		}
		if !heads[h] {
			return errors.New("a checkpoint was signed without its head on disk")
		}
		if h.size < signed.size {
			return errors.New("a checkpoint is smaller than the one before it")
		}
		signed, all[h], text = h, true, after
	}
	l.signed = signed
	for i := 1; i < len(l.order); i++ {
		if unsigned := l.order[i-1]; !all[unsigned] && l.order[i].size > unsigned.size+recoveryEntries {
			return fmt.Errorf("the checkpoint over %d entries is missing", unsigned.size)
		}
	}
	return nil
}

func (l *log) openCheckpoint(raw []byte) (head, error) {
	text, before := l.opened[string(raw)]
	if !before {
		var err error
		if text, err = open(raw, l.key); err != nil {
			return head{}, fmt.Errorf("checkpoint: %w", err)
		}
		if l.opened != nil {
			l.opened[string(raw)] = text
		}
	}
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[0] != l.origin {
		return head{}, errors.New("not a checkpoint of this log")
	}
	h, err := parseHead(lines[1], lines[2])
	if err == nil && l.size > 0 {
		err = l.check(h)
	}
	return h, err
}

// torn: is text the beginning, and only that, of the checkpoint over the last head on disk? None is written down before
// the checkpoint of the one before it.
func (l *log) torn(text string) bool {
	front := fmt.Sprintf("%s\n%d\n%s\n\n— %s ", l.origin, l.last.size, l.last.root, l.origin)
	if l.last.size < 0 || len(text) <= len(front) {
		return l.last.size >= 0 && strings.HasPrefix(front, text)
	}
	return strings.HasPrefix(text, front) && tornSignature.MatchString(strings.TrimPrefix(text, front))
}
