// The two plots: where the hours went, stacked; and steps by size against each scheme's break-even.
import {percent, whole} from "./figures.js";

export const PARTS = {
  weight_read: "reading weights", kv_read: "reading KV cache", decode_compute: "decode arithmetic",
  decode: "decode", prefill: "prefill", overhead: "overhead", idle: "idle",
};
export const MEMORY_PARTS = ["weight_read", "kv_read"];
const HOUR_S = 3600;
const plots = new Set();
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
export const partColour = (name) => `var(--part-${name.replaceAll("_", "-")})`;
const painted = (name) => () => colour("part-" + name.replaceAll("_", "-"));
const DAY = new Intl.DateTimeFormat(undefined, {day: "numeric", month: "short"});
const clock = (at) => (at.getHours() || at.getMinutes() ? at.toTimeString().slice(0, 5) : DAY.format(at));
const axis = (more) => ({
  stroke: () => colour("soft"), grid: {stroke: () => colour("line"), width: 1}, ticks: {show: false},
  font: "12px system-ui, sans-serif", ...more,
});

// Keeps one plot a place: new data go into it, and it is made anew only where its series are others.
function drawn(place, key, options, data, say) {
  place.setAttribute("role", "img");
  place.setAttribute("aria-label", say);
  let plot = place.plot;
  const width = () => Math.max(240, Math.floor(place.clientWidth));
  if (!plot || plot.key !== key) {
    if (plot) {
      plot.watch.disconnect();
      plot.chart.destroy();
      plots.delete(plot);
    }
    plot = {key, chart: new uPlot({...options, width: width()}, data, place)};
    plot.watch = new ResizeObserver(() => {
      if (plot.chart.width !== width()) plot.chart.setSize({width: width(), height: options.height});
    });
    plot.watch.observe(place);
    place.plot = plot;
    plots.add(plot);
  } else {
    plot.chart.setData(data);
  }
}

export function dropped(place) {
  if (!place.plot) return;
  place.plot.watch.disconnect();
  place.plot.chart.destroy();
  plots.delete(place.plot);
  place.plot = null;
  place.removeAttribute("role");
  place.removeAttribute("aria-label");
}

export const repaint = () => plots.forEach((one) => one.chart.redraw(true, true));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);

// Hours between the first and the last of which nothing is known stay empty.
function hourly(hours) {
  const first = hours.start_s[0], count = Math.round((hours.start_s.at(-1) - first) / HOUR_S) + 1;
  const at = new Map(hours.start_s.map((start, index) => [Math.round((start - first) / HOUR_S), index]));
  const starts = Array.from({length: count + 1}, (_, index) => first + index * HOUR_S);
  const column = (values) => [...starts.slice(0, count).map((_, index) => (at.has(index) ? values[at.get(index)] : null)), null];
  return {starts, column};
}

export function hoursPlot(place, hours, name) {
  const names = Object.keys(PARTS).filter((one) => one in hours.shares);
  const {starts, column} = hourly(hours);
  const columns = names.map((one) => column(hours.shares[one]));
  const stacked = [];
  columns.forEach((values, index) => {
    stacked.push(values.map((value, hour) => (value === null ? null : value + (index ? stacked[index - 1][hour] : 0))));
  });
  // The last step has to be told its end; the highest stack is painted first and the others over it.
  stacked.forEach((values) => { values[values.length - 1] = values.at(-2); });
  const options = {
    height: 190, padding: [8, 26, 0, 0], cursor: {show: false}, legend: {show: false},
    scales: {x: {time: true}, y: {range: [0, 1]}},
    axes: [axis({space: 60, size: 28, values: (_, ticks) => ticks.map((one) => clock(new Date(1000 * one)))}), axis({size: 48, values: (_, ticks) => ticks.map((one) => Math.round(100 * one) + " %")})],
    series: [{}, ...[...names].reverse().map((one) => ({
      label: PARTS[one], paths: uPlot.paths.stepped({align: 1}), points: {show: false}, width: 0,
      stroke: painted(one), fill: painted(one),
    }))],
  };
  const means = names.map((one) => `${PARTS[one]} ${percent(mean(hours.shares[one], hours.covered_s))}`).join(", ");
  drawn(place, "hours " + names.join(), options, [starts, ...stacked.reverse()], `Time of ${name} by hour, on average: ${means}`);
}

