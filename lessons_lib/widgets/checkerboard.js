import { card, integer, oneOf } from "./shared/card.js";
import { h, button, choice, slider } from "./shared/dom.js";
import { pixelPicture, rgb } from "./shared/picture.js";
import { REMEDIES, insideCounts, insideStart, overlapCounts, randomKernels, throughKernels, upsamplingLayer } from "./shared/overlap.js";
/* Where the stamps of a transposed convolution overlap: along an axis, in two dimensions, and what that does to the
   output of an untrained layer. The state is the layer, how many of it are stacked, and how they are shown. */

const VIEWS = [["line", "along a row"], ["grid", "in 2D"], ["random", "random kernels"]];
const GUESSES = ["", "even", "uneven", "skipped"];
const WIDTHS = [16, 48, 96]; // output px shown, for 1, 2 and 3 layers
const CHANNELS = 64; // of the output of random kernels
const HIDDEN = 8; // channels before it
const short = (value) => (Number.isInteger(value) ? value.toLocaleString("en") : value.toFixed(2).replace(/0$/, ""));
const between = (low, high) => (low === high ? short(low) : `${short(low)} to ${short(high)}`);
const plural = (count, word) => `${short(count)} ${word}${count === 1 ? "" : "s"}`;

/** Everything that the views show about a setting, from its px `first` on. */
function measure({ kernel, stride, layers, remedy }) {
  const layer = upsamplingLayer(kernel, stride, remedy);
  const inside = insideCounts(layer, layers), start = insideStart(layer, layers);
  const width = WIDTHS[layers - 1], factor = layer.repeat * layer.stride;
  const first = start > width / 2 ? start - width / 4 : 0;
  const steps = Array.from({ length: layers }, (_, level) => {
    const zoom = factor ** (layers - 1 - level); // output px for one px after this layer
    const from = Math.floor(first / zoom), to = Math.ceil((first + width) / zoom);
    const counts = overlapCounts(Math.ceil(to / factor ** (level + 1)), layer, level + 1).slice(from, to);
    return { zoom, from, counts, inside: insideCounts(layer, level + 1) };
  });
  return { layer, start, width, first, steps, counts: steps.at(-1).counts, low: Math.min(...inside), high: Math.max(...inside) };
}

/** Colour of a share in [0, 1] of the heat scale that the style names. */
function heatScale(node) {
  const style = getComputedStyle(node);
  const [low, middle, high] = ["low", "middle", "high"].map((name) => rgb(style.getPropertyValue("--heat-" + name).trim()));
  return (share) => {
    const [from, to, part] = share < 0.5 ? [low, middle, 2 * share] : [middle, high, 2 * share - 1];
    return from.map((value, channel) => Math.round(value + part * (to[channel] - value)));
  };
}

/** Paints `color(row, column)`, [red, green, blue] in 0 to 255 or null for nothing, over a whole canvas. */
function paint(context, color) {
  const { width, height } = context.canvas;
  const image = context.createImageData(width, height);
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      const value = color(row, column);
      if (value) image.data.set([...value, 255], 4 * (row * width + column));
    }
  }
  context.putImageData(image, 0, 0);
}

