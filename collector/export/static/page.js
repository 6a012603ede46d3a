// Shows the last report. All text enters the page through textContent: names on it come from strangers.
"use strict";

const REFRESH_MS = 5000;
const VERDICTS = {worth_it: "worth it", evaluate: "evaluate", no: "no", insufficient_data: "not enough data"};
const byId = (id) => document.getElementById(id);

function make(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

const percent = (value) => (100 * value).toFixed(value < 0.1 ? 1 : 0) + " %";
const plain = (digits) => (value) => Number(value).toLocaleString("en", {maximumFractionDigits: digits});
const usd = (value) => typeof value === "number" ? "$" + plain(value < 100 ? 2 : 0)(value) : "never";
const times = (value) => value.toFixed(2) + "×";

// A figure with its interval and evidence, or the reason why there is none.
function figure(one, format) {
  const box = make("span");
  if (one === null || one === undefined) return make("span", "not stated", "missing");
  if (one.missing !== undefined) {
    const missing = make("span", "not known", "missing");
    missing.title = one.missing;
    return missing;
  }
  box.append(make("span", format(one.value)));
  if (one.low !== one.high) box.append(make("span", ` (${format(one.low)} to ${format(one.high)})`, "evidence"));
  box.append(make("span", " " + one.evidence, "evidence"));
  return box;
}

function fact(list, name, content) {
  const box = make("div");
  const value = make("dd");
  value.append(content);
  box.append(make("dt", name), value);
  list.append(box);
}

function table(element, heads, rows, caption) {
  const head = make("thead"), line = make("tr"), body = make("tbody");
  for (const name of heads) {
    const cell = make("th", name);
    cell.scope = "col";
    line.append(cell);
  }
  head.append(line);
  for (const cells of rows) {
    const row = make("tr");
    for (const [content, className] of cells) {
      const cell = make("td", undefined, className);
      cell.append(content);
      row.append(cell);
    }
    body.append(row);
  }
  element.replaceChildren(head, body);
  if (caption) element.prepend(make("caption", caption));
  return element;
}

function schemeRow(one) {
  const verdict = make("span", VERDICTS[one.state.verdict], "verdict " + one.state.verdict);
  return [
    [one.scheme, "name"], [verdict, ""],
    [figure(one.speedup, times), "number"],
    [figure(one.money.gpus_released, plain(0)), "number"],
    [figure(one.money.saving_usd_per_month, usd), "number"],
    [one.judged.reasons_for[0] || "–", "reason"], [one.judged.reasons_against[0] || "–", "reason"],
  ];
}

function deployment(one) {
  const card = make("article");
  const title = make("h3", one.name);
  if (one.simulated) title.append(make("span", " simulated", "evidence"));
  const facts = make("dl");
  fact(facts, "Model", make("span", one.model || "not reported"));
  fact(facts, "Replicas answering", make("span", `${one.fresh_replicas} of ${one.replicas}`));
  fact(facts, "Memory-bound share of busy time", figure(one.memory_bound, percent));
  fact(facts, "Prefill share, marginal", figure(one.prefill_marginal, percent));
  fact(facts, "Decode batch", figure(one.decode_batch, plain(1)));
  fact(facts, "Generated tokens per second", figure(one.generation_tokens_per_s, plain(1)));
  fact(facts, "Cost per million generated tokens", figure(one.usd_per_million_tokens, usd));
  fact(facts, "Price", make("span", one.price_source ? one.price_source + (one.price_stale ? " (old)" : "") : "not stated"));
  const scroll = make("div", undefined, "scroll");
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", "Schemes of " + one.name);
  const heads = ["Scheme", "Verdict", "Step speed-up", "GPUs released", "Saving / month", "Strongest for", "Strongest against"];
  scroll.append(table(make("table"), heads, one.schemes.map(schemeRow)));
  card.append(title, facts, scroll);
  return card;
}

function replicaRow(one) {
  return [
    [`${one.replica.model || "(no name)"} ${one.replica.rank}`, "name"], [one.replica.target, "name"],
    [make("span", one.fresh ? "fresh" : "stale", one.fresh ? "up" : "down"), ""],
    [figure(one.phases.prefill_marginal, percent), "number"], [figure(one.phases.memory_bound, percent), "number"],
    [figure(one.decode_batch, plain(1)), "number"], [figure(one.generation_tokens_per_s, plain(1)), "number"],
    [figure(one.prefill_tokens_per_s, plain(1)), "number"],
  ];
}

function targetRow(one) {
  const state = one.up === null ? "not polled yet" : one.up ? "up" : "down: " + one.reason;
  return [
    [one.url, "name"], [one.job, "name"], [one.engine || "not known", ""],
    [make("span", state, one.up ? "up" : "down"), ""],
    [one.up === false ? `${one.message}. ${one.remedy || ""}` : one.simulated ? "the bundled simulator" : "", "reason"],
  ];
}

async function fetchJson(path) {
  const answer = await fetch(path);
  return {ok: answer.ok, body: await answer.json()};
}

function say(text) {
  byId("problem").textContent = text;
  byId("problem").hidden = !text;
}

async function refresh() {
  try {
    const [report, health] = await Promise.all([fetchJson("/api/v1/report"), fetchJson("/api/v1/health")]);
    byId("version").textContent = "breakeven " + health.body.version;
    byId("simulated").hidden = !health.body.simulated;
    table(byId("targets"), ["Target", "Job", "Engine", "State", "What to do"], health.body.targets.map(targetRow));
    if (!report.ok) {
      byId("made").textContent = "The first report is being made.";
    } else {
      const age = Math.max(0, Math.round(Date.now() / 1000 - report.body.made_at_s));
      byId("made").textContent = `Report of ${new Date(1000 * report.body.made_at_s).toLocaleString()}, ${age} s old`;
      byId("deployments").replaceChildren(...report.body.deployments.map(deployment));
      const heads = ["Model, rank", "Target", "Data", "Prefill", "Memory-bound", "Decode batch", "Generated/s", "Prefill/s"];
      table(byId("replicas"), heads, report.body.replicas.map(replicaRow));
      if (!report.body.deployments.length) {
        byId("deployments").replaceChildren(make("p", "No inference server has been seen yet.", "soft"));
      }
    }
    const down = health.body.targets.filter((one) => one.up === false).length;
    say(down ? `${down} of ${health.body.targets.length} targets do not answer: see below.` : "");
  } catch (error) {
    say("The daemon does not answer: what is shown is old.");
  }
  setTimeout(refresh, REFRESH_MS);
}

refresh();
