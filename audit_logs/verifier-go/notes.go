package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

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
	return &log{origin: lines[1], key: key, device: lines[2]+"\n" == string(raw)}, nil
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

// checkProof checks a C2SP tlog-proof of one entry.
func checkProof(files folder, given []byte, path string) error {
	l, err := openKeys(files, given)
	if err != nil {
		return err
	}
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