/** The stamps as bars over the axis, the sum below; several layers as one row of sums each. */
function lineView(move) {
  const stacks = WIDTHS.map((width, index) => {
    const stack = pixelPicture({ rows: 1, columns: width, label: "Output pixels along a row.", hover: true, onmove: move });
    stack.style.aspectRatio = "auto";
    stack.classList.add("lesson-overlap-line");
    stack.prepend(h("div", { class: "lesson-overlap-rows", "data-layers": index + 1 }));
    return stack;
  });
  const axis = [h("span"), h("span"), h("span")], node = h("div", {}, h("div"), h("div", { class: "lesson-overlap-axis" }, ...axis));
  const caption = (text) => h("span", { class: "lesson-overlap-name" }, text);

  function stamps({ layer, first, width }, place, high, column) {
    const bars = h("div", { class: "lesson-overlap-stamps" });
    for (let index = 0; index * layer.stride < first + width; index += 1) {
      const from = index * layer.stride - first, reaches = column >= from && column < from + layer.kernel;
      if (from + layer.kernel <= 0) continue;
      bars.append(h("i", { class: reaches && column >= 0 ? "is-reaching" : "", "data-tone": Math.floor(index / layer.repeat) % 2,
        style: `${place(from, layer.kernel)}; bottom: ${100 * (index % Math.ceil(layer.kernel / layer.stride)) / high}%; height: ${100 / high}%` },
      h("b", {}, String(Math.floor(index / layer.repeat)))));
    }
    return bars;
  }

  return {
    node,
    update(facts, { layers, column, guess }) {
      const { first, width, steps, start } = facts, stack = stacks[layers - 1];
      const place = (from, length) => `left: ${100 * from / width}%; width: ${100 * length / width}%`;
      const rows = steps.flatMap(({ zoom, from, counts, inside }, level) => {
        const low = Math.min(...inside), high = Math.max(...inside), most = layers === 1 ? Math.max(2, high) : Math.max(...counts, high);
        const sums = h("div", { class: "lesson-overlap-sums", "data-blocks": String(layers === 1) }, ...(guess === "" ? [h("b", {}, "?")]
          : counts.map((count, at) => h("i", { style: `${place((from + at) * zoom - first, zoom)}; height: ${100 * count / most}%; --unit: ${100 / count}%` }))));
        const numbers = h("div", { class: "lesson-overlap-numbers" }, ...(guess === "" ? [] : counts.map((count) => h("span", {}, String(count)))));
        return layers === 1 ? [caption("stamps, each with the number of its input pixel"), stamps(facts, place, most, column), caption("how many on each output pixel"), sums, numbers]
          : [caption(`after layer ${level + 1}: ${between(low, high)}`), sums];
      });
      if (start > first) rows.push(h("div", { class: "lesson-overlap-border", style: place(0, start - first) }));
      stack.firstChild.replaceChildren(...rows);
      if (node.firstChild.firstChild !== stack) node.firstChild.replaceChildren(stack);
      stack.querySelector(".lesson-cursor").hidden = true;
      if (column >= 0) stack.update({ row: 0, column: Math.min(column, width - 1) });
      axis[0].textContent = `output px ${first}`;
      axis[1].textContent = start > first ? "hatched: border" : "";
      axis[2].textContent = first + width - 1;
    },
  };
}

/** The counts in two dimensions as a heat map, with numbers where there is room. */
function gridView(move) {
  const stacks = WIDTHS.map((width) => {
    const stack = pixelPicture({ rows: width, columns: width, label: "Stamps on each output pixel.", hover: true, onmove: move });
    stack.context = stack.layer();
    stack.numbers = width === WIDTHS[0] ? Array.from({ length: width * width }, () => h("span")) : [];
    stack.border = h("div", { class: "lesson-overlap-inside" });
    stack.insertBefore(stack.border, stack.querySelector(".lesson-cursor"));
    if (stack.numbers.length) stack.insertBefore(h("div", { class: "lesson-overlap-cells" }, ...stack.numbers), stack.border);
    return stack;
  });
  const most = h("span"), edge = h("p", { class: "lesson-recorded" });
  const node = h("div", {}, h("div"), h("p", { class: "lesson-heat" }, "0", h("i"), most), edge);
  return {
    node,
    update({ counts, high, width, start, first }, { layers, row, column }) {
      const stack = stacks[layers - 1], top = Math.max(high, ...counts) ** 2;
      if (node.firstChild.firstChild !== stack) node.firstChild.replaceChildren(stack);
      const color = heatScale(node);
      paint(stack.context, (y, x) => (counts[y] * counts[x] ? color(counts[y] * counts[x] / top) : null));
      stack.numbers.forEach((cell, index) => {
        const count = counts[Math.floor(index / width)] * counts[index % width];
        cell.textContent = count;
        cell.className = count === 0 ? "is-empty" : count / top > 0.4 ? "is-high" : "";
      });
      const from = Math.max(0, start - first) / width;
      Object.assign(stack.border.style, { left: 100 * from + "%", top: 100 * from + "%" });
      most.textContent = plural(top, layers > 1 ? "path" : "stamp");
      edge.textContent = start > first ? "Dashed: here the border ends." : "";
      stack.querySelector(".lesson-cursor").hidden = true;
      if (row >= 0) stack.update({ row: Math.min(row, width - 1), column: Math.min(column, width - 1) });
    },
  };
}

