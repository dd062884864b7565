package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// sizeValue is a flag that takes a number of bytes.
type sizeValue int64

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}}

func (v *sizeValue) Set(s string) error {
	unit, text := int64(1), s
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(s, u.suffix); ok {
			unit, text = u.bytes, strings.TrimSpace(rest)
			break
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n <= 0 || n*float64(unit) > 1<<50 {
		return fmt.Errorf("%q is no size: want one such as 256MiB or 1GiB", s)
	}
	*v = sizeValue(n * float64(unit))
	return nil
}

func (v *sizeValue) String() string { return sizeText(int64(*v)) }

func (*sizeValue) Type() string { return "size" }

// sizeText writes a number of bytes in the largest unit that keeps it whole, or with
// one decimal.
func sizeText(n int64) string {
	for i := 3; i >= 0; i-- {
		u := sizeUnits[i]
		if n >= u.bytes {
			return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/float64(u.bytes)), ".0") + u.suffix
		}
	}
	return fmt.Sprintf("%dB", n)
}

// spanValue is a flag that takes a duration, days and weeks too.
type spanValue time.Duration

func (v *spanValue) Set(s string) error {
	d, err := parseSpan(s)
	if err != nil {
		return err
	}
	*v = spanValue(d)
	return nil
}

func (v *spanValue) String() string { return spanText(time.Duration(*v)) }

func (*spanValue) Type() string { return "span" }

// parseSpan reads 14d, 2w, 36h or 1d12h.
func parseSpan(s string) (time.Duration, error) {
	bad := fmt.Errorf("%q is no length of time: want one such as 14d, 36h or 90m", s)
	var total time.Duration
	rest := s
	for _, u := range []struct {
		letter string
		length time.Duration
	}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}} {
		text, after, ok := strings.Cut(rest, u.letter)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return 0, bad
		}
		total, rest = total+time.Duration(n)*u.length, after
	}
	if rest != "" {
		d, err := time.ParseDuration(rest)
		if err != nil || d < 0 {
			return 0, bad
		}
		total += d
	}
	if total <= 0 {
		return 0, bad
	}
	return total, nil
}

// spanText writes it as parseSpan reads it.
func spanText(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = strings.TrimSuffix(s, zero[1:])
		}
	}
	return s
}
