// One deployment's card: the verdict first, then what it rests on.
import {ago, called, facts, figure, filled, finite, known, make, more, months, percent, plain, renewIf, seconds, table, times, usd, whole} from "./figures.js";
import {MEMORY_PARTS, PARTS, bar, dropped, hoursPlot, mean, partColour, sizeShare, stepsPlot} from "./plots.js";

export const VERDICTS = {worth_it: "worth it", evaluate: "evaluate", no: "no", insufficient_data: "not enough data"};
// The percentile of latencies in a report where no objective names one.
const USUAL_SHARE = 0.95;
const ORDER = Object.keys(VERDICTS);
const MODES = {released: "gives GPUs back", avoided: "spares GPUs to be bought", latency_only: "faster answers only: no money"};
const BOUNDS = {
  first_token: "the objective for the first token", token_gap: "the objective for the gap between tokens",
  utilisation: "the share of the stability limit taken as full, since no objective is stated", unreachable: "objectives that no load keeps",
};

const weight = (one) => (finite(one) ? one.value : -Infinity);

// The scheme that the headline speaks of: the best verdict, then the most money, then the most load.
export function leading(schemes) {
  return [...schemes].sort((a, b) =>
    ORDER.indexOf(a.state.verdict) - ORDER.indexOf(b.state.verdict)
    || weight(b.money.saving_usd_per_month) - weight(a.money.saving_usd_per_month)
    || weight(b.capacity?.ratio ?? b.speedup) - weight(a.capacity?.ratio ?? a.speedup))[0];
}

export const badge = (verdict) => make("span", VERDICTS[verdict] ?? verdict, "verdict " + verdict);

function reasons(title, texts, kind) {
  if (!texts.length) return [];
  return [filled("div", [make("h5", title), filled("ul", texts.map((text) => make("li", text)))], "reasons " + kind)];
}

function headline(one, now_s) {
  const lead = leading(one.schemes);
  if (!lead) return [make("p", "No scheme is judged here.", "missing")];
  const said = filled("p", [badge(lead.state.verdict)], "headline");
  const few = {worth_it: `${lead.scheme} pays`, evaluate: `${lead.scheme} may pay: evaluate it`, no: "No scheme pays here", insufficient_data: "Not judged yet"};
  said.append(make("span", few[lead.state.verdict] ?? lead.scheme), make("span", ` · since ${ago(lead.state.since_s, now_s)}`, "soft"));
  const {judged} = lead;
  const groups = filled("div", [
    ...reasons(`For ${lead.scheme}`, judged.reasons_for.slice(0, 3), "for"),
    ...reasons(`Against ${lead.scheme}`, judged.reasons_against.slice(0, 3), "against"),
    ...reasons("What would change it", (judged.would_change ?? []).slice(0, 3), "change"),
  ], "why");
  const parts = [said];
  if (lead.state.candidate) {
    parts.push(make("p", `Today's figures say “${VERDICTS[lead.state.candidate]}”; it replaces the verdict once it has held long enough.`, "soft"));
  }
  return [...parts, groups];
}

function priceText(one) {
  if (!one.price_source) return make("span", "not stated", "missing");
  const box = make("span", one.usd_per_hour === null ? "" : `${usd(one.usd_per_hour)} an hour for all. `);
  const dated = one.price_as_of_s === null || one.price_as_of_s === undefined ? "" : ", " + new Date(1000 * one.price_as_of_s).toISOString().slice(0, 10);
  box.append(make("span", `Source: ${one.price_source}${dated}`, "soft"));
  if (one.price_stale) box.append(make("span", " older than 90 days", "warned"));
  return box;
}

function summary(one, answering) {
  const {capacity} = one, pairs = [
    ["Model", called(one.model)],
    ["GPUs", make("span", one.gpus === null ? "not known" : `${one.gpus} × ${one.gpu || "unknown type"}`)],
    ["Replicas that answer", make("span", `${answering} of ${one.replicas}`, answering < one.replicas ? "warned" : "")],
    ["Busy", figure(one.busy, percent)],
    ["Memory-bound share of busy time", figure(one.memory_bound, percent)],
    ["Prefill share of busy time", figure(one.prefill_marginal, percent)],
    ["Decode batch", figure(one.decode_batch, plain)],
    ["Generated tokens per second", figure(one.generation_tokens_per_s, plain)],
  ];
  if (capacity) {
    pairs.push(["Peak load", figure(capacity.peak_per_s, (value) => plain(value) + " requests/s")]);
    pairs.push(["Peak over what the replicas carry", figure(capacity.load, percent)]);
    pairs.push(["Replicas the peak needs", figure(capacity.needed, whole)]);
  }
  return facts(pairs);
}

