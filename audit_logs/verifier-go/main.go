// Command verifier-go checks an lfr-edge audit log without a line of lfr-edge's own code.
//
//	verifier-go [-key device.vkey] LOG           check a log folder
//	verifier-go [-key device.vkey] -proof FILE LOG   check one entry's proof; only LOG/key.cert is read
//	verifier-go [-key device.vkey] -trials LOG       try edits from standard input on a copy in memory
//
// It is built from Debian's golang-go and golang-golang-x-mod-dev; signatures, trees and proofs are those of
// golang.org/x/mod/sumdb. Exit status: 0 nothing altered, 1 altered, 3 unreadable.
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	headerBytes = 48
	bodyMax     = 16 * 1024
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	tornHead   = regexp.MustCompile(`^[0-9]{1,16}( ([A-Za-z0-9+/=]{0,44}|[A-Za-z0-9+/=]{44} [0-9a-f]{0,8}))?$`)
	tornNote   = regexp.MustCompile(`^([0-9]{0,16}|(0|[1-9][0-9]{0,15})\n[A-Za-z0-9+/=]{0,44})$`)
)

type entry struct {
	V   int    `json:"v"`
	Dep string `json:"dep"`
	Seq int64  `json:"seq"`
	Ev  string `json:"ev"`
}

type head struct {
	size int64
	root tlog.Hash
}

type store []tlog.Hash

func (s store) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, 0, len(indexes))
	for _, index := range indexes {
		if index < 0 || index >= int64(len(s)) {
			return nil, errors.New("no such node")
		}
		hashes = append(hashes, s[index])
	}
	return hashes, nil
}

type log struct {
	origin string
	key    note.Verifier
	hashes store
	size   int64
	closed bool
}

// folder holds the files of a log by name; a missing file has no entry.
type folder map[string][]byte

func main() {
	keyFile := flag.String("key", "", "the device's public key; LOG/device.vkey if not given")
	proofFile := flag.String("proof", "", "check this proof of one entry")
	trials := flag.Bool("trials", false, "for each line FILE START STOP HEX on standard input, put HEX (- for nothing) in the place of those bytes and print 0 or 1")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "give the folder of one log")
		os.Exit(3)
	}
	if err := start(readFolder(flag.Arg(0)), *keyFile, *proofFile, *trials); err != nil {
		fmt.Println("ALTERED:", err)
		os.Exit(1)
	}
}

func start(files folder, keyFile, proofFile string, trials bool) error {
	var given []byte
	if keyFile != "" {
		raw, err := os.ReadFile(keyFile)
		if err != nil {
			return err
		}
		given = raw
	}
	if proofFile != "" {
		l, err := openKeys(files, given)
		if err != nil {
			return err
		}
		return l.checkProof(proofFile)
	}
	if _, found := files["entries.lfr"]; !found {
		fmt.Fprintln(os.Stderr, "entries.lfr is missing")
		os.Exit(3)
	}
	if trials {
		return try(files, given)
	}
	said, err := check(files, given)
	if err == nil {
		fmt.Println(said)
	}
	return err
}

func readFolder(path string) folder {
	files := folder{}
	for _, name := range []string{"entries.lfr", "heads", "checkpoints", "key.cert", "device.vkey"} {
		if raw, err := os.ReadFile(filepath.Join(path, name)); err == nil {
			files[name] = raw
		}
	}
	return files
}

func check(files folder, given []byte) (string, error) {
	l, err := openKeys(files, given)
	if err != nil {
		return "", err
	}
	tail, err := l.readEntries(files["entries.lfr"])
	if err != nil {
		return "", err
	}
	heads, err := l.checkHeads(files)
	if err != nil {
		return "", err
	}
	signed, err := l.checkCheckpoints(files, heads)
	if err != nil {
		return "", err
	}
	if tail != "" && l.closed {
		return "", errors.New(tail)
	}
	return fmt.Sprintf("INTACT: %s, %d entries, %d signed", l.origin, l.size, signed), nil
}

// try applies one edit after the other, each to the log as it lies there, and prints the verdicts.
func try(files folder, given []byte) error {
	lines := bufio.NewScanner(os.Stdin)
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
		whole := files[name]
		edited := append(append(append([]byte{}, whole[:from]...), more...), whole[to:]...)
		files[name] = edited
		if _, err := check(files, given); err != nil {
			fmt.Println(1)
		} else {
			fmt.Println(0)
		}
		files[name] = whole
	}
	return lines.Err()
}