/** What untrained kernels make of a constant input: some channels as a picture, and the typical size over all. */
function randomView(again) {
  const canvas = (label) => h("canvas", { class: "lesson-overlap-random", role: "img", "aria-label": label });
  const some = canvas("Three output channels as red, green and blue."), all = canvas("Root mean square over all channels.");
  const panel = (picture, ...words) => h("div", { class: "lesson-panel" }, picture, h("span", {}, ...words));
  const node = h("div", {}, h("div", { class: "lesson-overlap-pair" }, panel(some, "three channels, as red, green, blue"),
    panel(all, `typical size over all ${CHANNELS} channels: how far from 0 their numbers lie (root of the mean square)`)), button("Other random kernels", again));
  let key = null, result = null;
  return {
    node,
    update({ layer, width }, { layers, seed }) {
      if (key !== (key = JSON.stringify([layer, layers, seed]))) {
        const channels = [HIDDEN, ...new Array(layers - 1).fill(HIDDEN), CHANNELS];
        const maps = throughKernels(randomKernels(seed, layer, channels), layer, channels);
        const size = Array.from(maps[0], (_, index) => Math.sqrt(maps.reduce((sum, map) => sum + map[index] ** 2, 0) / CHANNELS));
        result = { maps, size, low: Math.min(...size), high: Math.max(...size), side: Math.sqrt(size.length) };
      }
      const { maps, size, high, side } = result, color = heatScale(node);
      const shown = layers === 1 ? 24 : width; // px
      const index = (row, column) => (row % side) * side + column % side;
      for (const picture of [some, all]) Object.assign(picture, { width: shown, height: shown / 2 });
      const scale = Math.sqrt(maps.slice(0, 3).reduce((sum, map) => sum + map.reduce((total, value) => total + value ** 2, 0), 0) / (3 * size.length));
      paint(some.getContext("2d"), (row, column) => [0, 1, 2].map((channel) => 128 + 60 * maps[channel][index(row, column)] / (scale || 1)));
      paint(all.getContext("2d"), (row, column) => color(size[index(row, column)] / (high || 1)));
      return result;
    },
  };
}

/** The numbers of a setting as lines; update() gives them their values. */
function formula() {
  const cells = Object.fromEntries(["kernel", "stride", "quotient", "low", "high", "low2", "high2", "ratio"].map((key) => [key, h("span", { "data-variable": key })]));
  const line = (name, ...value) => h("div", {}, h("dt", {}, name), h("dd", {}, ...value));
  const note = h("small", {});
  const node = h("dl", { class: "lesson-sums lesson-formula" },
    line(h("span", {}, "kernel ÷ stride ", note), cells.kernel, " ÷ ", cells.stride, " = ", h("b", {}, cells.quotient)),
    line("along a row, lowest and highest", h("b", {}, cells.low), " and ", h("b", {}, cells.high)),
    line("in 2D, squared", h("b", {}, cells.low2), " and ", h("b", {}, cells.high2)),
    line("highest ÷ lowest in 2D", h("b", { class: "lesson-ratio" }, cells.ratio)));
  node.update = ({ layer, low, high }, { remedy, kernel, stride }, hidden) => {
    note.textContent = { "divisible kernel": layer.kernel !== kernel && `the kernel becomes ${layer.kernel}`,
      "resize, then convolve": layer.stride !== stride && `after resizing the stride is ${layer.stride}`,
      "sub-pixel shuffle": layer.kernel !== kernel && `its kernels together make one of ${layer.kernel}` }[remedy] || "";
    const texts = { kernel: layer.kernel, stride: layer.stride, quotient: short(layer.kernel / layer.stride), low: short(low), high: short(high),
      low2: short(low ** 2), high2: short(high ** 2), ratio: low ? short((high / low) ** 2) + " ×" : "gaps" };
    for (const [key, text] of Object.entries(texts)) cells[key].textContent = hidden && !["kernel", "stride", "quotient"].includes(key) ? "?" : text;
  };
  return node;
}

function render({ model, el }) {
  el.classList.add("lesson-overlap");
  return card({
    model, el,
    rules: { show: oneOf(VIEWS.map(([value]) => value)), remedy: oneOf(REMEDIES), kernel: integer(1, 8), stride: integer(1, 4),
      layers: oneOf([1, 2, 3]), row: integer(-1, 95), column: integer(-1, 95), seed: integer(0, 1e6), guess: oneOf(GUESSES) },
    build({ picture, controls, set }) {
      const change = (patch) => set({ row: -1, column: -1, ...patch, guess: "skipped" });
      const views = { line: lineView(({ column }) => set({ row: 0, column })), grid: gridView(set), random: randomView(() => change({ seed: model.get("seed") + 1 })) };
      const show = choice({ label: "Show", options: VIEWS, onchange: (value) => change({ show: value }) });
      const remedy = choice({ label: "Remedy", options: REMEDIES.map((name) => [name, name]), onchange: (value) => change({ remedy: value }) });
      const kernel = slider({ label: "Kernel size", min: 1, max: 8, show: (value) => `${value} px`, onchange: (value) => change({ kernel: value }) });
      const stride = slider({ label: "Stride", min: 1, max: 4, show: (value) => `${value} px`, onchange: (value) => change({ stride: value }) });
      const layers = choice({ label: "Layers", options: [1, 2, 3].map((count) => [count, count]), onchange: (value) => change({ layers: value }) });
      const guess = h("div", { class: "lesson-row" }, button("The same on all", () => set({ guess: "even" })), button("More on some", () => set({ guess: "uneven" })));
      const numbers = formula();
      const about = h("p", { class: "lesson-recorded lesson-overlap-about" });
      remedy.append(about);
      kernel.dataset.variable = "kernel";
      stride.dataset.variable = "stride";
      controls.append(show, remedy, kernel, stride, layers, numbers, guess);

      return function draw(state) {
        const facts = measure(state), hidden = state.guess === "" && state.show === "line";
        const view = views[state.show];
        if (picture.firstChild !== view.node) picture.replaceChildren(view.node);
        const random = view.update(facts, state);
        Object.entries({ show, remedy, kernel, stride, layers }).forEach(([key, control]) => control.update(state[key]));
        numbers.update(facts, state, hidden);
        about.textContent = explain(facts, state);
        guess.hidden = !hidden;
        return hidden ? question(facts) : [verdict(facts, state), words(facts, state, random), pointed(facts, state)].filter(Boolean).join(" ");
      };
    },
  });
}

