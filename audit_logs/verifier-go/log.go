package main

import (
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

	offset, follows int64 // where the next frame starts, and its distance from the start of a write it may belong to

	// Of trials only: called before each entry; notes that were good once; roots of the untouched log.
	before  func()
	opened  map[string]string
	known   map[int64]tlog.Hash
	knownTo int64
}

// folder holds the files of a log by name; a missing file has no entry.
type folder map[string][]byte

func readFolder(path string) folder {
	files := folder{}
	for _, name := range []string{"entries.lfr", "heads", "checkpoints", "key.cert", "device.vkey"} {
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
	if tail != "" && l.closed {
		return errors.New(tail)
	}
	return nil
}

func (l *log) intact() string {
	return fmt.Sprintf("INTACT: %s, %d entries, %d signed", l.origin, l.size, l.signed.size)
}