function costs(one) {
  const told = one.token_costs?.allocation ?? {};
  const used = one.token_costs?.usage ?? {};
  return facts([
    ["$ per million generated tokens, every hour paid", figure(one.usd_per_million_tokens, usd)],
    ["… busy time only", figure(used.generated, usd)],
    ["$ per million input tokens, by their GPU time", figure(told.input, usd)],
    ["… output tokens", figure(told.output, usd)],
    ["Price", priceText(one)],
  ]);
}

const payback = (one) => figure(one, months, "never");

function schemeCells(one) {
  const name = make("span", one.scheme);
  if (one.already_served) name.append(make("span", " served now", "soft"));
  const mode = known(one.money.mode) && MODES[one.money.mode];
  const saving = filled("span", [figure(one.money.saving_usd_per_month, usd)]);
  if (mode) saving.append(make("span", " " + mode, "soft"));
  return [
    name, badge(one.state.verdict), figure(one.speedup, times), figure(one.capacity?.ratio, times),
    figure(one.money.gpus_released, whole), figure(one.money.gpus_avoided, whole), saving, payback(one.money.payback_months), figure(one.money.year_1_net_usd, usd),
  ];
}

const address = ({target, rank}) => (target.split("/")[2] || target) + (rank === "0" ? "" : ` rank ${rank}`);

// What the scheme did where a replica of this deployment serves it.
function tried(canary) {
  if (!known(canary)) return [];
  const {realised, ratio} = canary, interval = (one, format) => `${format(one.value)} (${format(one.low)} to ${format(one.high)})`;
  const predicted = known(ratio) ? `, ${interval(ratio, (value) => value.toFixed(2))} of the ${times(canary.predicted.value)} that was predicted` : "";
  return [make("p", `Tried: a step is ${interval(realised, times)} as fast on ${address(canary.canary)} as on ${address(canary.beside)} beside it${predicted}.`)];
}

function schemes(one) {
  const heads = ["Scheme", "Verdict", "Step speed-up", "Load carried", "GPUs released", "GPUs avoided", "Saving / month", "Payback", "Year-1 net"];
  const parts = [table(heads, one.schemes.map(schemeCells), "schemes", `Schemes for ${one.name}`)];
  for (const scheme of one.schemes) {
    const {judged} = scheme, box = filled("div", [
      ...reasons("For", judged.reasons_for, "for"), ...reasons("Against", judged.reasons_against, "against"),
      ...reasons("What would change it", judged.would_change ?? [], "change"),
    ], "why");
    const quality = scheme.quality ? `Quality: ${scheme.quality.result}${scheme.quality.metric ? ` on ${scheme.quality.metric}` : ""}.`
      : scheme.prior && scheme.prior.median !== undefined ? `Quality not evaluated here; published loss ${percent(scheme.prior.median)} in the middle, assumed.` : "Quality not evaluated here.";
    const runs = scheme.support?.reason ? `${scheme.support.reason}. ` : "";
    const told = [make("p", runs + quality, "soft"), ...tried(scheme.canary)];
    parts.push(more(`scheme ${one.name} ${scheme.scheme}`, `${scheme.scheme}: every reason`, [...told, box]));
  }
  return parts;
}

function mixTable(mixNow, mixDecision, hours, name) {
  const names = Object.keys(PARTS).filter((part) => [mixNow, mixDecision].some((mix) => known(mix) && part in mix) || (known(hours) && part in hours.shares));
  const rows = names.map((part) => {
    const swatch = make("span", undefined, "swatch");
    swatch.style.background = partColour(part);
    const over = known(mixDecision) && part in mixDecision ? figure(mixDecision[part], percent)
      : known(hours) && part in hours.shares ? make("span", percent(mean(hours.shares[part], hours.covered_s))) : "not known";
    return [filled("span", [swatch, PARTS[part]]), known(mixNow) && part in mixNow ? figure(mixNow[part], percent) : "not known", over];
  });
  return table(["Time goes to", "Now", "Over the span"], rows, "mix", `Mix of ${name}`);
}

