import { card, flag, integer, oneOf } from "./shared/card.js";
import { h, button, choice, player, slider } from "./shared/dom.js";
import { decodeMap, legend, paintClasses, pixelPicture, rgb } from "./shared/picture.js";
import { readCounts, stackMultiplications } from "./shared/windows.js";
/* A window slides over a picture, one pixel at a time. The state is how many windows are `done`; how often each
   pixel was read, what was multiplied and which answers are there follow from it. */

const VIEWS = [["reads", "reads"], ["answers", "answers"], ["picture", "picture"]];
const SPEEDS = [20, 100, 400]; // windows a second
const TICK = 50; // ms
const whole = (value) => value.toLocaleString("en");
const factor = (value) => value.toFixed(1);

/** Paints how often pixels were read, from never (clear) to `most` times, in the colours that the style names. */
function paintReads(context, counts, most) {
  const style = getComputedStyle(context.canvas);
  const [low, middle, high] = ["low", "middle", "high"].map((name) => rgb(style.getPropertyValue("--heat-" + name).trim()));
  const image = context.createImageData(context.canvas.width, context.canvas.height);
  counts.forEach((count, index) => {
    if (!count) return;
    const part = 2 * count / most;
    const [from, to, share] = part < 1 ? [low, middle, part] : [middle, high, part - 1];
    image.data.set([...from.map((value, channel) => value + share * (to[channel] - value)), 205], 4 * index);
  });
  context.putImageData(image, 0, 0);
}

/** The window as the network sees it: outside the picture its outermost pixels are repeated. */
function drawPatch(context, image, row, column, window) {
  const clamp = (value, size) => Math.min(size - 1, Math.max(0, value));
  context.canvas.width = context.canvas.height = window;
  for (let y = 0; y < window; y += 1) {
    for (let x = 0; x < window; x += 1) {
      const from = [column + x - (window - 1) / 2, row + y - (window - 1) / 2];
      context.drawImage(image, clamp(from[0], image.naturalWidth), clamp(from[1], image.naturalHeight), 1, 1, x, y, 1, 1);
    }
  }
}

/** The counts as lines of a formula; update() gives them their numbers. */
function formula() {
  const cell = (name) => h("span", { "data-variable": name });
  const cells = { done: cell("done"), all: cell(), times: cell("done"), side: cell("window"), values: cell(), most: cell(),
    again: cell("done"), each: cell(), spent: cell(), once: cell(), ratio: cell(), layers: cell() };
  const bar = () => h("dd", { class: "lesson-bar", "aria-hidden": "true" });
  const bars = { spent: bar(), once: bar() };
  const line = (name, value, ...more) => h("div", {}, h("dt", {}, name), h("dd", {}, ...value), ...more);
  const lines = (...children) => h("dl", { class: "lesson-sums lesson-formula" }, ...children);
  const reads = lines(
    line("windows so far", [cells.done, " of ", cells.all]),
    line("pixels read, padding too", [cells.times, " × ", cells.side, "² = ", h("b", {}, cells.values)]),
    line("most often read pixel", [h("b", {}, cells.most)]));
  const costs = lines(
    line("window by window", [cells.again, " × ", cells.each, " = ", h("b", {}, cells.spent)], bars.spent),
    line("one pass, all windows at once", [h("b", {}, cells.once)], bars.once),
    line("ratio so far", [h("b", { class: "lesson-ratio" }, cells.ratio)]));
  const note = h("p", { class: "lesson-recorded" }, "Both run the same network: ", cells.layers, ".");
  return {
    nodes: [reads, h("p", { class: "lesson-sums-title" }, "Multiplications"), costs, note],
    update({ done, window, total, most, each, once, width }) {
      const sides = Array.from({ length: (window - 1) / 2 }, (_, layer) => window - 2 - 2 * layer);
      const texts = { done: whole(done), all: whole(total), times: whole(done), side: window, values: whole(done * window * window), most,
        again: whole(done), each: whole(each), spent: whole(done * each), once: whole(once),
        ratio: factor(done * each / once) + " ×",
        layers: `${sides.length} unpadded 3×3 convolution${sides.length > 1 ? "s" : ""} of ${width} channels that shrink ${window} px to ${sides.join(", ")}, then one answer` };
      for (const [key, text] of Object.entries(texts)) cells[key].textContent = text;
      bars.spent.style.width = 100 * done / total + "%";
      bars.once.style.width = 100 * once / (each * total) + "%";
    },
  };
}

