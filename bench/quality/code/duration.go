package duration

import (
	"fmt"
	"strings"
	"unicode"
)

var unitSeconds = map[string]int64{
	"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800,
}

// Parse reads texts such as "1w 2d", "90m" or "1h30m" and returns seconds.
func Parse(text string) (int64, error) {
	var total, number int64
	digits := false
	var unit strings.Builder
	flush := func() error {
		if !digits {
			return fmt.Errorf("duration: no number before %q", unit.String())
		}
		factor, ok := unitSeconds[unit.String()]
		if !ok {
			return fmt.Errorf("duration: unknown unit %q", unit.String())
		}
		total += number * factor
		number, digits = 0, false
		unit.Reset()
		return nil
	}
	for _, r := range text {
		switch {
		case unicode.IsDigit(r):
			if unit.Len() > 0 {
				if err := flush(); err != nil {
					return 0, err
				}
			}
			number, digits = number*10+int64(r-'0'), true
		case unicode.IsLetter(r):
			unit.WriteRune(unicode.ToLower(r))
		}
	}
	if unit.Len() > 0 || digits {
		if err := flush(); err != nil {
			return 0, err
		}
	}
	return total, nil
}

// Format is the inverse of Parse with at most two units.
func Format(seconds int64) string {
	var parts []string
	for _, unit := range []string{"w", "d", "h", "m", "s"} {
		n := seconds / unitSeconds[unit]
		if n > 0 && len(parts) < 2 {
			parts = append(parts, fmt.Sprintf("%d%s", n, unit))
			seconds -= n * unitSeconds[unit]
		}
	}
	return strings.Join(parts, " ")
}
