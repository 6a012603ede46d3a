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
const usd = (value) => (value < 0 ? "-$" : "$") + plain(Math.abs(value) < 100 ? 2 : 0)(Math.abs(value));
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

// Two rows a scheme: its figures, and below them, at full width, the strongest reason on either side.
function schemeRows(one) {
  const head = make("tr", undefined, "scheme");
  const name = make("th", one.scheme, "name");
  name.scope = "row";
  head.append(name);
  const payback = one.money.payback_months;
  for (const [content, label] of [
    [make("span", VERDICTS[one.state.verdict], "verdict " + one.state.verdict), "Verdict"],
    [figure(one.speedup, times), "Step speed-up"],
    [figure(one.money.gpus_released, plain(0)), "GPUs released"],
    [figure(one.money.saving_usd_per_month, usd), "Saving / month"],
    [figure(payback, (months) => typeof months === "number" ? plain(1)(months) + " months" : "never"), "Payback"],
  ]) {
    const cell = make("td");
    cell.dataset.label = label;
    cell.append(content);
    head.append(cell);
  }
  const why = make("tr", undefined, "why"), box = make("td"), list = make("ul");
  box.colSpan = 6;
  for (const reason of one.judged.reasons_for.slice(0, 1)) list.append(make("li", reason, "for"));
  for (const reason of one.judged.reasons_against.slice(0, 2)) list.append(make("li", reason, "against"));
  box.append(list);
  why.append(box);
  return [head, why];
}

function schemeTable(one) {
  const element = make("table", undefined, "schemes"), head = make("thead"), line = make("tr"), body = make("tbody");
  for (const text of ["Scheme", "Verdict", "Step speed-up", "GPUs released", "Saving / month", "Payback"]) {
    const cell = make("th", text);
    cell.scope = "col";
    line.append(cell);
  }
  head.append(line);
  body.append(...one.schemes.flatMap(schemeRows));
  element.append(head, body);
  return element;
}

function priceText(one) {
  if (!one.price_source) return "not stated";
  const amount = one.usd_per_hour === null ? "" : ` ${usd(one.usd_per_hour)} an hour for all`;
  return one.price_source + (one.price_stale ? " (older than 90 days)" : "") + amount;
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
  fact(facts, "Price", make("span", priceText(one)));
  card.append(title, facts);
  for (const text of one.assumed) card.append(make("p", "Assumed: " + text, "evidence"));
  card.append(schemeTable(one));
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

// Everything that is wrong now, one sentence each.
function problems(health, report) {
  const found = health.notices.filter((text) => !text.startsWith("SIMULATED"));
  const down = health.targets.filter((one) => one.up === false).length;
  if (down) found.push(`${down} of ${health.targets.length} targets do not answer: see below.`);
  if (report.ok && report.body.stale) found.push("The report is old: no newer one could be made.");
  for (const [name, part] of [["Analysis", health.analysis], ["Database", health.store], ["GPUs", health.gpu_source]]) {
    if (part.up === false && part.reason !== "absent") found.push(`${name}: ${part.message || part.reason}.`);
  }
  return found.join(" ");
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
      byId("made").textContent = `Verdicts rest on the last ${Math.round(report.body.history_s / 86400)} days; report of ${new Date(1000 * report.body.made_at_s).toLocaleString()}, ${age} s old`;
      byId("deployments").replaceChildren(...report.body.deployments.map(deployment));
      const heads = ["Model, rank", "Target", "Data", "Prefill", "Memory-bound", "Decode batch", "Generated/s", "Prefill/s"];
      table(byId("replicas"), heads, report.body.replicas.map(replicaRow));
      if (!report.body.deployments.length) {
        byId("deployments").replaceChildren(make("p", "No inference server has been seen yet.", "soft"));
      }
    }
    say(problems(health.body, report));
  } catch (error) {
    say("The daemon does not answer: what is shown is old.");
  }
  setTimeout(refresh, REFRESH_MS);
}

refresh();
