package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"sort"
	"strconv"
)

const (
	integerMax = 1<<53 - 1
	levelsMax  = 32 // d is the first
)

var integer = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,15})$`)

type entry struct {
	dep, ev, ref string
	seq          int64
	d            map[string]any
}

// parseEntry reads an entry and insists that its bytes are the canonical ones of RFC 8785 and its members those of
// format 1. What a verb means is not its business.
func parseEntry(body []byte) (entry, error) {
	var e entry
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var raw any
	if err := decoder.Decode(&raw); err != nil {
		return e, err
	}
	again, err := canonical(nil, raw, 0)
	if err != nil || !bytes.Equal(again, body) {
		return e, errors.New("the bytes are not canonical JSON")
	}
	members, _ := raw.(map[string]any)
	actor, _ := members["actor"].(map[string]any)
	d, isObject := members["d"].(map[string]any)
	if len(members) != 12 || len(actor) != 3 || !isObject || members["v"] != json.Number("1") {
		return e, errors.New("not an entry of format 1")
	}
	texts := map[string]string{}
	for _, name := range []string{"dep", "boot_id", "t_src", "ev", "ref", "why"} {
		text, isText := members[name].(string)
		if !isText {
			return e, fmt.Errorf("%s is no string", name)
		}
		texts[name] = text
	}
	for _, name := range []string{"account", "role", "session"} {
		if _, isText := actor[name].(string); !isText {
			return e, fmt.Errorf("%s is no string", name)
		}
	}
	for _, name := range []string{"seq", "t_wall", "t_mono_ns"} {
		count, isNumber := members[name].(json.Number)
		if !isNumber || count[0] == '-' {
			return e, fmt.Errorf("%s is no count", name)
		}
	}
	seq, _ := members["seq"].(json.Number).Int64()
	return entry{texts["dep"], texts["ev"], texts["ref"], seq, d}, nil
}

// canonical appends the RFC 8785 form of a value without fractions to out.
func canonical(out []byte, value any, level int) ([]byte, error) {
	var err error
	if level > levelsMax {
		return nil, errors.New("too many levels")
	}
	switch v := value.(type) {
	case nil:
		return append(out, "null"...), nil
	case bool:
		return strconv.AppendBool(out, v), nil
	case string:
		return quoted(out, v), nil
	case json.Number:
		n, bad := strconv.ParseInt(string(v), 10, 64)
		if bad != nil || !integer.MatchString(string(v)) || n > integerMax || n < -integerMax {
			return nil, errors.New("not an integer of 53 bits")
		}
		return append(out, v...), nil
	case []any:
		out = append(out, '[')
		for i, item := range v {
			if i > 0 {
				out = append(out, ',')
			}
			if out, err = canonical(out, item, level+1); err != nil {
				return nil, err
			}
		}
		return append(out, ']'), nil
	}
	object := value.(map[string]any)
	names := make([]string, 0, len(object))
	for name := range object {
		names = append(names, name)
	}
	sort.Strings(names)
	out = append(out, '{')
	for i, name := range names {
		if i > 0 {
			out = append(out, ',')
		}
		if out, err = canonical(append(quoted(out, name), ':'), object[name], level+1); err != nil {
			return nil, err
		}
	}
	return append(out, '}'), nil
}

func quoted(out []byte, text string) []byte {
	out = append(out, '"')
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c >= ' ':
			out = append(out, c)
		default:
			if short := "btn\x00fr"; c >= '\b' && c <= '\r' && c != '\v' {
				out = append(out, '\\', short[c-'\b'])
			} else {
				out = append(out, fmt.Sprintf(`\u%04x`, c)...)
			}
		}
	}
	return append(out, '"')
}