function mixParts(card, shown, hours, name) {
  const {mix_now: now, mix_decision: decision} = shown;
  const parts = [make("h4", "Where the time goes")];
  if (!known(now) && !known(decision) && !known(hours)) {
    dropped(card.hours);
    return [...parts, make("p", now?.missing ?? "not known", "missing")];
  }
  if (known(now)) {
    const bound = MEMORY_PARTS.filter((part) => part in now).reduce((sum, part) => sum + now[part].value, 0);
    parts.push(make("p", "Now", "label"), bar(now, `Now: ${Object.keys(PARTS).filter((part) => part in now).map((part) => PARTS[part] + " " + percent(now[part].value)).join(", ")}; reading memory ${percent(bound)}`));
  } else {
    parts.push(make("p", "Now: " + (now?.missing ?? "not known"), "missing"));
  }
  return parts;
}

function hoursText(hours, history_s) {
  if (hours === undefined) return "The hours are being read…";
  if (!known(hours)) return "Hour by hour: " + (hours?.missing ?? "not known");
  const all = Math.round(history_s / 3600), seen = hours.start_s.length;
  const span = all >= 48 ? `${Math.round(all / 24)} days` : `${all} hours`;
  return seen >= all ? `Last ${span}, by hour (${hours.evidence})`
    : `Last ${span}, by hour (${hours.evidence}): ${seen} of ${all} hours are known; the plot begins with the first`;
}

function stepsText(shown) {
  const {step_sizes: sizes} = shown, texts = [], marks = [];
  for (const one of shown.report.schemes) {
    if (!known(one.prediction)) {
      texts.push([one.scheme, one.prediction?.missing ?? "no prediction"]);
      continue;
    }
    const tokens = one.prediction.break_even_tokens;
    if (tokens === null) texts.push([one.scheme, "helps steps of every size looked at"]);
    else if (tokens === 0) texts.push([one.scheme, "helps steps of no size"]);
    else {
      marks.push({name: one.scheme, tokens});
      const kind = known(sizes) ? sizeShare(sizes) : null;
      const beyond = known(sizes) ? sizes.sizes.filter((size) => size.mean_tokens > tokens).reduce((sum, size) => sum + (size[kind] ?? 0), 0) : null;
      texts.push([one.scheme, `breaks even at ${whole(tokens)} tokens a step` + (beyond === null ? "" : `; ${percent(beyond)} of ${kind === "busy" ? "busy time" : "steps"} is in larger ones`)]);
    }
  }
  return {texts, marks};
}

function objective(one, what) {
  return one ? `${seconds(one.seconds)} for ${percent(one.share)}` : `no objective for ${what}`;
}

function latency(one) {
  const title = make("h4", "Latency at today's load, before and after");
  const {capacity} = one;
  if (!capacity || !known(capacity.replica)) {
    return [title, make("p", capacity?.replica?.missing ?? "Not computed yet.", "missing")];
  }
  const {objectives} = capacity;
  const heads = ["", "First token", "Gap between tokens", "Load one replica carries"];
  const shown = (goal, value) => {
    const box = figure(value, seconds);
    if (goal && finite(value)) box.prepend(make("span", value.value <= goal.seconds ? "✓ within " : "✗ over ", value.value <= goal.seconds ? "kept" : "missed"));
    return box;
  };
  const row = (name, side) => [
    name, shown(objectives.first_token, side.today.first_token_s), shown(objectives.token_gap, side.today.token_gap_s),
    figure(side.capacity_per_s, (value) => plain(value) + "/s"),
  ];
  const rows = [
    ["Objective", make("span", objective(objectives.first_token, "the first token"), objectives.first_token ? "" : "missing"),
      make("span", objective(objectives.token_gap, "gaps"), objectives.token_gap ? "" : "missing"), ""],
    row("as served now", capacity.replica),
  ];
  for (const scheme of one.schemes) {
    const told = scheme.capacity?.replica;
    if (known(told)) rows.push(row(scheme.scheme, told.after));
    else rows.push([scheme.scheme, make("span", told?.missing ?? "not computed", "missing"), "", ""]);
  }
  const share = (one) => percent(one?.share ?? USUAL_SHARE);
  const bound = BOUNDS[capacity.replica.bound] ?? capacity.replica.bound;
  return [
    title, table(heads, rows, "latency", `Latency of ${one.name}`),
    make("p", `${share(objectives.first_token)} of first tokens and ${share(objectives.token_gap)} of gaps come within the time shown. What bounds a replica's load now: ${bound}.`, "soft"),
  ];
}

