// Sessions that are dialled while a film is still asked for: what a page needs for that does not
// depend on the film.
import { Door, Store } from "./store";

// mostEarly is how many stores a cluster may have for all of them to be dialled early; of more it is
// not known which hold the film.
export const mostEarly = 12;
const unused = 10_000; // how long a session waits for a player, ms

export class Early {
  private stores = new Map<string, Store>();

  constructor(origin: string, private token: string) {
    if (!("WebTransport" in globalThis) || !globalThis.isSecureContext) return;
    setTimeout(() => this.close(), unused);
    void this.ask(origin);
  }

  private async ask(origin: string) {
    try {
      const answer = await fetch(origin + "/v1/webtransport?known=true", { referrerPolicy: "no-referrer" });
      if (!answer.ok) return;
      const list = ((await answer.json()) as { items: Door[] | null }).items ?? [];
      if (this.over || list.length > mostEarly) return;
      for (const d of list) {
        const s = new Store(d.store, "", "", d);
        s.token = this.token;
        this.stores.set(d.store, s);
        void s.dial();
      }
    } catch { /* the player dials itself */ }
  }
  private over = false;

  // take gives a store with its session to a player, if it was dialled with the same token.
  take(id: string, token: string): Store | undefined {
    const s = this.stores.get(id);
    if (!s || token !== this.token) return undefined;
    this.stores.delete(id);
    return s;
  }

  // close ends the sessions that nobody took.
  close() {
    this.over = true;
    for (const s of this.stores.values()) s.close();
    this.stores.clear();
  }
}
