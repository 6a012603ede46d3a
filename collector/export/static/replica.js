// One replica: its live figures, and the chain from raw counters to them.
import {called, facts, figure, filled, known, make, percent, plain, renewIf, seconds, when} from "./figures.js";
import {PARTS, bar, partColour, repaint, sizeShare, stepsPlot} from "./plots.js";
import {fetchJson, onPaper, repeat, tellProblems} from "./refresh.js";

const byId = (id) => document.getElementById(id);
const id = new URLSearchParams(location.search).get("id") ?? "";

function now(one) {
  return [facts([
    ["Deployment", make("span", one.deployment)],
    ["Engine", make("span", [one.identity.engine, one.identity.engine_version].filter(Boolean).join(" "))],
    ["GPU", make("span", one.identity.gpu ?? "not reported")],
    ["Data", make("span", one.fresh ? "fresh" : "stale", one.fresh ? "up" : "down")],
    ["Busy", figure(one.phases.busy, percent)], ["Prefill share of busy time", figure(one.phases.prefill_marginal, percent)],
    ["… a step with any prompt token counted whole", figure(one.phases.prefill_exclusive, percent)],
    ["Memory-bound share of busy time", figure(one.phases.memory_bound, percent)],
    ["Decode batch", figure(one.decode_batch, plain)], ["Generated tokens per second", figure(one.generation_tokens_per_s, plain)],
    ["Computed prompt tokens per second", figure(one.prefill_tokens_per_s, plain)],
    ["First token, mean", figure(one.time_to_first_token_s, seconds)], ["Token gap, mean", figure(one.inter_token_s, seconds)],
    ["Waiting requests", figure(one.waiting_requests, plain)], ["KV cache in use", figure(one.kv_usage, percent)],
    ["Wanted but not reported by this engine", make("span", one.unreported.length ? one.unreported.join(", ") : "nothing")],
  ])];
}

function mix(parts) {
  if (!known(parts)) return [make("p", parts?.missing ?? "not known", "missing")];
  const names = Object.keys(PARTS).filter((name) => name in parts);
  const say = names.map((name) => `${PARTS[name]} ${percent(parts[name].value)}`);
  return [bar(parts, say.join(", ")), filled("ul", names.map((name, index) => {
    const swatch = make("span", undefined, "swatch");
    swatch.style.background = partColour(name);
    return filled("li", [swatch, say[index]]);
  }), "legend")];
}

function link(one, index) {
  const box = make("details"), text = make("pre", one.text);
  box.dataset.key = "chain " + index;
  box.open = true;
  text.tabIndex = 0;
  text.dataset.key = "text " + index;
  text.setAttribute("role", "region");
  text.setAttribute("aria-label", one.title);
  box.append(make("summary", one.title), text);
  return box;
}

async function refresh() {
  const root = document.documentElement;
  try {
    const answer = await fetchJson("/api/v1/replicas/" + encodeURIComponent(id || "none"));
    if (!answer.ok) {
      byId("made").textContent = "";
      tellProblems(byId("problem"), [answer.status === 404 ? "The last report has no such replica: it may be gone, or under another name since." : answer.body.error + "."]);
      root.dataset.state = "lost";
      return;
    }
    const {replica, made_at_s: made, stale, simulated, explained} = answer.body;
    byId("name").replaceChildren(called(replica.replica.model, "(no name)"), " rank " + replica.replica.rank);
    byId("target").textContent = replica.replica.target;
    byId("made").textContent = "Report of " + when(made);
    byId("simulated").hidden = !simulated;
    renewIf(byId("bar"), replica.phases.components, () => mix(replica.phases.components));
    renewIf(byId("now"), [replica], () => now(replica));
    const sizes = replica.history_step_sizes;
    byId("steps").hidden = !known(sizes);
    byId("steps-text").textContent = known(sizes) ? `Share of ${sizeShare(sizes) === "busy" ? "busy time" : "steps"} by tokens per step, over the decision span` : sizes?.missing ?? "not known";
    if (known(sizes)) stepsPlot(byId("steps"), sizes, [], "this replica");
    renewIf(byId("chain"), explained, () => explained.map(link));
    const wrong = [];
    if (stale) wrong.push("Stale: no newer report could be made. What is shown is old.");
    if (!replica.fresh) wrong.push("Stale: this replica does not answer. What is shown is the last that was known.");
    tellProblems(byId("problem"), wrong);
    root.dataset.state = wrong.length ? "stale" : "shown";
  } catch (error) {
    tellProblems(byId("problem"), ["The daemon does not answer. What is shown is old. Asking again every 5 seconds."]);
    root.dataset.state = "lost";
  }
}

onPaper(repaint);
repeat(refresh);
