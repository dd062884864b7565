package hive

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/portroom/portroom/registry"
)

// maxDepth is how many keys may lie one below the other, as in Windows ("Registry
// element size limits" of the Windows documentation).
const maxDepth = 512

// A Hive is a hive in memory. It is for one goroutine at a time.
type Hive struct {
	b        []byte // the base block, the bins, and what else the file had
	binsSize uint32
	used     marks // cells in use
	root     uint32
	minor    uint32
	unclean  error // why it may not be changed

	// From the first change on.
	free         *free
	keepSecurity bool            // no security descriptor is released
	unsorted     map[uint32]bool // keys whose lists of subkeys are not sorted
	undo         []saved
	released     []uint32 // cells that the change under way does not need any more
	edits        uint64   // changes made
	sealed       uint64   // changes made when the header was last written
}

var _ registry.Store = (*Hive)(nil)

var errClosed = errors.New("the hive is closed")

// Options are for those who want something else than most. The zero Options are
// those that most want.
type Options struct {
	// MaxSize is the size, in bytes, of the largest file that is read: all of it is
	// held in memory. 0 is [MaxSize], the bound of the format itself.
	MaxSize int64
	// Minor is the version of the hive that [Create] makes, 3 to 6 for 1.3 to 1.6.
	// 0 is 5, which Windows XP and all later ones read; NT 4.0 and 2000 read 3.
	Minor int
	// Root is the name that Create gives the root key. "" is ROOT.
	Root string
}

func (o Options) maxSize() int64 {
	if o.MaxSize <= 0 || o.MaxSize > MaxSize {
		return MaxSize
	}
	return o.MaxSize
}

// Parse reads a hive from the bytes of its file, which the hive owns from then on.
// Errors are [ErrNotHive], a [VersionError] or a [FormatError]. That Windows was not
// finished with it is no error here: see [Hive.Unclean].
func Parse(b []byte, o Options) (*Hive, error) {
	if int64(len(b)) > o.maxSize() {
		return nil, tooLarge(o)
	}
	if len(b) < baseSize {
		return nil, short(b)
	}
	if err := checkBase(b); err != nil {
		return nil, err
	}
	h := &Hive{b: b, binsSize: get32(b, atBinsSize), root: get32(b, atRoot), minor: get32(b, atMinor)}
	if int64(h.binsSize) > int64(len(b)-baseSize) {
		return nil, &FormatError{int64(len(b)), fmt.Sprintf("the file ends before its bins, which are %d bytes long: it is cut off", h.binsSize)}
	}
	if p, s := get32(b, atPrimary), get32(b, atSecondary); p != s {
		h.unclean = &DirtyError{p, s}
	}
	if err := h.walkBins(); err != nil {
		return nil, err
	}
	if _, err := h.rootKey(); err != nil {
		return nil, err
	}
	return h, nil
}

// short is the error of a file that has no room for a header.
func short(b []byte) error {
	if len(b) < 4 || string(b[:4]) != "regf" {
		return ErrNotHive
	}
	return &FormatError{int64(len(b)), "the file ends within its header: it is cut off"}
}

func tooLarge(o Options) error {
	return fmt.Errorf("hive larger than %d bytes, which is the most that is read", o.maxSize())
}

func (h *Hive) bins() []byte { return h.b[baseSize:][:h.binsSize] }

// Version is the version of the hive's format, 3 for 1.3.
func (h *Hive) Version() int { return int(h.minor) }

// Unclean says why the hive may not be changed, nil if it may: a [DirtyError],
// [LogsError], [HibernatedError] or what was wrong as these were looked for. What is
// read from such a hive may be older than what that Windows would see.
func (h *Hive) Unclean() error { return h.unclean }

// Bytes returns the hive as it would be in a file. It is not to be changed, and good
// until the next change of the hive.
func (h *Hive) Bytes() []byte {
	h.seal()
	return h.b
}

func (h *Hive) rootKey() (key, error) {
	if h.root%8 != 0 || h.root >= h.binsSize || !h.used.has(h.root) {
		return key{}, &FormatError{atRoot, fmt.Sprintf("the root key is said to be at %#x, where no cell in use begins", h.root)}
	}
	return h.key(h.root, h.root)
}

