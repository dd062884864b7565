package cli

import (
	"github.com/portroom/portroom/record"
)

// write writes the pictures and the report that were asked for.
func (f *historyFlags) write(s *record.Story, sum *record.Summary) error {
	return nil
}
