// The overview: verdicts, replicas and targets of the last report, asked for anew every few seconds.
import {badge, fillCard, leading, makeCard} from "./deployment.js";
import {ago, called, figure, filled, make, percent, plain, renewIf, seconds, table, usd, when} from "./figures.js";
import {repaint} from "./plots.js";
import {fetchJson, onPaper, repeat, tellProblems} from "./refresh.js";

// With more deployments than this each one begins as its headline alone.
const MOST_UNFOLDED = 8;
const HISTORY_EVERY_MS = 60000;
const byId = (id) => document.getElementById(id);
const cards = new Map();
let hours = new Map(), historyAt = -Infinity, overview = null;

async function readHistory() {
  if (performance.now() - historyAt < HISTORY_EVERY_MS) return;
  const answer = await fetchJson("/api/v1/history");
  if (!answer.ok) return;
  historyAt = performance.now();
  hours = new Map(answer.body.deployments.map((one) => [one.deployment, one.hours]));
}

// A replica answers when its report says so and its target was not lost since.
function answers(one, up) {
  return one.fresh && up.get(one.replica.target) !== false;
}

function deployments(body, up, now_s) {
  const names = new Set(body.deployments.map((one) => one.report.name));
  for (const [name, card] of cards) {
    if (!names.has(name)) {
      card.element.remove();
      cards.delete(name);
    }
  }
  body.deployments.forEach((shown, index) => {
    const {name} = shown.report;
    if (!cards.has(name)) {
      const card = makeCard(body.deployments.length <= MOST_UNFOLDED);
      card.element.id = "deployment-" + index + "-" + cards.size;
      cards.set(name, card);
      byId("deployments").append(card.element);
    }
    const mine = body.replicas.filter((one) => one.deployment === name);
    fillCard(cards.get(name), shown, hours.get(name), body.history_s, mine.filter((one) => answers(one, up)).length, now_s);
  });
  byId("empty").hidden = body.deployments.length > 0;
}

function summary(body) {
  byId("summary").hidden = body.deployments.length < 2;
  renewIf(byId("summary"), body.deployments.map((one) => one.report.schemes.map((each) => [each.state.verdict, each.money])), () => {
    const rows = body.deployments.map(({report}) => {
      const lead = leading(report.schemes), link = make("a", report.name);
      const card = cards.get(report.name);
      link.href = "#" + card.element.id;
      link.addEventListener("click", () => { card.body.open = true; });
      if (!lead) return [link, "not judged", "", "", ""];
      const reason = lead.state.verdict === "worth_it" || lead.state.verdict === "evaluate" ? lead.judged.reasons_for[0] : lead.judged.reasons_against[0];
      return [link, badge(lead.state.verdict), lead.scheme, figure(lead.money.saving_usd_per_month, usd), reason ?? ""];
    });
    return [table(["Deployment", "Verdict", "Best scheme", "Saving / month", "Strongest reason"], rows, "plain", "All deployments")];
  });
}

function replicas(body, up) {
  const rows = body.replicas.map((one) => {
    const link = make("a");
    link.append(called(one.replica.model, "(no name)"));
    link.href = "/replica?id=" + encodeURIComponent(one.id);
    const fresh = answers(one, up);
    return [
      filled("span", [link, make("span", ` rank ${one.replica.rank} · ${one.replica.target}`, "soft")]), one.deployment,
      make("span", fresh ? "fresh" : "stale", fresh ? "up" : "down"),
      figure(one.prefill_marginal, percent), figure(one.memory_bound, percent), figure(one.decode_batch, plain),
      figure(one.generation_tokens_per_s, plain), figure(one.time_to_first_token_s, seconds), figure(one.inter_token_s, seconds),
      figure(one.waiting_requests, plain), figure(one.kv_usage, percent),
    ];
  });
  const heads = ["Replica", "Deployment", "Data", "Prefill", "Memory-bound", "Decode batch", "Generated/s", "First token, mean", "Token gap, mean", "Waiting", "KV in use"];
  renewIf(byId("replicas"), [body.replicas, [...up]], () => (rows.length ? [table(heads, rows, "wide", "Replicas, live")] : [make("p", "None has been seen yet.", "missing")]));
}

