package sim

import (
	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// Quote is a rule of docs/chunkpaxos.md, word for word, and the heading that it stands
// under.
type Quote struct {
	Heading string `json:"heading"`
	Text    string `json:"text"`
}

// quotes are held to the document by a test.
var quotes = map[string]Quote{
	"put":      {"ChunkPaxos", "The message that asks for a vote is the PUT of the chunk's bytes, so consensus adds no round trip and no fsync to a replicated write."},
	"vote":     {"Rules of an acceptor", "Bytes and vote are one append; then the acknowledgement with store id and LSN. Accepting raises the promise."},
	"accepted": {"Rules of a proposer", `"Accepted" is never "chosen": only a majority reporting the same ballot and value is.`},
	"last":     {"The fast path: 6 messages", "awaited a little (50 ms), then left"},
	"prepare":  {"Rules of a proposer", "Otherwise classic, with a ballot above every one used and seen."},
	"promise":  {"Words", "the lowest ballot that an acceptor still takes for a slot, for every slot of an upload"},
	"majority": {"Rules of a proposer", "A majority of promises: the value of the highest ballot is proposed, own bytes only if there is none."},
	"bytes":    {"Rules of an acceptor", "The bytes: verified by SHA-256, in the request or fetched from a peer. No slot is held while bytes travel; every check is made again after."},
	"stale":    {"Rules of an acceptor", "below max(promise, minimum, vote), `BALLOT_STALE`"},
	"taken":    {"Rules of an acceptor", "round 0 onto another value, `SLOT_CONFLICT`"},
	"refused":  {"Rules of an acceptor", "In this order, with the slot busy from the check to the acknowledgement"},
	"borne":    {"Rules of a proposer", "While a majority is possible, a refusal is borne."},
	"silence":  {"Messages", "whether the message took effect is then unknown, and the proposer goes on as after silence"},
	"chosen":   {"The fast path: 6 messages", "majority: chosen"},
	"conflict": {"The classic path: on any refusal, on silence, and for everyone who does not own round 0", "chosen; x is not our value: SLOT_CONFLICT"},
	"pause":    {"Rules of a proposer", "Between classic attempts a pause of 10 ms to 1 s, doubling and jittered; at most 16 attempts, then `NO_QUORUM`."},
	"start":    {"Rules of an acceptor", "Nothing is judged before the first echo came and the catalog is applied up to it, and up to the message's upload index."},
	"durable":  {"Invariants and how they are checked", "acknowledged means durable, with bytes, on two stores"},
	"monotone": {"Invariants and how they are checked", "promises are monotone, across crashes"},
}

// whySent explains a message that leaves.
func whySent(m message.Message, withBytes bool) string {
	switch m := m.(type) {
	case message.Prepare:
		return "prepare"
	case message.Accept:
		if m.Ballot.Round == 0 {
			return "put"
		}
		if withBytes {
			return "majority"
		}
		return "bytes"
	}
	return ""
}

// whyAnswered explains an answer.
func whyAnswered(r message.Reply) string {
	switch r := r.(type) {
	case message.Accepted:
		return "accepted"
	case message.Promise:
		return "majority"
	case message.Nack:
		switch r.Reason {
		case vstack.ErrBallotStale:
			return "stale"
		case vstack.ErrSlotConflict:
			return "taken"
		}
		return "refused"
	}
	return ""
}
