// This cluster's own votes: the newest slots of an upload that runs, as their acceptors answer.
import { usePoll } from "../live";
import { Badge, Region, useActions } from "../ui";

interface Acceptor { store: string; host: string; addr: string; promised: string; accepted: string; value: { chunk: string; size: number } | string; error?: string; }
interface Votes { upload?: string; video?: string; title?: string; slots: { slot: string; pg: number; epoch: number; chosen: boolean; acceptors: Acceptor[] | null }[]; }

// short leaves of a ballot what tells it from others: INCARNATION.ROUND and the end of who made it.
const short = (ballot: string) => ballot.replace(/^(\d+\.\d+)\.[0-9a-f-]*([0-9a-f]{4})$/, "$1.…$2");
const none = (ballot: string) => !ballot || /^0\.0\./.test(ballot) || ballot === "0";
const valueOf = (v: Acceptor["value"]) => (typeof v === "string" ? v.slice(0, 8) : v.chunk.slice(0, 8));

export function Now() {
  const may = useActions().length > 0; // the public gateway does not ask stores for votes
  const got = usePoll<Votes>(may ? "/v1/paxos/votes" : undefined, 1000);
  if (!may || !got.value) return null;
  const v = got.value;
  return (
    <section>
      <div class="row"><h2>This cluster, now</h2>{v.title && <Badge tone="good">{v.title}</Badge>}</div>
      {!v.slots.length ? <p class="soft">No upload runs. While one does, its newest slots stand here as their acceptors vote on them.</p> : (
        <Region label="Votes of this cluster">
          <table class="wide">
            <thead><tr><th>slot</th><th>group, epoch</th><th>first acceptor</th><th>second</th><th>third</th><th>so it is</th></tr></thead>
            <tbody>{v.slots.map((s) => (
              <tr key={s.slot}>
                <td>track {s.slot.split("/")[1]}, {s.slot.split("/")[2]}</td><td>{s.pg}, {s.epoch}</td>
                {(s.acceptors ?? []).map((a) => (
                  <td key={a.store}><span class="soft">{a.host} {a.addr}</span><br />
                    {a.error ? <span class="soft">{a.error.includes("UPLOAD_NOT_LIVE") ? "over" : "does not say"}</span>
                      : none(a.accepted) ? <span class="soft">{none(a.promised) ? "nothing yet" : "promised " + short(a.promised)}</span>
                      : <><code>{valueOf(a.value)}</code> at <code>{short(a.accepted)}</code></>}</td>
                ))}
                <td>{s.chosen ? <Badge tone="good">chosen</Badge> : <span class="soft">open</span>}</td>
              </tr>
            ))}</tbody>
          </table>
        </Region>
      )}
    </section>
  );
}
