// Command verifier-go checks an lfr-edge audit log without a line of lfr-edge's own code.
//
//	verifier-go [-key device.vkey] FOLDER            check a log, or a box: its device log and every deployment
//	verifier-go [-key device.vkey] -proof FILE LOG   check one entry's proof; only LOG/key.cert is read
//	verifier-go [-key device.vkey] -trials LOG       try edits from standard input on a copy in memory
//	verifier-go [-key device.vkey] -folders          check each folder that standard input names
//
// It is built from Debian's golang-go and golang-golang-x-mod-dev; signatures, trees and proofs are those of
// golang.org/x/mod/sumdb. Exit status: 0 nothing altered, 1 altered, 3 unreadable.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	keyFile := flag.String("key", "", "the device's public key; LOG/device.vkey if not given")
	proofFile := flag.String("proof", "", "check this proof of one entry")
	trials := flag.Bool("trials", false, "for each line FILE START STOP HEX on standard input, put HEX (- for nothing) in the place of those bytes and print 0 or 1")
	every := flag.Int64("every", 0, "with -trials: go on from a state kept before every so many entries; 0 checks the whole each time")
	whole := flag.Int("whole", 100, "with -every: after every so many trials check the whole, too")
	folders := flag.Bool("folders", false, "for each line of standard input, check the folder it names and print its exit status")
	flag.Parse()
	if flag.NArg() != 1 && !*folders {
		fmt.Fprintln(os.Stderr, "give the folder of one log, or of a box")
		os.Exit(3)
	}
	var given []byte
	if *keyFile != "" {
		raw, err := os.ReadFile(*keyFile)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		given = raw
	}
	var err error
	switch {
	case *proofFile != "":
		err = checkProof(readFolder(flag.Arg(0)), given, *proofFile)
	case *trials:
		err = try(readFolder(flag.Arg(0)), given, *every, *whole)
	case *folders:
		err = each(given)
	default:
		status, said := verdict(flag.Arg(0), given)
		fmt.Println(said)
		os.Exit(status)
	}
	if err != nil {
		fmt.Println("ALTERED:", err)
		os.Exit(1)
	}
}

// verdict checks a log or a box and says what a person reads.
func verdict(path string, given []byte) (int, string) {
	files := readFolder(path)
	if _, found := files["entries.lfr"]; found {
		l, err := check(files, given)
		if err != nil {
			return 1, "ALTERED: " + err.Error()
		}
		return 0, l.intact()
	}
	if _, err := os.Stat(filepath.Join(path, deviceLog, "entries.lfr")); err != nil {
		return 3, "entries.lfr is missing"
	}
	said, wrong := checkBox(path, given)
	if len(wrong) > 0 {
		return 1, "ALTERED: " + strings.Join(wrong, "\nALTERED: ")
	}
	return 0, strings.Join(said, "\n")
}

// each gives the verdict on one folder after the other.
func each(given []byte) error {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		status, _ := verdict(lines.Text(), given)
		fmt.Println(status)
	}
	return lines.Err()
}
