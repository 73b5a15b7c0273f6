// The shell: which page stands at an address, and what every page shows.
import { ComponentType, render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { FilmsPage } from "./films";
import { GroupsPage } from "./groups";
import { EventsPage } from "./events";
import { judge } from "./health";
import { useStream, useTopic } from "./live";
import { OverviewPage } from "./overview";
import { RaftPage } from "./raft";
import { SessionPage, SessionsPage } from "./sessions";
import { StoresPage } from "./stores";
import { Dot, Failure, Loading, Segments, useActions } from "./ui";
import { UploadPage } from "./upload";
import { WatchPage } from "./watch";

// What the navigation lists; icons are strokes on a grid of 24.
const pages: [path: string, name: string, icon: string][] = [
  ["/", "Overview", "M4 13h6V4H4zM14 20h6V11h-6zM4 20h6v-3H4zM14 7h6V4h-6z"],
  ["/videos", "Films", "M4 5h16v14H4zM8 5v14M16 5v14M4 9.7h4M4 14.3h4M16 9.7h4M16 14.3h4"],
  ["/upload", "Upload", "M12 16V5M7 10l5-5 5 5M5 19h14"],
  ["/live", "Playback", "M4 19V9M9 19V5M14 19v-7M19 19V8"],
  ["/compare", "Compare", "M4 7h13M13 3l4 4-4 4M20 17H7M11 13l-4 4 4 4"],
  ["/stores", "Hosts", "M4 5h16v5H4zM4 14h16v5H4zM7.5 7.5h.01M7.5 16.5h.01"],
  ["/groups", "Groups", "M5 5h4v4H5zM10.5 5h4v4h-4zM16 5h4v4h-4zM5 10.500h4v4H5zM10.500 10.500h4v4h-4zM16 10.500h4v4h-4zM5 16h4v4H5zM10.500 16h4v4h-4zM16 16h4v4h-4z"],
  ["/raft", "Catalog", "M12 7a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM5 20a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM19 20a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM11 6.700 6 16.300M13 6.700l5 9.600M7 18h10"],
  ["/events", "Events", "M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01"],
  ["/drills", "Drills", "M13 3 5 14h6l-1 7 8-11h-6z"],
  ["/consensus", "Consensus", "M5 4v16M12 4v16M19 4v16M5 7l7 3M12 10l7 2M19 15l-14 3"],
];

// A port of the consensus alone has no other page.
const alone = document.documentElement.dataset["only"] === "consensus";
const shown = alone ? pages.filter(([p]) => p === "/consensus") : pages;
// What a public gateway does not tell.
const guarded: Record<string, string> = { "/events": "events", "/drills": "events" };

function App() {
  const path = usePath();
  const may = useActions();
  const main = useRef<HTMLElement>(null);
  useEffect(() => {
    document.title = (pages.find(([p]) => p === root(path))?.[1] ?? "Page") + " · V-Stack";
    if (moved) main.current?.focus({ preventScroll: true });
    document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [path]);
  return (
    <div class="shell">
      <a class="skip" href="#main">To the page</a>
      <header>
        <a class="brand" href={alone ? "/consensus" : "/"}><img src="/assets/icon.svg" alt="" width="24" height="24" />V-Stack</a>
        <nav aria-label="Pages">
          {shown.filter(([p]) => !guarded[p] || may.includes(guarded[p])).map(([p, name, icon]) => (
            <a key={p} href={p} aria-current={root(path) === p ? "page" : undefined}>
              <svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true"><path d={icon} /></svg>{name}
            </a>
          ))}
        </nav>
        <Theme />
      </header>
      <div class="page">
        {path !== "/consensus" && <HealthLine home={path === "/"} />}
        <main id="main" ref={main} tabIndex={-1}><Page path={path} /></main>
      </div>
    </div>
  );
}

// root is the page of the navigation that an address belongs to.
function root(path: string): string {
  if (path.startsWith("/watch/")) return "/videos";
  return "/" + (path.split("/")[1] ?? "");
}

let moved = false; // a link was followed: then the new page has the focus

function usePath(): string {
  const [path, set] = useState(location.pathname);
  useEffect(() => {
    const look = () => set(location.pathname);
    const click = (e: MouseEvent) => visit(e, look);
    addEventListener("popstate", look);
    addEventListener("click", click);
    return () => {
      removeEventListener("popstate", look);
      removeEventListener("click", click);
    };
  }, []);
  return path;
}

function HealthLine({ home }: { home: boolean }) {
  const stream = useStream();
  const health = judge(useTopic("nodes"), useTopic("raft"), stream);
  return (
    <div class={"health " + health.tone} role="status">
      <Dot tone={health.tone} /><span>{health.text}</span>
      {health.more.length > 0 && !home && <a href="/">and {health.more.length} more</a>}
    </div>
  );
}

function Page({ path }: { path: string }) {
  const stream = useStream();
  if (stream === "shut" && path !== "/consensus") {
    return (
      <><h1>Not yet</h1><Failure what="Open the link that vstack console printed" why="It ends with #token=… and is new at every start of the console; this address alone shows nothing."
        next={<>Lost it? Stop <code>vstack console</code> and start it again.</>} /></>
    );
  }
  const watch = /^\/watch\/([0-9a-f-]{36})$/.exec(path);
  if (watch) return <WatchPage key={watch[1]} id={watch[1]!} />;
  const session = /^\/live\/([^/]+)$/.exec(path);
  if (session) return <SessionPage key={session[1]} id={decodeURIComponent(session[1]!)} />;
  const compare = /^\/compare(?:\/([0-9a-f-]{36}))?$/.exec(path);
  if (compare) return <Later key="compare" load={() => import("./compare").then((m) => m.ComparePage)} />;
  switch (path) {
    case "/": return <OverviewPage />;
    case "/videos": return <FilmsPage />;
    case "/upload": return <UploadPage />;
    case "/live": return <SessionsPage />;
    case "/stores": return <StoresPage />;
    case "/groups": return <GroupsPage />;
    case "/raft": return <RaftPage />;
    case "/events": return <EventsPage />;
    case "/drills": return <Later key="drills" load={() => import("./drills").then((m) => m.DrillsPage)} />;
    case "/consensus": return <Later key="consensus" load={() => import("./consensus").then((m) => m.ConsensusPage)} />;
  }
  return <div class="card empty"><h1>There is no such page</h1><a href="/videos">All films</a></div>;
}

// Later is a page whose code comes when somebody wants it.
function Later({ load }: { load: () => Promise<ComponentType> }) {
  const [Found, set] = useState<ComponentType>();
  const [failed, setFailed] = useState("");
  useEffect(() => void load().then((page) => set(() => page), (e: Error) => setFailed(e.message)), []);
  if (failed) return <Failure what="This page did not come" why={failed} next="Reload it; the server may have been replaced by a newer one." />;
  return Found ? <Found /> : <Loading />;
}

const themes = ["auto", "light", "dark"] as const;
type Theme = (typeof themes)[number];

// kept reads what this browser keeps, which may refuse to keep anything.
function kept(): Theme {
  try {
    return themes.find((t) => t === localStorage.getItem("theme")) ?? "auto";
  } catch {
    return "auto";
  }
}

function Theme() {
  const [theme, set] = useState(kept);
  useEffect(() => {
    document.documentElement.dataset["theme"] = theme;
    try {
      localStorage.setItem("theme", theme);
    } catch { /* for this tab only, then */ }
  }, [theme]);
  return <Segments label="Colours" of={themes} value={theme} set={set} />;
}

// visit turns a click on a link of ours into a change of page.
function visit(e: MouseEvent, look: () => void) {
  const link = (e.target as Element).closest("a");
  if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin || link.hash) return;
  if (link.pathname.startsWith("/play/") || e.defaultPrevented || e.button !== 0 || e.ctrlKey || e.metaKey || e.shiftKey) return;
  e.preventDefault();
  history.pushState(null, "", link.href);
  scrollTo(0, 0);
  moved = true;
  look();
}

// signIn trades the token of a link that vstack console printed for a cookie.
async function signIn() {
  const token = /^#token=([\w-]+)$/.exec(location.hash)?.[1];
  if (!token) return;
  await fetch("/session", { method: "POST", body: token }).catch(() => undefined); // the page then says what is refused
  history.replaceState(null, "", location.pathname);
}

document.documentElement.dataset["theme"] = kept();
void signIn().then(() => render(<App />, document.getElementById("app")!));
