package nt

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/portroom/portroom/port"
	"github.com/portroom/portroom/socket"
)

// netsh answers in the language and the code page of the display. What is the
// same in all of them is the layout: a rule of hyphens, and below it lines of
// ASCII digits. Everything above the rule, and every word, is passed over. No byte
// of a character of Shift JIS, GBK, Big5 or the Korean code page is a digit, a
// hyphen or a blank.

// mostNetsh is the longest answer that is looked at: 65,536 ranges of 40 bytes
// would be longer, but ranges that do not overlap and that someone made are not.
const mostNetsh = 1 << 20

// ErrSilent says that netsh ended well and said nothing, as it does where it
// cannot do what it was asked for.
var ErrSilent = errors.New("netsh said nothing")

// DynamicArgs are the arguments that make netsh show a dynamic range.
func DynamicArgs(p socket.Proto, f Family) []string {
	return []string{"interface", f.String(), "show", "dynamicport", p.String()}
}

// SetDynamicArgs are the arguments that make netsh set a dynamic range, at once and
// for good (KB 929851).
func SetDynamicArgs(d DynamicRange) []string {
	return []string{
		"interface", d.Family.String(), "set", "dynamicport", d.Proto.String(),
		fmt.Sprintf("start=%d", d.First), fmt.Sprintf("num=%d", d.Count),
	}
}

// ExcludedArgs are the arguments that make netsh show the excluded ranges.
func ExcludedArgs(p socket.Proto, f Family) []string {
	return []string{"interface", f.String(), "show", "excludedportrange", "protocol=" + p.String()}
}

// ParseDynamic reads what `netsh interface ipv4 show dynamicport tcp` printed, in
// any language: below the rule the first port and the number of ports, in this
// order. An empty answer is [ErrSilent].
func ParseDynamic(text []byte, p socket.Proto, f Family) (DynamicRange, error) {
	lines, err := belowRule(text)
	if err != nil {
		return DynamicRange{}, err
	}
	var numbers []int
	for _, line := range lines {
		if n, ok := lastNumber(line); ok {
			numbers = append(numbers, n)
		} else if len(line) > 0 {
			return DynamicRange{}, strange(line)
		}
		if len(numbers) > 2 {
			return DynamicRange{}, strange(line)
		}
	}
	if len(numbers) != 2 {
		return DynamicRange{}, fmt.Errorf("%d numbers below the rule: want the first port and the number of ports", len(numbers))
	}
	if numbers[0] < 1 || numbers[0] > 65535 {
		return DynamicRange{}, fmt.Errorf("%d is no first port: want 1 to 65535", numbers[0])
	}
	d := DynamicRange{Proto: p, Family: f, First: uint16(numbers[0]), Count: numbers[1]}
	if _, err := d.Range(); err != nil {
		return DynamicRange{}, err
	}
	return d, nil
}

// ParseExcluded reads what `netsh interface ipv4 show excludedportrange
// protocol=tcp` printed, in any language: below the rule lines of two ports, with
// "*" where an administrator or a program made the range; then text. No line is no
// range; an empty answer is [ErrSilent].
func ParseExcluded(text []byte, p socket.Proto, f Family) ([]Excluded, error) {
	lines, err := belowRule(text)
	if err != nil {
		return nil, err
	}
	var list []Excluded
	for _, line := range lines {
		// A line may be blank to Fields, which knows more blanks than netsh prints.
		fields := strings.Fields(string(line))
		if len(fields) == 0 {
			continue
		}
		first, err := strconv.Atoi(fields[0])
		if err != nil {
			break // the legend
		}
		e := Excluded{Proto: p, Family: f, Administered: len(fields) == 3 && fields[2] == "*"}
		if len(fields) < 2 || len(fields) > 3 || len(fields) == 3 && !e.Administered {
			return nil, strange(line)
		}
		last, err := strconv.Atoi(fields[1])
		if err != nil || first < 0 || last > 65535 || first > last {
			return nil, strange(line)
		}
		e.First, e.Last = uint16(first), uint16(last)
		list = append(list, e)
	}
	return list, nil
}

// belowRule returns the lines after the first that consists of hyphens and
// blanks, without blanks at their ends.
func belowRule(text []byte) ([][]byte, error) {
	if len(text) > mostNetsh {
		return nil, fmt.Errorf("the answer is longer than %d bytes", mostNetsh)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, ErrSilent
	}
	var out [][]byte
	below := false
	for line := range bytes.Lines(text) {
		line = bytes.Trim(line, " \t\r\n")
		if below {
			out = append(out, line)
		} else {
			below = isRule(line)
		}
	}
	if !below {
		return nil, strange(bytes.TrimSpace(text))
	}
	return out, nil
}

func isRule(line []byte) bool {
	return len(line) >= 5 && len(bytes.Trim(line, "- ")) == 0 && bytes.Count(line, []byte("-")) >= 5
}

// lastNumber reads the digits at the end of a line that names something before.
func lastNumber(line []byte) (int, bool) {
	i := len(line)
	for i > 0 && '0' <= line[i-1] && line[i-1] <= '9' {
		i--
	}
	if i == len(line) || i == 0 {
		return 0, false
	}
	n, err := strconv.Atoi(string(line[i:]))
	return n, err == nil
}

// strange is the error about an answer that is not understood. Bytes that are not
// ASCII are of an unknown code page and are not repeated.
func strange(line []byte) error {
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, string(line[:min(len(line), 80)]))
	return fmt.Errorf("the answer %q is not understood: want what netsh of Windows Vista and later prints", text)
}

// ExcludedSet returns the excluded ports of one protocol and family.
func ExcludedSet(list []Excluded, p socket.Proto, f Family) (s port.Set) {
	for _, e := range list {
		if e.Proto == p && e.Family == f && e.First <= e.Last {
			s.AddRange(port.Range{First: e.First, Last: e.Last})
		}
	}
	return s
}
