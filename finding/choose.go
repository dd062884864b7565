package finding

import "slices"

// Choose returns the IDs of the remedies that the findings ask for, out of those
// that can be carried out: the gravest finding's first. found is what [Judge] made of
// the facts.
//
// Of each finding that nothing chosen before answers, the remedy that is preferred is
// taken; one without a hazard is taken in any case. A finding of severity Info is no
// reason to take a hazard, unless no socket was seen: whoever asks for a remedy of
// settings alone does so because ports run short.
func (f *Facts) Choose(found []Finding, can []string) []string {
	var out []string
	for i := range found {
		if found[i].MootBy != "" {
			continue
		}
		answered := slices.ContainsFunc(found[i].Remedies, func(m Remedy) bool { return slices.Contains(out, m.ID) })
		hazards := found[i].Severity != Info || f.SettingsOnly
		for k := range found[i].Remedies {
			m := &found[i].Remedies[k]
			if m.Command == "" || !slices.Contains(can, m.ID) || slices.Contains(out, m.ID) {
				continue
			}
			if m.Hazard == "" || hazards && !answered {
				out, answered = append(out, m.ID), true
			}
		}
	}
	return out
}

// Unanswered is the first finding, not of severity Info, that none of the remedies
// answers; nil when there is none.
func Unanswered(found []Finding, chosen []string) *Finding {
	for i := range found {
		if found[i].MootBy != "" || found[i].Severity == Info {
			continue
		}
		if !slices.ContainsFunc(found[i].Remedies, func(m Remedy) bool { return slices.Contains(chosen, m.ID) }) {
			return &found[i]
		}
	}
	return nil
}