function targets(health, now_s) {
  const rows = health.targets.map((one) => {
    const state = one.up === null ? "not polled yet" : one.up ? "up" : "down: " + one.reason;
    const lacks = one.unreported.length ? `${one.unreported.length} wanted series are not reported by this engine.` : "";
    return [
      filled("span", [one.url, make("span", " " + one.job, "soft")]), one.engine || "not known", make("span", state, one.up === null ? "" : one.up ? "up" : "down"),
      one.last_success_s === null ? "never" : ago(one.last_success_s, now_s),
      one.up === false ? `${one.message}. ${one.remedy || ""}` : [one.simulated ? "The bundled simulator." : "", lacks].join(" ").trim(),
    ];
  });
  renewIf(byId("targets"), rows.map((row) => row.map((cell) => cell.textContent ?? cell)), () => (rows.length ? [table(["Target", "Engine", "State", "Last answer", "What to know"], rows, "wide", "Targets")] : [make("p", "No target is configured or found.", "missing")]));
}

const PARTS = [["Analysis", "analysis"], ["Database", "store"], ["GPUs", "gpu_source"]];

function problems(health, report) {
  const found = health.notices.filter((text) => !text.startsWith("SIMULATED"));
  const down = health.targets.filter((one) => one.up === false);
  if (down.length) found.push(`Stale: ${down.length} of ${health.targets.length} targets ${down.length === 1 ? "does" : "do"} not answer (${down.slice(0, 3).map((one) => one.url).join(", ")}${down.length > 3 ? ", …" : ""}). See Targets below.`);
  if (report && report.stale) found.push("Stale: no newer report could be made. What is shown is old.");
  for (const text of report ? report.failures : []) found.push(text);
  for (const [name, key] of PARTS) {
    if (health[key].up === false && health[key].reason !== "absent") found.push(`${name}: ${health[key].message || health[key].reason}.`);
  }
  const spool = health.spool;
  if (spool && spool.waiting) found.push(`${spool.waiting} samples wait on disk for the database, the oldest since ${when(spool.oldest_s)}.`);
  if (spool && spool.up === false) found.push(`Spool: ${spool.message || spool.reason}.`);
  return found;
}

function freshness(now_s) {
  if (!overview) return;
  const age = Math.max(0, Math.round(now_s - overview.made_at_s));
  const text = `Verdicts rest on up to ${Math.round(overview.history_s / 86400)} days of history. Report of ${when(overview.made_at_s)}`;
  if (byId("made").textContent !== text) byId("made").textContent = text;
  byId("age").textContent = ", " + (age < 120 ? `${age} s old` : `${Math.round(age / 60)} min old`);
}

async function refresh() {
  const root = document.documentElement;
  try {
    const [report, health] = await Promise.all([fetchJson("/api/v1/overview"), fetchJson("/api/v1/health")]);
    const now_s = Date.now() / 1000;
    byId("version").textContent = "breakeven " + health.body.version;
    byId("simulated").hidden = !health.body.simulated;
    targets(health.body, now_s);
    if (report.ok) {
      await readHistory();
      overview = report.body;
      const up = new Map(health.body.targets.map((one) => [one.url, one.up]));
      deployments(overview, up, now_s);
      summary(overview);
      replicas(overview, up);
      freshness(now_s);
      root.dataset.state = overview.stale ? "stale" : "shown";
    } else {
      byId("made").textContent = health.body.ready ? "The first report is being made: it needs a few polls." : "The daemon is starting.";
      root.dataset.state = "loading";
    }
    tellProblems(byId("problem"), problems(health.body, report.ok ? report.body : null));
  } catch (error) {
    const why = error instanceof TypeError || error.name === "TimeoutError" ? "The daemon does not answer." : String(error.message);
    tellProblems(byId("problem"), [`${why} ${overview ? `What is shown is of ${when(overview.made_at_s)}.` : ""} Asking again every 5 seconds.`]);
    freshness(Date.now() / 1000);
    root.dataset.state = "lost";
  }
}

byId("print").addEventListener("click", () => print());
onPaper(repaint);
repeat(refresh);