function article(one) {
  if (!one.article) return [];
  const {scenario, checklist, decision} = one.article, parts = [];
  if (typeof decision === "string") parts.push(make("p", `Decision matrix: ${decision}.`));
  if (known(scenario) && scenario?.name) parts.push(make("p", `Nearest scenario: ${scenario.name.replaceAll("_", " ")}, a ${scenario.high_roi ? "high" : "low"}-return one.`));
  const told = {true: "yes", false: "no", null: "unknown"};
  if (Array.isArray(checklist)) {
    parts.push(table(["Reason to skip quantization", "Holds", "Because"], checklist.map((line) => [line.name.replaceAll("_", " "), told[line.holds], line.why]), "plain", `Skip checklist of ${one.name}`));
  }
  return [more("article " + one.name, "The published rules of thumb, on these figures", parts)];
}

function others(one) {
  if (!one.options?.length) return [];
  const rows = one.options.map((option) => [
    `${option.gpus_per_replica} × ${option.gpu}`, option.scheme ?? "as served now", figure(option.replicas, whole),
    figure(option.usd_per_month, usd), figure(option.saving_usd_per_month, usd),
  ]);
  return [make("h4", "Other GPUs"), table(["GPUs a replica", "Scheme", "Replicas", "Bill / month", "Saving / month"], rows, "plain", `Other GPUs for ${one.name}`)];
}

// A card with places that stay, so that a refresh moves nothing; what is folded away is not drawn.
export function makeCard(open) {
  const element = make("article"), card = {element};
  card.title = make("h3");
  for (const name of ["verdict", "facts", "money", "schemes", "mix", "mixTable", "steps", "latency", "rest"]) card[name] = make("div");
  card.hours = make("div", undefined, "plot");
  card.hoursText = make("p", undefined, "label");
  card.stepsPlot = make("div", undefined, "plot");
  const left = filled("section", [card.mix, card.hoursText, card.hours, card.mixTable]);
  const right = filled("section", [card.steps, card.stepsPlot, card.stepsText = make("div")]);
  card.body = filled("details", [
    make("summary", "What the verdict rests on"),
    card.money, card.schemes, filled("div", [left, right], "pair"), card.latency, card.facts, card.rest,
  ], "body");
  card.body.open = open;
  card.body.addEventListener("toggle", () => card.refill?.());
  element.append(card.title, card.verdict, card.body);
  return card;
}

export function fillCard(card, shown, hours, history_s, answering, now_s) {
  const one = shown.report;
  renewIf(card.title, [one.name, one.simulated], () => [one.name, ...(one.simulated ? [make("span", "simulated", "tag")] : [])]);
  renewIf(card.verdict, [one.schemes.map((each) => [each.state, each.judged]), Math.floor(now_s / 60)], () => headline(one, now_s));
  card.refill = () => {
    if (card.body.open) fillBody(card, shown, hours, history_s, answering);
  };
  card.refill();
}

function fillBody(card, shown, hours, history_s, answering) {
  const one = shown.report;
  renewIf(card.money, [one.usd_per_million_tokens, one.token_costs, one.usd_per_hour, one.price_source, one.price_stale], () => [costs(one)]);
  renewIf(card.schemes, one.schemes, () => schemes(one));
  renewIf(card.mix, [shown.mix_now, shown.mix_decision, hours], () => mixParts(card, shown, hours, one.name));
  renewIf(card.hoursText, [hours, history_s], () => [hoursText(hours, history_s)]);
  renewIf(card.mixTable, [shown.mix_now, shown.mix_decision, hours], () => [mixTable(shown.mix_now, shown.mix_decision, hours, one.name)]);
  card.hours.hidden = !known(hours);
  if (known(hours)) hoursPlot(card.hours, hours, one.name);
  const {texts, marks} = stepsText(shown), sizes = shown.step_sizes;
  const title = make("h4", "Steps by size, against each scheme's break-even");
  renewIf(card.steps, [sizes, texts], () => [title, known(sizes)
    ? make("p", sizeShare(sizes) === "busy" ? `Share of busy time by tokens per step (${sizes.evidence})` : "Share of steps by tokens per step (counted; their time is not known)", "label")
    : make("p", sizes?.missing ?? "not known", "missing")]);
  card.stepsPlot.hidden = !known(sizes);
  if (known(sizes)) stepsPlot(card.stepsPlot, sizes, marks, one.name);
  renewIf(card.stepsText, texts, () => [filled("ul", texts.map(([name, text]) => filled("li", [make("b", name), " " + text])), "plain")]);
  renewIf(card.latency, [one.capacity, one.schemes.map((each) => each.capacity)], () => latency(one));
  renewIf(card.facts, [one, answering], () => [make("h4", "What it rests on"), summary(one, answering), ...one.assumed.map((text) => make("p", "Assumed: " + text, "soft"))]);
  renewIf(card.rest, [one.options, one.article], () => [...others(one), ...article(one)]);
}
