package policy

// Stripe cuts every chunk into as many equal parts as it has holders and asks each holder
// for one, as RAID 0 and download accelerators do.
//
// All links are used for every chunk, so that on equal ones a chunk comes three times as
// fast as from one store, and the first picture with it.
//
// A chunk is there when its last part is, so the slowest holder decides when every chunk
// comes. Parts at silent stores are asked of another holder after max(3 PTO, 200 ms), as by
// RoundRobin. A fixed cut knows no rates; Smart cuts as the stores deliver.
type Stripe struct{ whole }

// NewStripe makes the policy.
func NewStripe() Stripe { return Stripe{whole{"stripe", pickSimple}} }

// Decide implements Policy.
func (s Stripe) Decide(v View) Decision {
	for i := range v.Pieces {
		p := &v.Pieces[i]
		if len(p.Running) > 0 || p.Whole || p.Need > 1 {
			continue
		}
		if n, best := s.cut(&v, p); n > 0 {
			d := Decision{Actions: []Action{{Kind: Start, Piece: p.ID, Store: best, From: p.From, Length: n, Urgency: UrgencyDefault}}}
			return d // the rest is another piece then
		}
	}
	return s.whole.Decide(v)
}

// cut is the length of the piece's next part and who brings it; 0 leaves it to whole.
func (Stripe) cut(v *View, p *Piece) (int64, int) {
	reachable := best(v, p.Holders)
	if len(reachable) < 2 {
		return 0, 0
	}
	part := (p.Size + int64(len(reachable)) - 1) / int64(len(reachable))
	part = (part + p.Grain - 1) / p.Grain * p.Grain
	turn := (p.From/part + int64(p.Chunk)) % int64(len(reachable))
	return min(part-p.From%part, p.Left()), reachable[turn]
}
