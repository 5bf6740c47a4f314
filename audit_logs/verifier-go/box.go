package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
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
		switch e.Ev {
		case "device.deployment_opened":
			opened[e.Ref] = true
			if logs[e.Ref] == nil {
				wrong = append(wrong, "the log of "+e.Ref+" is not here")
			}
		case "device.deployment_closed":
			closed[e.Ref] = e.head()
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
		if end, found := closed[e.Ref]; e.Ev == "anchor.confirmed" && (!found || end != e.head()) {
			wrong = append(wrong, "a sheet was confirmed for "+e.Ref+" that does not show its end")
		}
	}
	return said, wrong
}

// head is the size and root that an entry names; one that no log has where it names none.
func (e entry) head() head {
	h := head{size: -1}
	var named map[string]json.RawMessage
	if json.Unmarshal(e.D, &named) != nil {
		return h
	}
	if size, err := strconv.ParseInt(string(named["size"]), 10, 64); err == nil {
		h.size = size
	}
	var text string
	if json.Unmarshal(named["root"], &text) == nil && text == strings.ToLower(text) {
		if raw, err := hex.DecodeString(text); err == nil && len(raw) == len(h.root) {
			copy(h.root[:], raw)
			return h
		}
	}
	h.size = -1
	return h
}