const question = ({ layer }) => `Predict first. Each input pixel lays down a stamp of ${layer.kernel} px, ${layer.stride} px after the one before. `
  + "Away from the border, does every output pixel get the same number of stamps?";

function verdict({ low, high }, { guess }) {
  if (!["even", "uneven"].includes(guess)) return "";
  return (guess === "even") === (low === high) ? "As you said." : "Not as you said.";
}

/** What the remedy does, in a line. */
function explain({ layer }, { remedy, stride }) {
  if (remedy === "none") return "The stamps as they fall.";
  if (stride === 1) return "With stride 1 nothing is enlarged: this is an ordinary convolution.";
  const times = layer.kernel / stride, [channels, pixels] = { 2: ["four times", "four"], 3: ["nine times", "nine"], 4: ["sixteen times", "sixteen"] }[stride];
  return { "divisible kernel": `${layer.kernel} is ${{ 1: "equal to", 2: "twice" }[times] || times + " times"} the stride ${stride}: every place is reached by as many weights.`,
    "resize, then convolve": "First copy every pixel, then an ordinary convolution.",
    "sub-pixel shuffle": `A convolution makes ${channels} the channels; they become the ${pixels} pixels of a block.` }[remedy];
}

function words({ layer, low, high }, { show, remedy, stride, layers, kernel }, random) {
  const stacked = layers > 1 ? `After ${layers} layers` : "Away from the border", path = "from the input (a path: one weight of each layer)";
  if (show === "random") {
    const even = low === high ? "the overlap is even" : `the overlap runs from ${low ** 2} to ${high ** 2}`;
    if (random.size.length === 1 || random.high - random.low < 1e-9) return "A constant input stays constant, whatever the kernels: every output pixel sees the same weights.";
    return `Untrained kernels turn a constant input into a pattern that repeats every ${random.side} px. The typical size runs from ${short(random.low)} to ${short(random.high)}: ${even}. `
      + (low === high ? "Equal counts don’t make equal weights, so single channels still show a pattern." : "Wherever more stamps meet, more weights add up.");
  }
  if (low === 0) return `${stacked}, a stamp of ${layer.kernel} px every ${layer.stride} px leaves gaps: some output pixels get nothing.`;
  if (low < high) {
    const counts = show === "grid" ? `${low ** 2} to ${high ** 2}` : `${low} to ${high}`;
    return `${stacked}, output pixels get ${counts} ${layers > 1 ? `paths ${path}` : "stamps"}: ${layer.kernel} is not divisible by ${layer.stride}. `
      + (layers > 1 ? "Each layer stamps the pattern of the one before, so the pattern grows." : show === "grid" ? "Rows and columns multiply: a checkerboard." : "In 2D this becomes a checkerboard.");
  }
  const count = plural(show === "grid" ? low ** 2 : low, layers > 1 ? "path" : "stamp") + (layers > 1 ? ` ${path}` : "");
  const reason = { none: `${layer.kernel} is divisible by ${layer.stride}`, "divisible kernel": `${layer.kernel} is divisible by ${layer.stride}`,
    "resize, then convolve": `the input is first enlarged ${stride} times, then convolved with stride 1`,
    "sub-pixel shuffle": `each of the ${stride ** 2} sub-pixels has a ${kernel}×${kernel} kernel of its own, together ${layer.kernel}×${layer.kernel}` }[remedy];
  return `${stacked}, every output pixel gets ${count}: ${reason}. Only the border gets fewer.`;
}

function pointed({ counts, first }, { show, row, column }) {
  if (column < 0 || show === "random" || column >= counts.length) return "";
  return show === "line" ? `Output px ${first + column} gets ${counts[column]}.` : `Row ${first + row}, column ${first + column} gets ${counts[row]} × ${counts[column]} = ${counts[row] * counts[column]}.`;
}

export default { render };
