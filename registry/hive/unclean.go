package hive

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// findUnclean looks around a hive's file for what forbids to change it.
func findUnclean(path string, sequence uint32) error {
	dir, base := filepath.Split(path)
	entries, err := os.ReadDir(filepath.Clean(dir))
	if err != nil {
		return fmt.Errorf("look for the hive's logs: %w", err)
	}
	for _, e := range entries {
		for _, end := range []string{".LOG", ".LOG1", ".LOG2"} {
			if !strings.EqualFold(e.Name(), base+end) {
				continue
			}
			log := filepath.Join(dir, e.Name())
			last, ok, err := lastLogged(log)
			if err != nil {
				return fmt.Errorf("look at the hive's log: %w", err)
			}
			if ok && newer(last, sequence) {
				return &LogsError{Log: log, Sequence: last, Hive: sequence}
			}
		}
	}
	return findHibernated(dir)
}

// newer compares sequence numbers, which may wrap around.
func newer(a, b uint32) bool { return int32(a-b) > 0 }

// lastLogged returns the number that a hive would have if the last change in a log
// were replayed, and whether there is a change in it that could be.
//
// Logs are not emptied when the hive has their changes, and Windows replays them only
// into a hive whose sequence numbers differ. A log that is newer than a hive whose
// numbers agree is there after a crash in the moment between the writing of both, or
// beside a copy that was put back.
func lastLogged(path string) (uint32, bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	base := make([]byte, baseSize)
	switch n, err := io.ReadFull(f, base); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		if n < 1024 {
			return 0, false, nil // empty or too short for a change
		}
	case err != nil:
		return 0, false, err
	}
	if string(base[:4]) != "regf" || get32(base, atChecksum) != checksum(base) || get32(base, atPrimary) != get32(base, atSecondary) {
		return 0, false, nil // not complete: Windows would not use it
	}
	switch get32(base, atType) {
	case 1, 2: // until Windows 8: a map of the pages behind the first sector
		if sector := 512 * int(get32(base, atCluster)&7); string(base[512:516]) == "DIRT" || sector > 0 && string(base[sector:sector+4]) == "DIRT" {
			return get32(base, atPrimary), true, nil
		}
	case 6: // since Windows 8.1: entries behind the first sector
		return lastEntry(f)
	}
	return 0, false, nil
}

// lastEntry returns the number that the hive has after the last of a log's entries:
// each makes it one higher than its own number.
func lastEntry(f *os.File) (last uint32, ok bool, err error) {
	entry := make([]byte, 16)
	for at := int64(512); ; {
		_, err := f.ReadAt(entry, at)
		if errors.Is(err, io.EOF) {
			return last, ok, nil
		}
		if err != nil {
			return 0, false, err
		}
		size, number := get32(entry, 4), get32(entry, 12)
		if string(entry[:4]) != "HvLE" || size < 512 || size%512 != 0 || ok && number != last {
			return last, ok, nil // older entries may lie behind
		}
		last, ok = number+1, true
		at += int64(size)
	}
}

// findHibernated looks for a hibernated Windows on the volume of which dir is
// Windows\System32\config. Other folders, with copies of hives, are on no volume of
// theirs.
func findHibernated(dir string) error {
	config, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	system32 := filepath.Dir(config)
	if !strings.EqualFold(filepath.Base(config), "config") || !strings.EqualFold(filepath.Base(system32), "system32") {
		return nil
	}
	volume := filepath.Dir(filepath.Dir(system32))
	entries, err := os.ReadDir(volume)
	if err != nil {
		return fmt.Errorf("look for a hibernated Windows: %w", err)
	}
	for _, e := range entries {
		if !strings.EqualFold(e.Name(), "hiberfil.sys") {
			continue
		}
		path := filepath.Join(volume, e.Name())
		sleeps, err := hibernated(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("look whether Windows is hibernated: %w", err)
		}
		if sleeps {
			return &HibernatedError{File: path}
		}
	}
	return nil
}

// hibernated reports whether the file holds a sleeping Windows, by the rule of
// ntfs-3g (ntfs_volume_check_hiberfile): its header, of a page, says so, or the file
// is shorter than one, as on the volumes besides that of Windows. A resumption that
// was begun and not finished ("rstr") can still be taken up again.
func hibernated(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	header := make([]byte, page)
	if _, err := io.ReadFull(f, header); err != nil {
		short := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if short {
			err = nil
		}
		return short, err
	}
	switch strings.ToLower(string(header[:4])) {
	case "hibr", "rstr":
		return true, nil
	}
	return false, nil
}
