package main

import (
	"bytes"
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

const (
	sector      = 512
	signedBytes = 94 // key id and signature in base64, the end of the line, the empty line
)

var (
	tornHead      = regexp.MustCompile(`^[0-9\x00]{1,16}([ \x00]([A-Za-z0-9+/=\x00]{0,44}|[A-Za-z0-9+/=\x00]{44}[ \x00][0-9a-f\x00]{0,8}[\n\x00]?))?$`)
	tornSignature = regexp.MustCompile(`^([A-Za-z0-9+/=\x00]{0,91}|[A-Za-z0-9+/=\x00]{92}[\n\x00]{0,2})$`)
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
	for at := 0; at < len(raw); {
		h, size, err := readHead(raw[at:])
		if err != nil {
			if tornHead.Match(raw[at:]) && bySectors(raw[at:], at) && (bytes.IndexByte(raw[at:], 0) >= 0 || raw[len(raw)-1] != '\n') && !(l.closed && before == l.size) {
				l.torn++
				break
			}
			return nil, err
		}
		if h.size < before {
			return nil, errors.New("a head is smaller than the one before it")
		}
		if err := l.check(h); err != nil {
			return nil, err
		}
		heads[h], l.last, before = true, h, h.size
		l.order = append(l.order, h)
		at += size
	}
	return heads, nil
}

// readHead returns the head in the first line, and how long that line is.
func readHead(raw []byte) (head, int, error) {
	line, _, whole := strings.Cut(string(raw), "\n")
	parts := strings.Split(line, " ")
	if !whole || len(parts) != 3 ||
		parts[2] != fmt.Sprintf("%08x", crc32.Checksum([]byte(parts[0]+" "+parts[1]), castagnoli)) {
		return head{}, 0, errors.New("the heads file is wrong")
	}
	h, err := parseHead(parts[0], parts[1])
	return h, len(line) + 1, err
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
		if !ok || !whole || strings.Contains(body+signature, "\x00") {
			if l.tornCheckpoint(text, len(raw)-len(text)) && !(l.closed && signed.size == l.size) {
				l.torn++
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

// tornCheckpoint: is text, which begins at byte `at` of the file, what a power cut leaves of the checkpoint over the last
// head on disk? None is written down before the checkpoint of the one before it.
func (l *log) tornCheckpoint(text string, at int) bool {
	front := fmt.Sprintf("%s\n%d\n%s\n\n— %s ", l.origin, l.last.size, l.last.root, l.origin)
	if l.last.size < 0 || !bySectors([]byte(text), at) {
		return false
	}
	shown := len(front)
	if len(text) < shown {
		shown = len(text)
	}
	for i := 0; i < shown; i++ {
		if text[i] != front[i] && text[i] != 0 {
			return false
		}
	}
	return tornSignature.MatchString(text[shown:]) && (strings.Contains(text, "\x00") || len(text) < len(front)+signedBytes)
}

// bySectors: a disk writes whole sectors, so that each of them is zeros in what a power cut left, or has none.
func bySectors(rest []byte, at int) bool {
	for len(rest) > 0 {
		part := sector - at%sector
		if part > len(rest) {
			part = len(rest)
		}
		if zeros := bytes.Count(rest[:part], []byte{0}); zeros != 0 && zeros != part {
			return false
		}
		rest, at = rest[part:], at+part
	}
	return true
}
