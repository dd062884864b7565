package record

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/portroom/portroom/finding"
	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/socket"
)

// writing is a sample on its way into the record.
type writing struct {
	*Recorder
	id    int64 // of the sample
	now   int64 // its time in milliseconds
	whole bool
	exact bool // each change of a pool is kept
	most  int  // pools of a namespace that are kept apart
}

// namespaceRow is a row of netns_sample.
type namespaceRow struct {
	first, last, blocked     int
	by                       string
	pools, others, held      int
	status, verdict, limited string
}

func (w *writing) namespace(n *Namespace) error {
	s, err := w.stateOf(n.ID, n.Label)
	if err != nil {
		return err
	}
	fresh := s.seen == 0
	s.seen = w.id
	by, err := json.Marshal(n.Blocked)
	if err != nil {
		return err
	}
	row := namespaceRow{
		first: int(n.Range.First), last: int(n.Range.Last), blocked: n.Blocked.Total, by: string(by),
		pools: len(n.Pools), status: n.Status, verdict: n.Verdict, limited: n.Limited,
	}
	kept := n.Pools
	if len(kept) > w.most {
		for i := range kept[w.most:] {
			row.held += kept[w.most+i].Held
		}
		row.others = len(kept) - w.most
		kept = kept[:w.most]
	}
	if w.whole || fresh || w.changed(&s.row, &row) {
		if err := w.insert(w.stmt.namespace, w.id, s.id, true, row.first, row.last, row.blocked, row.by,
			row.pools, row.others, row.held, row.status, row.verdict, row.limited); err != nil {
			return err
		}
		s.row = row
	}
	for i := range kept {
		if err := w.pool(s, &kept[i], n.Holders); err != nil {
			return err
		}
	}
	if err := w.emptied(s); err != nil {
		return err
	}
	if err := w.settings(s, n.Settings); err != nil {
		return err
	}
	return w.findings(s, n)
}

// changed reports whether a namespace differs in more than what its pools say
// themselves.
func (w *writing) changed(old, now *namespaceRow) bool {
	o, n := *old, *now
	if !w.exact {
		o.held, o.verdict, o.pools, o.others = n.held, n.verdict, n.pools, n.others
		if old.pools > 2*now.pools || now.pools > 2*old.pools {
			return true
		}
	}
	return o != n
}

// stateOf returns what is known of a namespace.
func (w *writing) stateOf(inode uint64, label string) (*namespaceState, error) {
	s := w.known.namespaces[inode]
	if s != nil && s.label == label {
		return s, nil
	}
	id, err := w.idOf(w.stmt.netnsID, int64(inode), label)
	if err != nil {
		return nil, err
	}
	if s != nil { // the same with another name
		if err := w.leave(s); err != nil {
			return nil, err
		}
	}
	s = &namespaceState{id: id, label: label, pools: make(map[pool.Key]*poolState), findings: make(map[string]*findingState)}
	if s.settings, err = w.lastSettings(id); err != nil {
		return nil, err
	}
	w.known.namespaces[inode] = s
	return s, nil
}

// lastSettings returns what the record last said that a namespace is set to, also
// before this run.
func (w *writing) lastSettings(id int64) (map[string]string, error) {
	rows, err := w.conn.QueryContext(ctx, "SELECT name, value, max(sample) FROM setting WHERE netns = ? GROUP BY name", id)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // Err says what went wrong
	last := make(map[string]string)
	for rows.Next() {
		var name, value string
		var sample int64
		if err := rows.Scan(&name, &value, &sample); err != nil {
			return nil, err
		}
		last[name] = value
	}
	return last, rows.Err()
}

// vanished writes the end of the namespaces that are no longer there.
func (w *writing) vanished() error {
	for inode, s := range w.known.namespaces {
		if s.seen == w.id {
			continue
		}
		if err := w.leave(s); err != nil {
			return err
		}
		delete(w.known.namespaces, inode)
	}
	return nil
}

// leave writes the end of a namespace and of what was in it.
func (w *writing) leave(s *namespaceState) error {
	if s.seen == 0 {
		return nil
	}
	if err := w.emptied(s); err != nil {
		return err
	}
	if w.whole {
		return nil // what a whole sample does not name is not there
	}
	return w.insert(w.stmt.namespace, w.id, s.id, false, 0, 0, 0, "{}", 0, 0, 0, "", "", "")
}

