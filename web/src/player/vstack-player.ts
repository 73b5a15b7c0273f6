// The player for other pages: a custom element, and what it is made of.
//
//   <script type="module" src="https://HOST:8888/assets/vstack-player.js"></script>
//   <vstack-player src="https://HOST:8888" video="ID" controls></vstack-player>
//
// A private film wants token="TOKEN"; another value goes on with that one.
import { Early } from "./early";
import { Data } from "./manifest";
import { canPlay, Player, State, under } from "./player";

export { canPlay, Player };
export type { Data, State };

// load asks a gateway for all that a player needs, and dials stores meanwhile. A Player takes the
// sessions over; without one they end after ten seconds.
export async function load(origin: string, video: string, token = ""): Promise<Data> {
  const early = new Early(origin, token);
  const answer = await fetch(`${origin}${under(token)}/v1/player/${video}`, { referrerPolicy: "no-referrer" });
  if (!answer.ok) throw new Error(`${origin}: no film ${video} (status ${answer.status})`);
  return { ...((await answer.json()) as Data), early };
}

class Element extends HTMLElement {
  static observedAttributes = ["src", "video", "token"];
  readonly media = document.createElement("video");
  private player: Player | undefined;
  private turn = 0;

  get state(): State | undefined { return this.player?.state; }

  connectedCallback() {
    this.media.playsInline = true;
    this.media.style.cssText = "width:100%;height:100%;display:block";
    for (const a of ["controls", "autoplay", "muted", "loop"]) if (this.hasAttribute(a)) this.media.toggleAttribute(a, true);
    this.media.muted = this.hasAttribute("muted");
    if (!this.shadowRoot) this.attachShadow({ mode: "open" }).append(this.media);
    void this.open();
  }

  disconnectedCallback() {
    this.turn++;
    this.player?.stop();
    this.player = undefined;
  }

  attributeChangedCallback(name: string) {
    if (!this.isConnected) return;
    if (name === "token" && this.player) this.player.renew(this.getAttribute("token") ?? "");
    else void this.open();
  }

  // open plays from the stores, or, where that cannot be, the whole film from the gateway.
  private async open() {
    const turn = ++this.turn, origin = this.getAttribute("src") || location.origin, video = this.getAttribute("video"), token = this.getAttribute("token") ?? "";
    this.player?.stop();
    this.player = undefined;
    if (!video) return;
    try {
      const data = await load(origin, video, token);
      if (turn !== this.turn) return data.early?.close();
      if (canPlay(data)) {
        this.player = new Player(this.media, data, origin, token);
        await this.player.start();
      } else {
        this.media.src = `${origin}${under(token)}/play/${video}/film.mp4`;
      }
    } catch (e) {
      this.dispatchEvent(new CustomEvent("failed", { detail: e }));
    }
  }
}

if (!customElements.get("vstack-player")) customElements.define("vstack-player", Element);
