package superblock

import "github.com/vstack/vstack/datanode/superblock/finding"

// Losses are the places where records are missing.
func (s *Store) Losses() []finding.Place { return s.findings.Places() }

// SettleLost notes, durably, that the log has taken in the losses of these places: the
// caller has appended what follows from them. Damage stays in its file and every Open finds
// it again; from now on that is no new loss.
func (s *Store) SettleLost(places []finding.Place) error {
	return finding.Settle(s.cfg.FS, s.cfg.Dir, places)
}
