// Figures, facts and tables as elements. All text enters the page through textContent: names come from strangers.

export function make(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined && text !== null) element.textContent = text;
  if (className) element.className = className;
  return element;
}

export function filled(tag, children, className) {
  const element = make(tag, undefined, className);
  element.append(...children);
  return element;
}

// A stranger's name: one that is too long to read is cut, and whole when pointed at.
const LONGEST_NAME = 120;
export function called(text, absent = "not reported") {
  if (!text) return make("span", absent, "missing");
  const letters = Array.from(text.slice(0, 2 * LONGEST_NAME + 1));
  if (letters.length <= LONGEST_NAME) return make("span", text);
  const cut = make("span", letters.slice(0, LONGEST_NAME).join("") + "…");
  cut.title = text.slice(0, 1000);
  return cut;
}

const number = (digits) => (value) => Number(value).toLocaleString("en", {maximumFractionDigits: digits});
export const whole = number(0);
export const percent = (value) => (100 * value).toFixed(value !== 0 && Math.abs(value) < 0.1 ? 1 : 0) + " %";
export const plain = (value) => (Math.abs(value) < 10 ? number(2) : Math.abs(value) < 1000 ? number(1) : whole)(value);
export const times = (value) => value.toFixed(2) + "×";
export const usd = (value) => {
  const size = Math.abs(value);
  return (value < 0 ? "−$" : "$") + (size === 0 ? "0" : size < 1 ? size.toFixed(3) : size < 100 ? size.toFixed(2) : whole(size));
};
export const seconds = (value) =>
  value < 0.001 ? number(0)(value * 1e6) + " µs" : value < 1 ? number(value < 0.1 ? 1 : 0)(value * 1e3) + " ms" : number(2)(value) + " s";
export const months = (value) => number(1)(value) + (value === 1 ? " month" : " months");
export const known = (one) => one !== null && one !== undefined && one.missing === undefined;
export const finite = (one) => known(one) && typeof one.value === "number";

export function ago(then_s, now_s) {
  const past = Math.max(0, Math.round(now_s - then_s));
  if (past < 120) return past + " s ago";
  if (past < 7200) return Math.round(past / 60) + " min ago";
  return past < 172800 ? Math.round(past / 3600) + " h ago" : Math.round(past / 86400) + " days ago";
}

export const when = (at_s) => new Date(1000 * at_s).toLocaleString(undefined, {dateStyle: "medium", timeStyle: "short"});

// An endless number travels as a word; what it means depends on the figure.
const shown = (value, format, endless) => (typeof value === "number" ? format(value) : value === "infinite" ? endless : "−" + endless);

// A figure with its interval and evidence, or the reason why there is none.
export function figure(one, format, endless = "without end") {
  if (one === null || one === undefined) return make("span", "not stated", "missing");
  if (one.missing !== undefined) {
    const missing = make("span", "not known", "missing");
    missing.title = one.missing;
    missing.append(make("span", ": " + one.missing, "hidden"));
    return missing;
  }
  const box = make("span");
  const [value, low, high] = [one.value, one.low, one.high].map((each) => shown(each, format, endless));
  box.append(make("span", value, "value"));
  if (low !== high) box.append(make("span", ` ${low} to ${high}`, "interval"));
  const evidence = make("span", one.evidence, "evidence " + one.evidence);
  evidence.title = "How it is known: " + String(one.method).replaceAll("_", " ");
  box.append(" ", evidence);
  return box;
}

export function facts(pairs) {
  return filled("dl", pairs.map(([name, content]) => {
    const value = make("dd");
    value.append(content);
    return filled("div", [make("dt", name), value]);
  }));
}

// Rows are arrays of text, elements, or [content, class]; the first cell of each names its row.
export function table(heads, rows, className, title) {
  const head = filled("tr", heads.map((name) => {
    const cell = make("th", name);
    cell.scope = "col";
    return cell;
  }));
  const body = rows.map((cells) => filled("tr", cells.map((told, index) => {
    const [content, kind] = Array.isArray(told) ? told : [told, ""];
    const cell = make(index ? "td" : "th", undefined, kind);
    if (!index) cell.scope = "row";
    cell.dataset.label = heads[index];
    cell.append(content === null || content === undefined ? "" : content);
    return cell;
  })));
  const element = filled("table", [filled("thead", [head]), filled("tbody", body)], className);
  const box = filled("div", [element], "scroll");
  box.tabIndex = 0;
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", title);
  box.dataset.key = "table " + title;
  return box;
}

export function more(key, title, children) {
  const element = make("details");
  element.dataset.key = key;
  element.append(make("summary", title), ...children);
  return element;
}

// Puts new content in place of the old, and leaves what the reader opened, scrolled or focused as it was.
export function renew(place, children) {
  const kept = new Map();
  for (const one of place.querySelectorAll("[data-key]")) {
    kept.set(one.dataset.key, {open: one.open, left: one.scrollLeft});
  }
  const active = document.activeElement;
  const holder = place.contains(active) ? active.closest("[data-key]") : null;
  const inner = holder && active.tagName;
  place.replaceChildren(...children);
  for (const one of place.querySelectorAll("[data-key]")) {
    const before = kept.get(one.dataset.key);
    if (before) {
      if (before.open !== undefined) one.open = before.open;
      one.scrollLeft = before.left;
    }
    if (holder && one.dataset.key === holder.dataset.key) {
      (one.tagName === inner ? one : one.querySelector(inner.toLowerCase()) || one).focus({preventScroll: true});
    }
  }
}

// Renews a place only when what it shows has changed.
const last = new WeakMap();
export function renewIf(place, what, children) {
  const told = JSON.stringify(what);
  if (last.get(place) === told) return;
  last.set(place, told);
  renew(place, children());
}
