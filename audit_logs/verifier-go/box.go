package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const deviceLog = "device"

// checkBox checks every log of a box, and what its device log says of the others: which deployments there were, with
// which head each ended, and which head stood on the sheet of paper that somebody signed.
func checkBox(path string, given []byte) (said, wrong []string) {
	segments, _ := filepath.Glob(filepath.Join(path, "*", "entries.lfr"))
	logs := map[string]*log{}
	var device *log
	for _, segment := range segments {
		l, err := check(readFolder(filepath.Dir(segment)), given)
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v", filepath.Dir(segment), err))
		} else {
			said = append(said, l.intact())
		}
		if l == nil {
			continue
		}
		if l.origin != "" && logs[l.origin] != nil {
			wrong = append(wrong, "the log of "+l.origin+" lies here more than once")
		}
		logs[l.origin] = l
		if filepath.Base(filepath.Dir(segment)) == deviceLog {
			device = l
		}
	}
	if device == nil {
		return said, append(wrong, "the device log cannot be read")
	}
	opened, closed := map[string]bool{}, map[string]head{}
	for _, e := range device.boxes {
		switch e.ev {
		case "device.deployment_opened":
			opened[e.ref] = true
			if logs[e.ref] == nil {
				wrong = append(wrong, "the log of "+e.ref+" is not here")
			}
		case "device.deployment_closed":
			closed[e.ref] = e.head()
		}
	}
	for origin, end := range closed {
		if l := logs[origin]; l != nil && l.signed != end {
			wrong = append(wrong, origin+" did not end with the head written down in the device log")
		}
	}
	for origin, l := range logs {
		if !l.device && !opened[origin] {
			wrong = append(wrong, "the device log does not know "+origin)
		}
	}
	for _, e := range device.boxes {
		if end, found := closed[e.ref]; e.ev == "anchor.confirmed" && (!found || end != e.head()) {
			wrong = append(wrong, "a sheet was confirmed for "+e.ref+" that does not show its end")
		}
	}
	return said, wrong
}

// head is the size and root that an entry names; one that no log has where it names none.
func (e entry) head() head {
	size, isNumber := e.d["size"].(json.Number)
	text, isText := e.d["root"].(string)
	raw, err := hex.DecodeString(text)
	if !isNumber || !isText || err != nil || len(raw) != tlog.HashSize || text != strings.ToLower(text) {
		return head{size: -1}
	}
	h := head{}
	h.size, _ = size.Int64()
	copy(h.root[:], raw)
	return h
}