// openKeys reads the device's key and the certificate that names the log's key.
func openKeys(files folder, given []byte) (*log, error) {
	beside, found := files["device.vkey"]
	raw := beside
	if given != nil {
		if found && !bytes.Equal(given, beside) {
			return nil, errors.New("the key beside the log is not the device's")
		}
		raw = given
	} else if !found {
		return nil, errors.New("device.vkey is missing")
	}
	device, err := verifier(strings.TrimSuffix(string(raw), "\n"), string(raw))
	if err != nil {
		return nil, fmt.Errorf("device key: %w", err)
	}
	text, err := open(files["key.cert"], device)
	if err != nil {
		return nil, fmt.Errorf("key.cert: %w", err)
	}
	lines := strings.Split(text, "\n")
	if len(lines) != 5 || lines[0] != "lfr-edge/log-key/v1" {
		return nil, errors.New("key.cert is no certificate")
	}
	key, err := verifier(lines[2], lines[2]+"\n")
	if err != nil {
		return nil, fmt.Errorf("key.cert: %w", err)
	}
	if key.Name() != lines[1] {
		return nil, errors.New("the key has another name than the log")
	}
	return &log{origin: lines[1], key: key}, nil
}

func verifier(vkey, line string) (note.Verifier, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 || !strict(parts[2]) || line != vkey+"\n" || parts[1] != strings.ToLower(parts[1]) {
		return nil, errors.New("not a verifier key")
	}
	return note.NewVerifier(vkey)
}

func strict(encoded string) bool {
	data, err := base64.StdEncoding.Strict().DecodeString(encoded)
	return err == nil && base64.StdEncoding.EncodeToString(data) == encoded
}

// open verifies a note that has exactly one signature and exactly these bytes.
func open(raw []byte, key note.Verifier) (string, error) {
	n, err := note.Open(raw, note.VerifierList(key))
	if err != nil {
		return "", err
	}
	if len(n.Sigs) != 1 || len(n.UnverifiedSigs) != 0 || !strict(n.Sigs[0].Base64) {
		return "", errors.New("more or less than one signature")
	}
	if n.Text+"\n— "+n.Sigs[0].Name+" "+n.Sigs[0].Base64+"\n" != string(raw) {
		return "", errors.New("unusual bytes")
	}
	return n.Text, nil
}

// frame returns body, leaf hash, batch and length of the frame at the start of data.
func frame(data []byte) (body []byte, leaf tlog.Hash, batch int64, size int64, err error) {
	if len(data) < headerBytes {
		return nil, leaf, 0, 0, errors.New("the header is cut short")
	}
	header := data[:headerBytes]
	length := binary.BigEndian.Uint32(header[4:8])
	copy(leaf[:], header[16:48])
	sum := crc32.Update(crc32.Checksum(header[:12], castagnoli), castagnoli, header[16:48])
	switch {
	case string(header[:4]) != "LFE1":
		err = errors.New("no frame starts here")
	case sum != binary.BigEndian.Uint32(header[12:16]):
		err = errors.New("the header's checksum is wrong")
	case length > bodyMax:
		err = errors.New("the body is longer than allowed")
	case len(data) < headerBytes+int(length):
		err = errors.New("the body is cut short")
	default:
		body = data[headerBytes : headerBytes+int(length)]
		if tlog.RecordHash(body) != leaf {
			err = errors.New("the body does not match its hash")
		}
	}
	return body, leaf, int64(binary.BigEndian.Uint32(header[8:12])), headerBytes + int64(length), err
}

// readEntries builds the tree; the string says what is torn at the end, the error what is damaged.
func (l *log) readEntries(data []byte) (string, error) {
	offset, follows := int64(0), int64(0)
	for offset < int64(len(data)) {
		body, leaf, batch, size, err := frame(data[offset:])
		if err == nil && batch != 0 && batch != follows {
			err = errors.New("the frame belongs to another write")
		}
		if err != nil {
			place := fmt.Sprintf("entry %d, byte %d: %v", l.size, offset, err)
			if damaged(data[offset:]) {
				return "", errors.New(place)
			}
			return place, nil
		}
		if l.closed {
			return "", fmt.Errorf("entry %d, byte %d: follows log.closed", l.size, offset)
		}
		var e entry
		if err := json.Unmarshal(body, &e); err != nil || e.V != 1 || e.Seq != l.size || e.Dep != l.origin ||
			(e.Ev == "log.opened") != (l.size == 0) {
			return "", fmt.Errorf("entry %d, byte %d: not entry %d of %s", l.size, offset, l.size, l.origin)
		}
		l.closed = e.Ev == "log.closed"
		hashes, err := tlog.StoredHashesForRecordHash(l.size, leaf, l.hashes)
		if err != nil {
			return "", err
		}
		l.hashes = append(l.hashes, hashes...)
		l.size++
		offset, follows = offset+size, batch+size
	}
	return "", nil
}

