package cli

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/portroom/portroom/remedy"
)

const confirmLong = `Keep the changes that were made with --rollback-after. Without it they are undone
when their time is over.

EXIT STATUS
  0   they are kept
  3   there was none to keep, or the journal could not be written
  64  wrong usage`

func (a *app) confirmCommand() *cobra.Command {
	f := new(changeFlags)
	c := &cobra.Command{
		Use:     "confirm",
		Short:   "Keep what fix or set --rollback-after changed",
		Long:    confirmLong,
		Example: "  portroom confirm",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if f.stateDir, err = filepath.Abs(f.stateDir); err != nil {
				return err
			}
			j, err := remedy.Open(a.journalOptions(cmd.Context(), f))
			if err != nil {
				return err
			}
			defer func() {
				if e := j.Close(); err == nil {
					err = e
				}
			}()
			ids, err := j.Confirm()
			if err != nil {
				return err
			}
			if len(ids) == 0 {
				return fmt.Errorf("there is nothing to confirm: no change in %s waits for it; portroom undo --list says what became of each", f.stateDir)
			}
			if a.json {
				return printJSON(a.stdout, confirmJSON{ids})
			}
			var texts []string
			for _, id := range ids {
				texts = append(texts, strconv.Itoa(id))
			}
			_, err = fmt.Fprintf(a.stdout, "kept: change %s\n", strings.Join(texts, ", "))
			return err
		},
	}
	f.addState(c)
	return c
}

type confirmJSON struct {
	Confirmed []int `json:"confirmed"`
}