func (w *writing) settings(s *namespaceState, list []Setting) error {
	for _, set := range list {
		old, known := s.settings[set.Name]
		var before any
		if known && old != set.Value {
			before = old
		}
		if !w.whole && known && before == nil {
			continue
		}
		if err := w.insert(w.stmt.setting, w.id, s.id, set.Name, set.Value, before); err != nil {
			return err
		}
		s.settings[set.Name] = set.Value
	}
	return nil
}

// findingState is a finding as the record has it.
type findingState struct {
	finding finding.Finding
	written int64 // milliseconds
}

// stale is after how long a change that is small is written, in milliseconds.
const stale = 60_000

func (w *writing) findings(s *namespaceState, n *Namespace) error {
	if !n.Judged {
		if w.whole {
			for _, code := range slices.Sorted(maps.Keys(s.findings)) {
				if err := w.finding(s, &s.findings[code].finding); err != nil {
					return err
				}
			}
		}
		return nil
	}
	there := make(map[string]bool)
	for i := range n.Findings {
		f := &n.Findings[i]
		there[f.Code] = true
		old := s.findings[f.Code]
		same := old != nil && old.finding.Severity == f.Severity
		if !w.whole && same && (old.finding.Title == f.Title && slices.Equal(old.finding.Evidence, f.Evidence) || w.now-old.written < stale) {
			continue
		}
		if err := w.finding(s, f); err != nil {
			return err
		}
		s.findings[f.Code] = &findingState{*f, w.now}
	}
	for code, old := range s.findings {
		if there[code] {
			continue
		}
		delete(s.findings, code)
		if w.whole {
			continue
		}
		if err := w.insert(w.stmt.finding, w.id, s.id, code, false, old.finding.Name, old.finding.Severity.String(), old.finding.Title, "[]", "[]"); err != nil {
			return err
		}
	}
	return nil
}

func (w *writing) finding(s *namespaceState, f *finding.Finding) error {
	evidence, remedies, err := columnsOf(f)
	if err != nil {
		return err
	}
	return w.insert(w.stmt.finding, w.id, s.id, f.Code, true, f.Name, f.Severity.String(), f.Title, evidence, remedies)
}

func (w *writing) refusal(f *Refusal) error {
	s := w.known.namespaces[f.Netns]
	var netns int64
	var err error
	if s != nil {
		netns = s.id
	} else if netns, err = w.idOf(w.stmt.netnsID, int64(f.Netns), f.Label); err != nil {
		return err
	}
	var id int64
	if s != nil && s.pools[f.Key] != nil {
		id = s.pools[f.Key].id
	}
	if id == 0 {
		if id, err = w.poolID(netns, f.Key); err != nil {
			return err
		}
		if _, err := w.stmt.ended.ExecContext(ctx, w.id, id); err != nil {
			return err
		}
	}
	process, err := w.process(f.Process)
	if err != nil {
		return err
	}
	return w.insert(w.stmt.refusal, w.id, id, process, f.Errno, f.Reason, f.Count)
}

func (w *writing) poolID(netns int64, k pool.Key) (int64, error) {
	return w.idOf(w.stmt.poolID, netns, k.Proto.String(), k.Src.String(), dstText(k), k.Ifindex)
}

// process returns the id of a process.
func (w *writing) process(p Process) (int64, error) {
	if id, ok := w.known.processes[p]; ok {
		return id, nil
	}
	id, err := w.idOf(w.stmt.processID, p.PID, p.Command, p.Cgroup)
	if err != nil {
		return 0, err
	}
	const most = 4096
	w.bounds.processes++
	if len(w.known.processes) >= most {
		clear(w.known.processes)
	}
	w.known.processes[p] = id
	return id, nil
}

// dstText writes a destination as everywhere in portroom: "*" where one pool serves
// all.
func dstText(k pool.Key) string {
	if !k.Dst.IsValid() {
		return "*"
	}
	return k.Dst.String()
}

// finWait are the states of a connection that is being closed, TIME_WAIT not
// included.
var finWait = []socket.State{socket.FinWait1, socket.FinWait2, socket.Closing, socket.LastAck}
