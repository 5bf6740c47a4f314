package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type log struct {
	origin string
	key    note.Verifier
	hashes store
	size   int64
	closed bool
	device bool    // signed by the device's own key
	order  []head  // all on disk
	signed head    // by the last checkpoint
	last   head    // on disk; of size -1 where there is none
	boxes  []entry // what the device log says of other logs
	torn   int     // files that end in a torn write; a power cut leaves one

	offset, follows int64 // where the next frame starts, and its distance from the start of a write it may belong to

	// Of trials only: called before each entry; notes that were good once; roots of the untouched log.
	before  func()
	opened  map[string]string
	known   map[int64]tlog.Hash
	knownTo int64
}

// folder holds the files of a log by name; a missing file has no entry.
type folder map[string][]byte

// readFolder reads what is signed first, and until it stays: a log that goes on meanwhile has the entries it covers.
func readFolder(path string) folder {
	signed, again := read(path, "heads", "checkpoints"), read(path, "heads", "checkpoints")
	for !bytes.Equal(signed["heads"], again["heads"]) || !bytes.Equal(signed["checkpoints"], again["checkpoints"]) {
		signed, again = again, read(path, "heads", "checkpoints")
	}
	files := read(path, "entries.lfr", "key.cert", "device.vkey")
	for name, raw := range signed {
		files[name] = raw
	}
	return files
}

func read(path string, names ...string) folder {
	files := folder{}
	for _, name := range names {
		if raw, err := os.ReadFile(filepath.Join(path, name)); err == nil {
			files[name] = raw
		}
	}
	return files
}

func check(files folder, given []byte) (*log, error) {
	l, err := openKeys(files, given)
	if err != nil {
		return nil, err
	}
	return l, l.judge(files)
}

func (l *log) judge(files folder) error {
	l.torn = 0
	tail, err := l.readEntries(files["entries.lfr"])
	if err != nil {
		return err
	}
	heads, err := l.checkHeads(files)
	if err != nil {
		return err
	}
	if err := l.checkCheckpoints(files, heads); err != nil {
		return err
	}
	if tail != "" {
		l.torn++
		if l.closed {
			return errors.New(tail)
		}
	}
	if l.torn > 1 {
		return errors.New("more than one file ends in a torn write, and a power cut leaves one")
	}
	return nil
}

func (l *log) intact() string {
	return fmt.Sprintf("INTACT: %s, %d entries, %d signed", l.origin, l.size, l.signed.size)
}