function render({ model, el }) {
  const [rows, columns, width] = ["rows", "columns", "width"].map((key) => model.get(key));
  const names = model.get("class_names");
  const answers = decodeMap(model.get("answers"));
  const total = rows * columns;
  el.classList.add("lesson-sliding");

  return card({
    model, el,
    rules: {
      done: integer(1, total), revealed: flag, view: oneOf(VIEWS.map(([value]) => value)), speed: oneOf(SPEEDS),
      window: (value) => { const half = integer(1, 7)((value - 1) / 2); return half && 2 * half + 1; },
    },
    build({ picture, controls, set }) {
      const go = (done) => set({ done, revealed: true });
      const image = h("img", { src: model.get("image"), alt: "" });
      const stack = pixelPicture({ rows, columns, label: "The picture under the window.", onmove: ({ row, column }) => {
        play.stop();
        go(row * columns + column + 1);
      } });
      stack.prepend(image);
      const layers = { reads: stack.layer(), answers: stack.layer() };
      const centre = h("div", { class: "lesson-centre", style: `width: ${100 / columns}%; height: ${100 / rows}%` });
      stack.append(centre);
      const most = h("span");
      const keys = { reads: h("p", { class: "lesson-heat" }, "read once", h("i"), most), answers: legend(names), picture: "" };
      const patch = h("canvas", { class: "lesson-patch", role: "img", "aria-label": "The window's pixels, as the network sees them." });
      const answer = h("b");
      const key = h("div", { class: "lesson-key" });
      picture.append(stack, key);

      const view = choice({ label: "Show", options: VIEWS, onchange: (value) => set({ view: value }) });
      const window = slider({ label: "Window w", min: 3, max: 15, step: 2, show: (value) => `${value} × ${value} px`, onchange: (value) => set({ window: value }) });
      const speed = choice({ label: "Windows a second", options: SPEEDS.map((value) => [value, value]), onchange: (value) => set({ speed: value }) });
      const play = player({ milliseconds: TICK, label: "Play", step() {
        const done = model.get("done") % total;
        const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
        go(still ? total : Math.min(total, done + model.get("speed") * TICK / 1000));
        return model.get("done") < total;
      } });
      play.classList.add("lesson-button-main");
      const step = button("Step", () => { play.stop(); go(model.get("done") % total + 1); });
      const sums = formula();
      window.dataset.variable = "window";
      controls.append(view, window, speed, h("div", { class: "lesson-row" }, play, step,
        h("div", { class: "lesson-cut" }, patch, "→", answer)), ...sums.nodes);

      let latest = null;
      image.addEventListener("load", () => show(latest));

      function show(state) {
        latest = state;
        const { done, revealed } = state;
        if (!revealed) play.stop();
        const row = Math.floor((done - 1) / columns), column = (done - 1) % columns;
        const size = { window: state.window, width, classes: names.length };
        const each = stackMultiplications({ rows: 1, columns: 1, ...size });
        const once = stackMultiplications({ rows, columns, ...size });
        const counts = readCounts(rows, columns, state.window, done);
        const area = state.window ** 2;

        stack.update({ row, column, window: state.window });
        centre.style.left = 100 * column / columns + "%";
        centre.style.top = 100 * row / rows + "%";
        stack.dataset.view = state.view;
        if (state.view === "reads") paintReads(layers.reads, counts, area);
        if (state.view === "answers") paintClasses(layers.answers, answers, names, (index) => Number(index < done));
        if (image.naturalWidth) drawPatch(patch.getContext("2d"), image, row, column, state.window);
        answer.textContent = names[answers[done - 1]] || "void";
        if (key.firstChild !== keys[state.view]) key.replaceChildren(keys[state.view]);
        most.textContent = revealed ? `${area} times` : "most often";
        sums.update({ done, window: state.window, total, each, once, width, most: revealed ? whole(Math.max(...counts)) + " times" : "?" });
        view.update(state.view);
        window.update(state.window);
        speed.update(state.speed);
        keys.answers.update(names[answers[done - 1]]);
        return sentence(state, { row, column, area, each, once, middle: counts[Math.floor(rows / 2) * columns + Math.floor(columns / 2)] });
      }

      function sentence({ done, revealed, window: side }, { row, column, area, each, once, middle }) {
        const shared = area - side;
        if (!revealed) return "Predict first. Once every pixel has had its window, how often will the pixel in the very middle have been read? Then press Play.";
        if (done === total) return `Every pixel has its answer. The one in the middle was read ${middle} times, once for each window that covers it. `
          + `But features are shared more unevenly than reads: window by window costs ${factor(done * each / once)} times the multiplications of one pass.`;
        if (play.getAttribute("aria-pressed") === "true") return `Each window reads ${area} pixels and answers for one. A window one pixel further reads ${shared} of them again.`;
        return `Window ${whole(done)}, round row ${row}, column ${column}, reads ${area} pixels and answers for one. `
          + `A window one pixel further reads ${shared} of them again.`;
      }

      return { show, stop: play.stop };
    },
  });
}

export default { render };