// damaged: is there a good frame of a later write after the bad one at the start of data?
func damaged(data []byte) bool {
	for at := 0; ; at++ {
		next := bytes.Index(data[at:], []byte("LFE1"))
		if next < 0 {
			return false
		}
		at += next
		if _, _, batch, _, err := frame(data[at:]); err == nil && (at == 0 || batch < int64(at)) {
			return true
		}
	}
}

func (l *log) root(size int64) (tlog.Hash, error) {
	if size > l.size {
		return tlog.Hash{}, fmt.Errorf("a head covers %d entries, %d are readable", size, l.size)
	}
	if size == 0 {
		return sha256.Sum256(nil), nil
	}
	return tlog.TreeHash(size, l.hashes)
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
		heads[h], before, text = true, h.size, rest
	}
	return heads, nil
}

func (l *log) checkCheckpoints(files folder, heads map[head]bool) (int64, error) {
	raw, found := files["checkpoints"]
	if !found {
		return 0, errors.New("checkpoints is missing")
	}
	signed := int64(0)
	for text := string(raw); text != ""; {
		body, rest, ok := strings.Cut(text, "\n\n")
		signature, after, whole := strings.Cut(rest, "\n\n")
		if !ok || !whole {
			if l.torn(text) && !(l.closed && signed == l.size) {
				break
			}
			return 0, errors.New("the checkpoints are wrong")
		}
		h, err := l.openCheckpoint([]byte(body + "\n\n" + signature + "\n"))
		if err != nil {
			return 0, err
		}
		if !heads[h] {
			return 0, errors.New("a checkpoint was signed without its head on disk")
		}
		if h.size < signed {
			return 0, errors.New("a checkpoint is smaller than the one before it")
		}
		signed, text = h.size, after
	}
	return signed, nil
}

func (l *log) openCheckpoint(raw []byte) (head, error) {
	text, err := open(raw, l.key)
	if err != nil {
		return head{}, fmt.Errorf("checkpoint: %w", err)
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

// torn: is text the beginning, and only that, of a checkpoint of this log?
func (l *log) torn(text string) bool {
	if strings.HasPrefix(l.origin+"\n", text) {
		return true
	}
	if !strings.HasPrefix(text, l.origin+"\n") {
		return false
	}
	text = strings.TrimPrefix(text, l.origin+"\n")
	front, signature, found := strings.Cut(text, "\n\n")
	if !found {
		return tornNote.MatchString(strings.TrimSuffix(text, "\n"))
	}
	line := "— " + l.origin + " "
	if len(signature) <= len(line) {
		return tornNote.MatchString(front) && strings.HasPrefix(line, signature)
	}
	encoded := strings.TrimSuffix(strings.TrimPrefix(signature, line), "\n")
	return strings.HasPrefix(signature, line) && tornNote.MatchString(front) && len(encoded) <= 92 &&
		!strings.ContainsAny(encoded, "\n ")
}

// checkProof checks a C2SP tlog-proof of one entry.
func (l *log) checkProof(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	front, checkpoint, found := strings.Cut(string(raw), "\n\n")
	lines := strings.Split(front, "\n")
	if !found || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return errors.New("not a proof")
	}
	body, err := base64.StdEncoding.Strict().DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		return err
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil {
		return err
	}
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		proof = append(proof, hash)
	}
	h, err := l.openCheckpoint([]byte(checkpoint))
	if err != nil {
		return err
	}
	if err := tlog.CheckRecord(proof, h.size, h.root, index, tlog.RecordHash(body)); err != nil {
		return err
	}
	fmt.Printf("PROVED: entry %d of %s, among %d signed entries\n", index, l.origin, h.size)
	return nil
}
