package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	headerBytes = 48
	bodyMax     = 16 * 1024
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

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
	for l.offset < int64(len(data)) {
		if l.before != nil {
			l.before()
		}
		body, leaf, batch, size, err := frame(data[l.offset:])
		if err == nil && batch != 0 && batch != l.follows {
			err = errors.New("the frame belongs to another write")
		}
		if err != nil {
			place := fmt.Sprintf("entry %d, byte %d: %v", l.size, l.offset, err)
			if damaged(data[l.offset:]) {
				return "", errors.New(place)
			}
			return place, nil
		}
		if l.closed {
			return "", fmt.Errorf("entry %d, byte %d: follows log.closed", l.size, l.offset)
		}
		e, err := parseEntry(body)
		if err != nil {
			return "", fmt.Errorf("entry %d, byte %d: %w", l.size, l.offset, err)
		}
		if e.seq != l.size || e.dep != l.origin || (e.ev == "log.opened") != (l.size == 0) {
			return "", fmt.Errorf("entry %d, byte %d: not entry %d of %s", l.size, l.offset, l.size, l.origin)
		}
		l.closed = e.ev == "log.closed"
		switch e.ev {
		case "device.deployment_opened", "device.deployment_closed", "anchor.confirmed":
			l.boxes = append(l.boxes, e)
		}
		hashes, err := tlog.StoredHashesForRecordHash(l.size, leaf, l.hashes)
		if err != nil {
			return "", err
		}
		l.hashes = append(l.hashes, hashes...)
		l.size++
		l.offset, l.follows = l.offset+size, batch+size
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