// locate returns the key at a path and how far the path exists: all of its names if
// the key is there.
func (h *Hive) locate(names []string) (key, int, error) {
	if h.b == nil {
		return key{}, 0, errClosed
	}
	k, err := h.rootKey()
	if err != nil {
		return key{}, 0, err
	}
	for i, s := range names {
		n, ok := encodeName(s)
		if !ok || i == maxDepth {
			return k, i, nil
		}
		c, ok, err := h.lookup(k, n)
		if err != nil || !ok {
			return k, i, err
		}
		k = c
	}
	return k, len(names), nil
}

// open returns the key at a path. The error says what was done, and where.
func (h *Hive) open(path string) (key, error) {
	names := registry.Split(path)
	k, n, err := h.locate(names)
	if err != nil {
		return key{}, err
	}
	if n < len(names) {
		return key{}, registry.NoKey(path)
	}
	return k, nil
}

// within says which key an error is about.
func within(path string, err error) error {
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(registry.Split(path)) == 0 {
		return fmt.Errorf("the root key: %w", err)
	}
	return fmt.Errorf("key %q: %w", path, err)
}

// Keys returns the names of the keys directly below a key, sorted as Windows does.
func (h *Hive) Keys(path string) ([]string, error) {
	list, err := h.keys(path)
	return list, within(path, err)
}

func (h *Hive) keys(path string) ([]string, error) {
	k, err := h.open(path)
	if err != nil {
		return nil, err
	}
	all, err := h.leaves(k)
	if err != nil {
		return nil, err
	}
	list := make([]string, 0, k.get(nkSubkeys))
	offs := make([]uint32, 0, cap(list))
	for _, l := range all {
		for i := range l.n {
			c, err := h.child(k, l, i)
			if err != nil {
				return nil, err
			}
			offs = append(offs, c.off)
		}
	}
	if c, twice := repeated(offs); twice {
		return nil, h.bad(c, "the key is twice in the list of the one above")
	}
	for _, off := range offs {
		list = append(list, key{off, h.at(off)}.name().String())
	}
	return list, nil
}

// repeated returns an offset that is in the list twice.
func repeated(offs []uint32) (uint32, bool) {
	sorted := slices.Clone(offs)
	slices.Sort(sorted)
	for i := 1; i < len(sorted); i++ {
		if sorted[i] == sorted[i-1] {
			return sorted[i], true
		}
	}
	return 0, false
}

// Values returns the values of a key, in the order in which the hive has them.
func (h *Hive) Values(path string) ([]registry.Value, error) {
	list, err := h.values(path)
	return list, within(path, err)
}

func (h *Hive) values(path string) ([]registry.Value, error) {
	k, err := h.open(path)
	if err != nil {
		return nil, err
	}
	offs, err := h.valueList(k)
	if err != nil {
		return nil, err
	}
	list := make([]registry.Value, 0, len(offs)/4)
	var sum int64
	for i := 0; i < len(offs)/4; i++ {
		v, err := h.value(k.get(nkValueList), get32(offs, 4*i))
		if err != nil {
			return nil, err
		}
		// No cell belongs to two values. If some do, the sum tells before memory is
		// taken for it.
		if sum += int64(len(v.b)) + int64(v.get(vkSize)&^inline); sum > int64(h.binsSize) {
			return nil, h.bad(k.off, "the values of the key are together larger than the hive")
		}
		c, err := h.content(v)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// Get returns one value of a key.
func (h *Hive) Get(path, name string) (registry.Value, error) {
	v, err := h.get(path, name)
	return v, within(path, err)
}

func (h *Hive) get(path, name string) (registry.Value, error) {
	k, err := h.open(path)
	if err != nil {
		return registry.Value{}, err
	}
	n, ok := encodeName(name)
	if !ok {
		return registry.Value{}, registry.NoValue(path, name)
	}
	v, _, ok, err := h.find(k, n)
	if err != nil {
		return registry.Value{}, err
	}
	if !ok {
		return registry.Value{}, registry.NoValue(path, name)
	}
	return h.content(v)
}

// Flush does nothing: a Hive has no file.
func (h *Hive) Flush() error { return nil }

// Close lets go of the hive's memory.
func (h *Hive) Close() error {
	*h = Hive{}
	return nil
}
