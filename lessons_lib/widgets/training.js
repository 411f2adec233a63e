import { card } from "./shared/card.js";
import { h, player, slider } from "./shared/dom.js";
import { decodeMap, paintClasses, pixelPicture } from "./shared/picture.js";
/* A training, live or recorded: `losses` holds one number a step, `frames` the sample's predictions after some of
   the steps. The state is which of these frames is shown. */

const VOID = 255;
const percent = (share) => Math.round(100 * share) + "\u00a0%";
const list = (words) => words.join(", ").replace(/, ([^,]*)$/, " and $1");

/** Compares a prediction with the truth: share of right pixels, and for each true class its share that is found. */
function score(predicted, truth, names) {
  const area = names.map(() => 0), found = names.map(() => 0);
  truth.forEach((id, index) => {
    if (id === VOID) return;
    area[id] += 1;
    found[id] += predicted[index] === id;
  });
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  return { accuracy: sum(found) / sum(area), trivial: Math.max(...area) / sum(area), largest: names[area.indexOf(Math.max(...area))],
    found: found.map((count, id) => (area[id] ? count / area[id] : null)) };
}

/** The smallest 1, 2, 3, 4, 6 or 8 times a power of ten that is not below `value`. */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 3, 4, 6, 8, 10].map((digit) => digit * power).find((limit) => limit >= value * (1 - 1e-9));
}

/** The loss curve. Steps after the one that is shown are faint. */
function curve() {
  const svg = (tag, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
    return node;
  };
  const lines = [svg("path", { class: "is-later" }), svg("path", {})];
  const plot = svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" });
  plot.append(svg("path", { class: "lesson-curve-grid", d: "M0 50H100M0 0H100" }), ...lines);
  const dot = h("i", { class: "lesson-curve-dot" });
  const ticks = { top: h("span"), half: h("span"), last: h("span") };
  const node = h("div", { class: "lesson-curve", role: "img" },
    h("span", { class: "lesson-curve-name" }, "loss"),
    h("div", { class: "lesson-curve-y" }, ticks.top, ticks.half, h("span", {}, "0")),
    h("div", { class: "lesson-curve-plot" }, plot, dot),
    h("div", { class: "lesson-curve-x" }, h("span", {}, "step 0"), ticks.last));
  node.update = (losses, step) => {
    const seen = losses.filter((loss) => loss !== null);
    const limit = roundUp(Math.max(...seen, 1e-6)), last = Math.max(1, losses.length - 1);
    const at = (index) => [100 * index / last, 100 - 100 * losses[index] / limit];
    const path = (from, to) => losses.slice(from, to + 1).map((loss, index) => loss === null ? "" :
      (index && losses[from + index - 1] !== null ? "L" : "M") + at(from + index).map((value) => value.toFixed(2)).join(" ")).join("");
    lines[0].setAttribute("d", path(step, last));
    lines[1].setAttribute("d", path(0, step));
    dot.hidden = losses[step] == null;
    const [x, y] = at(step);
    Object.assign(dot.style, { left: x + "%", top: y + "%" });
    Object.entries({ top: limit, half: limit / 2, last: losses.length - 1 }).forEach(([key, value]) => { ticks[key].textContent = value; });
    node.setAttribute("aria-label", `Loss over ${losses.length} steps: ${seen[0]} at first, ${seen.at(-1)} at the end.`);
  };
  return node;
}

/** For each class of the truth, how much of it is found: a bar in the class's colour. */
function shares(names) {
  const rows = names.map((name) => {
    const bar = h("i", { class: "lesson-share-bar lesson-swatch-" + name, style: `background-color: var(--class-${name})` });
    const value = h("span");
    return { bar, value, row: h("li", {}, h("span", {}, name), h("span", { class: "lesson-share" }, bar), value) };
  });
  const node = h("ul", { class: "lesson-shares" }, ...rows.map(({ row }) => row));
  node.update = (found) => rows.forEach(({ bar, value, row }, id) => {
    row.hidden = found[id] === null;
    bar.style.width = 100 * found[id] + "%";
    value.textContent = percent(found[id]);
  });
  return node;
}

function render({ model, el }) {
  const [rows, columns] = model.get("shape"), names = model.get("class_names");
  const truth = decodeMap(model.get("truth"));
  const frames = () => model.get("frames");
  el.classList.add("lesson-training");

  return card({
    model, el,
    rules: { frame: (value) => (Number.isFinite(value) ? Math.min(frames().length - 1, Math.max(0, Math.round(value))) : undefined) },
    build({ picture, controls, set }) {
      const panel = (label, caption) => {
        const stack = pixelPicture({ rows, columns, label });
        return { stack, node: h("div", { class: "lesson-panel" }, stack, caption) };
      };
      const name = h("span");
      const sample = panel("The sample.", h("span", {}, "sample")), guess = panel("The network’s prediction.", name);
      const right = panel("The truth.", h("span", {}, "truth"));
      sample.stack.prepend(h("img", { src: model.get("image"), alt: "" }));
      paintClasses(right.stack.layer(), truth, names);
      const layer = guess.stack.layer();
      const chart = curve();
      picture.append(h("div", { class: "lesson-panels" }, sample.node, guess.node, right.node), chart);

      const steps = slider({ label: "After step", min: 0, max: 0, show: (at) => frames()[at]?.step ?? "", onchange: (frame) => set({ frame }) });
      const play = player({ milliseconds: 220, label: "Play the training", step() {
        set({ frame: (model.get("frame") + 1) % frames().length });
        return model.get("frame") < frames().length - 1;
      } });
      play.classList.add("lesson-button-main");
      const found = shares(names);
      const origin = h("p", { class: "lesson-recorded" });
      controls.append(steps, h("div", { class: "lesson-row" }, play), h("p", { class: "lesson-shares-title" }, "Found of each class in the sample"), found, origin);

      function show({ frame }) {
        const phase = model.get("phase"), looks = frames(), look = looks[frame];
        chart.hidden = !look;
        controls.hidden = !look;
        origin.textContent = phase === "recorded" ? "Recorded while this page was built; run the notebook to see it live." : "";
        play.disabled = phase === "running";
        if (!look) return phase === "running" ? "Training begins." : "Nothing was trained here.";
        const predicted = decodeMap(look.map);
        paintClasses(layer, predicted, names);
        name.textContent = "prediction, step " + look.step;
        steps.querySelector("input").max = looks.length - 1;
        steps.update(frame);
        chart.update(model.get("losses"), look.step);
        const scores = score(predicted, truth, names);
        found.update(scores.found);
        return phase === "running" || play.getAttribute("aria-pressed") === "true"
          ? "Watch the prediction: which classes appear first, and which last?" : words(look.step, scores);
      }

      function words(step, { accuracy, trivial, largest, found: share }) {
        const missed = names.filter((_, id) => share[id] !== null && share[id] < 0.5);
        return `After step ${step} the network gives ${percent(accuracy)} of the sample’s pixels their true class; `
          + `painting everything ${largest} would give ${percent(trivial)}. `
          + (missed.length ? `It still misses more than half of ${list(missed)}.` : "It finds at least half of every class.");
      }
      return { show, stop: play.stop };
    },
  });
}

export default { render };