export function mean(values, weights) {
  const all = weights.reduce((sum, one) => sum + one, 0);
  return values.reduce((sum, one, index) => sum + one * weights[index], 0) / all;
}

// Where a number of tokens lies between the bars: bar i holds steps of more than the bound before it.
function placeOf(tokens, sizes) {
  const bounds = sizes.map((one) => (typeof one.up_to_tokens === "number" ? one.up_to_tokens : 2 * sizes.at(-2).up_to_tokens));
  const at = bounds.findIndex((bound) => tokens <= bound);
  if (at < 0) return bounds.length - 0.5;
  const low = at ? bounds[at - 1] : 0.5;
  return at - 0.5 + Math.log(Math.max(tokens, low) / low) / Math.log(bounds[at] / low);
}

// A share of time where it is known, of steps where it is not.
export const sizeShare = (sizes) => (sizes.sizes.every((one) => one.busy === null) ? "steps" : "busy");

export function stepsPlot(place, sizes, marks, name) {
  const kind = sizeShare(sizes);
  const last = sizes.sizes.reduce((found, one, index) => (one.steps > 0 ? index : found), 0);
  const farthest = Math.max(last, ...marks.map((one) => Math.min(sizes.sizes.length - 1, Math.ceil(placeOf(one.tokens, sizes.sizes)))));
  const told = sizes.sizes.slice(0, farthest + 1);
  const label = (index) => {
    const one = told[index];
    return one === undefined ? "" : typeof one.up_to_tokens === "number" ? "≤" + whole(one.up_to_tokens) : "more";
  };
  place.marks = marks.map((one) => ({...one, at: placeOf(one.tokens, sizes.sizes)})).sort((a, b) => a.at - b.at);
  const options = {
    height: 210, padding: [22, 12, 0, 0], cursor: {show: false}, legend: {show: false},
    scales: {x: {time: false, range: [-0.6, told.length - 0.4]}, y: {range: (_, __, most) => [0, Math.max(0.05, most * 1.08)]}},
    axes: [
      axis({space: 46, size: 28, incrs: [1, 2, 4, 8], grid: {show: false}, values: (_, ticks) => ticks.map((one) => (Number.isInteger(one) ? label(one) : ""))}),
      axis({size: 48, values: (_, ticks) => ticks.map((one) => Math.round(100 * one) + " %")}),
    ],
    series: [{}, {
      label: kind, paths: uPlot.paths.bars({size: [0.7, 60]}), points: {show: false}, width: 0,
      stroke: () => colour("bar"), fill: () => colour("bar"),
    }],
    hooks: {draw: [(chart) => drawMarks(chart, place.marks)]},
  };
  const say = told.filter((one) => one.steps > 0.005).map((one) => `up to ${one.up_to_tokens} tokens ${percent(one[kind] ?? 0)}`).join(", ");
  const data = [told.map((_, index) => index), told.map((one) => one[kind])];
  drawn(place, `steps ${kind} ${told.length}`, options, data, `Share of ${kind === "busy" ? "busy time" : "steps"} of ${name} by tokens per step: ${say}`);
}

function drawMarks(chart, marks) {
  const {ctx, bbox} = chart, ratio = devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colour("mark");
  ctx.lineWidth = 2 * ratio;
  ctx.font = `${12 * ratio}px system-ui, sans-serif`;
  marks.forEach((mark, index) => {
    const x = chart.valToPos(mark.at, "x", true);
    ctx.setLineDash([6 * ratio, 4 * ratio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    // The label on the side with more room; neighbours on lines of their own.
    const right = x > bbox.left + bbox.width / 2;
    ctx.textAlign = right ? "right" : "left";
    ctx.fillText(mark.name, x + (right ? -5 : 5) * ratio, bbox.top + (12 + 15 * (index % 6)) * ratio);
  });
  ctx.restore();
}

// A bar of shares that add up to one; widths are set through the object model, as the policy allows.
export function bar(shares, say) {
  const box = document.createElement("div");
  box.className = "bar";
  box.setAttribute("role", "img");
  box.setAttribute("aria-label", say);
  for (const name of Object.keys(PARTS)) {
    if (!(name in shares)) continue;
    const part = document.createElement("div");
    part.style.width = 100 * Math.max(0, shares[name].value) + "%";
    part.style.background = partColour(name);
    box.append(part);
  }
  return box;
}
