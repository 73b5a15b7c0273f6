// The player for other pages: a custom element, and what it is made of.
//
//   <script type="module" src="https://HOST:8888/assets/vstack-player.js"></script>
//   <vstack-player src="https://HOST:8888" video="ID" controls></vstack-player>
import { Data } from "./manifest";
import { canPlay, Player, State } from "./player";

export { canPlay, Player };
export type { Data, State };

// load asks a gateway for all that a player needs.
export async function load(origin: string, video: string): Promise<Data> {
  const answer = await fetch(`${origin}/v1/player/${video}`);
  if (!answer.ok) throw new Error(`${origin}: no film ${video} (status ${answer.status})`);
  return (await answer.json()) as Data;
}

class Element extends HTMLElement {
  static observedAttributes = ["src", "video"];
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

  attributeChangedCallback() {
    if (this.isConnected) void this.open();
  }

  // open plays from the stores, or, where that cannot be, the whole film from the gateway.
  private async open() {
    const turn = ++this.turn, origin = this.getAttribute("src") || location.origin, video = this.getAttribute("video");
    this.player?.stop();
    this.player = undefined;
    if (!video) return;
    try {
      const data = await load(origin, video);
      if (turn !== this.turn) return;
      if (canPlay(data)) {
        this.player = new Player(this.media, data, origin);
        await this.player.start();
      } else {
        this.media.src = `${origin}/play/${video}/film.mp4`;
      }
    } catch (e) {
      this.dispatchEvent(new CustomEvent("failed", { detail: e }));
    }
  }
}

if (!customElements.get("vstack-player")) customElements.define("vstack-player", Element);
