// Asks again and again, without moving what is shown; says so when nobody answers or the answer is old.
import {make} from "./figures.js";

const REFRESH_MS = 5000;
const GIVE_UP_MS = 20000;

// {ok, status, body}; the body is null where the answer is no JSON. Rejects when nobody answers.
export async function fetchJson(path) {
  const answer = await fetch(path, {signal: AbortSignal.timeout(GIVE_UP_MS)});
  if (answer.status === 401 || answer.status === 403) throw new Error("Not allowed: log in again.");
  const body = await answer.json();
  return {ok: answer.ok, status: answer.status, body};
}

export function repeat(once) {
  let timer = null, running = false;
  const run = async () => {
    if (running || document.hidden) return;
    running = true;
    clearTimeout(timer);
    try {
      await once();
    } finally {
      running = false;
      timer = setTimeout(run, REFRESH_MS);
    }
  };
  document.addEventListener("visibilitychange", run);
  run();
}

// Everything wrong, one line each. An unchanged list is left alone: screen readers would read it anew.
export function tellProblems(place, texts) {
  const told = texts.join("\n");
  if (place.dataset.told === told) return;
  place.dataset.told = told;
  place.replaceChildren(...texts.map((text) => make("p", text)));
  place.hidden = !texts.length;
}

// The print is for paper: light, and with nothing folded away that was open on request only.
export function onPaper(repaint) {
  const root = document.documentElement;
  addEventListener("beforeprint", () => { root.classList.add("paper"); repaint(); });
  addEventListener("afterprint", () => { root.classList.remove("paper"); repaint(); });
}
