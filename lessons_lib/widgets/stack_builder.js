import { amount, memory } from "./shared/amounts.js";
import { card, flag, integer, number } from "./shared/card.js";
import { h, button, choice, slider } from "./shared/dom.js";
import { extent } from "./shared/shapes.js";
import { FLOAT_BYTES, coneOf, measureStack, pixelAt, settingsOf } from "./shared/stack.js";
/* The stack builder. The state is the image's size and the list of layers; all numbers and the drawing follow from it.
   The drawing has one band a row: the image on top, each layer under its input, every pixel as wide as its step in the
   image. `row` and `place` choose the pixel whose inputs are lit; `selected` the layer that the sliders edit. */

const KEYS = ["kernel", "stride", "padding", "dilation", "channels"]; // in the order of a layer in the state
const CHANNELS = [1, 2, 4, 7, 8, 16, 21, 32, 64, 96, 128, 256, 512, 1000, 1024];
const NEW = { conv: ["conv", 3, 1, 1, 1, 16], pool: ["pool", 2, 2, 0] };
const TOP = 0.28, BOTTOM = 0.72; // of a row's band
const whole = (value) => value.toLocaleString("en");
const count = (value, noun) => `${whole(value)} ${noun}${value === 1 ? "" : "s"}`;

const shortName = ([kind, kernel]) => `${kind === "pool" ? "pooling" : "conv"} ${kernel}×${kernel}`;
function nameOf(layer) {
  const { kind, stride, dilation } = settingsOf(layer);
  return `${dilation > 1 ? "dilated " : ""}${kind === "conv" && stride > 1 ? "strided " : ""}${shortName(layer)}`;
}
function detailsOf(layer) {
  const { kind, stride, padding, dilation, channels } = settingsOf(layer);
  return [dilation > 1 && `dilation ${dilation}`, (stride > 1 || kind === "pool") && `stride ${stride}`, kind === "conv" && count(channels, "channel"),
    padding > 0 && `pad ${padding}`].filter(Boolean).join(", ");
}

/** The drawing. update() draws the rows, the cone behind a pixel and the guess. */
function drawing(onpoint, onkey) {
  const path = (name) => document.createElementNS("http://www.w3.org/2000/svg", name);
  const shapes = Object.fromEntries(["padding", "pixels", "fan", "rays", "padded", "lit", "output", "broken", "guess"].map((name) => {
    const shape = path("path");
    shape.setAttribute("class", "lesson-stack-" + name);
    return [name, shape];
  }));
  const svg = path("svg");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  svg.append(...Object.values(shapes));
  const asked = h("b", { class: "lesson-stack-asked" }, "?");
  const labels = h("div", { class: "lesson-stack-labels", "aria-hidden": "true" });
  const canvas = h("div", { class: "lesson-stack-canvas", tabindex: 0, role: "application", "data-lm-suppress-shortcuts": "true",
    "aria-label": "The pixels of every layer, along one axis. Arrow keys left and right move the pixel whose inputs are lit, up and down change the layer.",
    onpointermove: point, onpointerdown: point,
    onkeydown(event) {
      const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      if (move) { event.preventDefault(); onkey(...move); }
    } }, svg, asked);
  const node = h("div", { class: "lesson-stack-drawing" }, canvas, labels);
  let low = 0, high = 1, bands = 1;

  function point(event) {
    const box = canvas.getBoundingClientRect();
    onpoint(Math.floor((event.clientY - box.top) / box.height * bands), low + (event.clientX - box.left) / box.width * (high - low));
  }

  node.update = ({ rows, layers, cone, row, pixel, revealed, guess }) => {
    bands = rows.length;
    const done = rows.filter((each) => each.size !== undefined);
    const margin = (at) => (layers[at] ? settingsOf(layers[at]).padding : 0);
    const left = (at, index) => done[at].start + (index - 0.5) * done[at].jump;
    const box = (at, from, to = from, inset = 0.08) => {
      const gap = inset * done[at].jump;
      return `M${left(at, from) + gap} ${at + TOP}H${left(at, to + 1) - gap}V${at + BOTTOM}H${left(at, from) + gap}Z`;
    };
    low = Math.min(...done.map((_, at) => left(at, -margin(at))));
    high = Math.max(...done.map((each, at) => left(at, each.size + margin(at))));
    const paths = Object.fromEntries(Object.keys(shapes).map((name) => [name, ""]));
    done.forEach((each, at) => {
      for (let index = 0; index < each.size; index += 1) paths.pixels += box(at, index);
      if (margin(at)) paths.padding += box(at, -margin(at), -1) + box(at, each.size, each.size + margin(at) - 1);
    });
    const broken = done.length < rows.length && settingsOf(layers[done.length - 1]);
    if (broken) { // how far its kernel would reach
      const before = done[done.length - 1], spans = extent(broken.kernelSize, broken.dilation) * before.jump;
      const middle = before.start + (before.size - 1) / 2 * before.jump;
      low = Math.min(low, middle - spans / 2);
      high = Math.max(high, middle + spans / 2);
      paths.broken = `M${middle - spans / 2} ${done.length + TOP}h${spans}v${BOTTOM - TOP}h${-spans}Z`;
    }
    const shown = revealed ? 0 : Math.ceil(row / 2);
    for (let at = row; at >= shown; at -= 1) {
      const { seen, padding } = cone[at], all = [...seen, ...padding];
      for (const index of seen) paths[at === row ? "output" : "lit"] += box(at, index);
      for (const index of padding) paths.padded += box(at, index);
      if (at === row) continue;
      const above = cone[at + 1].seen, y = [at + BOTTOM, at + 1 + TOP];
      const ends = [Math.min(...all), Math.max(...all) + 1].map((index) => left(at, index));
      paths.fan += `M${ends[0]} ${y[0]}H${ends[1]}L${left(at + 1, above[above.length - 1] + 1)} ${y[1]}H${left(at + 1, above[0])}Z`;
      const { kernelSize, stride, padding: margins, dilation } = settingsOf(layers[at]);
      for (const index of above) {
        for (let tap = 0; tap < kernelSize; tap += 1) {
          const from = done[at].start + (index * stride - margins + tap * dilation) * done[at].jump;
          paths.rays += `M${from} ${y[0]}L${left(at + 1, index + 0.5)} ${y[1]}`;
        }
      }
    }
    const centre = left(row, pixel + 0.5);
    if (guess && row > 0) paths.guess = `M${centre - guess / 2} ${TOP - 0.16}v.16M${centre - guess / 2} ${TOP - 0.08}h${guess}M${centre + guess / 2} ${TOP - 0.16}v.16`;
    for (const [name, shape] of Object.entries(shapes)) shape.setAttribute("d", paths[name]);
    svg.setAttribute("viewBox", `${low} 0 ${high - low} ${bands}`);
    node.style.setProperty("--bands", bands);
    asked.hidden = revealed || row === 0;
    asked.style.left = 100 * (centre - low) / (high - low) + "%";
    labels.replaceChildren(...rows.map(({ size }) => h("span", {}, size ?? "–")));
  };
  return node;
}

/** The layers as a list to select from, with the numbers of each. */
function ledger(most, onselect) {
  const columns = ["name", "size", "sees", "jump", "parameters", "multiplications", "memory"];
  const items = Array.from({ length: most + 1 }, (_, value) => {
    const cells = Object.fromEntries(columns.map((name) => [name, h("b", { class: "lesson-stack-" + name })]));
    return { value, cells, node: h("b", { class: "lesson-stack-line" }, ...Object.values(cells)) };
  });
  const list = choice({ label: "Layers: choose one to edit it", options: items.map(({ value, node }) => [value, node]), onchange: onselect });
  list.classList.add("lesson-stack-list");
  const head = h("div", { class: "lesson-stack-line lesson-stack-head", "aria-hidden": "true" },
    ...["layer", "size px", "sees px", "jump px", "parameters", "multipli­cations", "output’s memory"].map((text) => h("b", {}, text)));
  const sums = Object.fromEntries(["parameters", "multiplications", "memory"].map((name) => [name, h("b", { class: "lesson-stack-" + name })]));
  const total = h("p", { class: "lesson-stack-line lesson-stack-total" }, h("b", { class: "lesson-stack-name" }), ...Object.values(sums));
  const node = h("div", { class: "lesson-stack-ledger" }, head, list, total);
  const choose = list.update;
  node.update = ({ rows, layers, selected, revealed }) => {
    choose(selected);
    items.forEach(({ value, cells, node: line }) => {
      const label = line.closest("label"), row = rows[value];
      label.hidden = !row;
      if (!row) return;
      const name = value ? shortName(layers[value - 1]) : "image", details = value ? detailsOf(layers[value - 1]) : "3 channels";
      const works = row.size !== undefined;
      label.classList.toggle("is-broken", Boolean(row.broken));
      label.classList.toggle("is-waiting", Boolean(row.waits));
      const texts = works ? { size: whole(row.size), sees: revealed || !value ? whole(row.sees) : "?", jump: whole(row.jump), parameters: row.parameters ? amount(row.parameters) : "–",
        multiplications: row.multiplications ? amount(row.multiplications) : "–", memory: memory(row.bytes) }
        : { size: row.broken ? "✗" : "…", sees: row.broken ? "impossible" : "waits" };
      for (const [key, cell] of Object.entries(cells)) cell.textContent = texts[key] || "";
      cells.name.replaceChildren(name, h("small", { title: details }, details));
      label.querySelector("input").setAttribute("aria-label", `${value ? "Layer " + value : "Input"}: ${name}, ${details}. `
        + (works ? `Size ${texts.size}, sees ${texts.sees}, jump ${texts.jump} px; ${texts.parameters} parameters, ${texts.multiplications} multiplications, ${texts.memory}.` : texts.sees));
    });
    const sum = (key) => rows.reduce((all, row) => all + (row[key] || 0), 0);
    total.firstChild.textContent = rows[rows.length - 1].size === undefined ? "so far" : "together";
    sums.parameters.textContent = amount(sum("parameters"));
    sums.multiplications.textContent = amount(sum("multiplications"));
    sums.memory.textContent = memory(sum("bytes"));
  };
  return node;
}

/** The selected layer's numbers as formulas, every setting in the colour of its slider. */
function formulas(rows, layers, selected, revealed) {
  const row = rows[selected], before = rows[selected - 1];
  if (!selected || row.waits) return [];
  const line = (name, ...parts) => h("div", {}, h("dt", {}, name), h("dd", {}, ...parts)), result = (text) => h("b", {}, text);
  const { kind, ...settings } = settingsOf(layers[selected - 1]);
  const [k, s, p, d, c] = [settings.kernelSize, settings.stride, settings.padding, settings.dilation, row.channels || 0]
    .map((value, place) => () => h("span", { "data-variable": KEYS[place] }, whole(value)));
  if (row.broken) {
    const spans = extent(settings.kernelSize, settings.dilation), padded = before.size + 2 * settings.padding;
    return [line("kernel spans", d(), " · (", k(), " − 1) + 1 = ", result(`${spans} px`)),
      line("padded input has", `${before.size} + 2 · `, p(), " = ", result(`${padded} px`), padded < spans ? ` < ${spans} px ✗` : ""),
      ...(kind === "pool" ? [line("padding at most", "⌊", k(), " / 2⌋ = ", result(`${Math.floor(settings.kernelSize / 2)} px`))] : [])];
  }
  const unread = row.unread ? ` (the last ${row.unread} px stay${row.unread === 1 ? "s" : ""} unread)` : "";
  return [
    line("size", `⌊(${before.size} + 2 · `, p(), " − ", d(), " · (", k(), " − 1) − 1) / ", s(), "⌋ + 1 = ", result(`${row.size} px`), unread),
    line("sees", ...(revealed ? [`${before.sees} + `, d(), " · (", k(), ` − 1) · ${before.jump} = `, result(`${row.sees} px`)] : [result("?")])),
    line("jump", `${before.jump} · `, s(), " = ", result(`${row.jump} px`)),
    ...(kind === "pool" ? [] : [
      line("parameters", c(), ` · (${before.channels} · `, k(), "² + 1) = ", result(whole(row.parameters))),
      line("multiplications", `${row.size}² · `, c(), ` · ${before.channels} · `, k(), "² = ", result(whole(row.multiplications))),
    ]),
    line("memory, 32-bit floats", kind === "pool" ? whole(row.channels) : c(), ` · ${row.size}² · ${FLOAT_BYTES} B = `, result(memory(row.bytes))),
  ];
}

function render({ model, el }) {
  const presets = model.get("presets"), limits = model.get("limits");
  const most = limits.layers, least = [1, 1, 0, 1, 1];
  const isLayer = ([kind, ...settings]) => Array.isArray(limits[kind]) && settings.length === limits[kind].length
    && settings.every((value, place) => Number.isInteger(value) && value >= least[place] && value <= limits[kind][place]);
  el.classList.add("lesson-stack");
  return card({
    model, el,
    rules: {
      size: integer(1, limits.size), selected: integer(0, most), row: integer(0, most), place: number(-limits.size, 2 * limits.size),
      guess: integer(0, limits.size), revealed: flag,
      layers: (value) => (Array.isArray(value) && value.length <= most && value.every((layer) => Array.isArray(layer) && isLayer(layer)) ? value : undefined),
    },
    build({ picture, controls, set }) {
      /** What is shown: the state, with selection and output pixel on rows that exist. */
      function view() {
        const layers = model.get("layers"), rows = measureStack(model.get("size"), model.get("channels"), layers);
        const last = rows.filter((row) => row.size !== undefined).length - 1, row = Math.min(model.get("row"), last);
        return { layers, rows, last, row, pixel: pixelAt(rows[row], model.get("place")), selected: Math.min(model.get("selected"), layers.length) };
      }
      const forget = () => (model.get("revealed") ? { guess: 0 } : {});
      const aim = (rows, row, pixel) => set({ row: row === rows.length - 1 ? most : row, place: rows[row].start + pixel * rows[row].jump, ...forget() });
      const band = drawing((row, place) => {
        const { rows, last } = view(), at = Math.min(last, Math.max(0, row));
        aim(rows, at, pixelAt(rows[at], place));
      }, (down, right) => {
        const { rows, last, row, pixel } = view(), at = Math.min(last, Math.max(0, row + down));
        aim(rows, at, down ? pixelAt(rows[at], model.get("place")) : Math.min(rows[at].size - 1, Math.max(0, pixel + right)));
      });
      const list = ledger(most, (selected) => set({ selected }));
      const change = (edit) => {
        const { layers, selected } = view(), copy = layers.map((layer) => [...layer]);
        set({ selected: edit(copy, selected) ?? selected, layers: copy, ...forget() });
      };
      const add = (kind) => change((layers, at) => { layers.splice(at, 0, [...NEW[kind]]); return at + 1; });
      const shift = (by) => change((layers, at) => { layers.splice(at - 1 + by, 0, ...layers.splice(at - 1, 1)); return at + by; });
      const tools = {
        conv: button("+ convolution", () => add("conv")), pool: button("+ pooling", () => add("pool")),
        up: button("↑ earlier", () => shift(-1)), down: button("↓ later", () => shift(1)),
        remove: button("Remove", () => change((layers, at) => { layers.splice(at - 1, 1); return Math.min(at, layers.length); })),
      };

      const preset = choice({ label: "Begin with", options: presets.map(({ name }) => [name, name]), onchange(name) {
        const { size, layers } = presets.find((each) => each.name === name);
        set({ size, layers, selected: 0, row: most, place: (size - 1) / 2, ...forget() });
      } });
      const size = slider({ label: "Size", min: 1, max: limits.size, show: (value) => `${value} × ${value} px`, onchange: (value) =>
        set({ size: value, place: model.get("place") * (value - 1) / Math.max(1, model.get("size") - 1), ...forget() }) });
      const guess = slider({ label: "Your guess", min: 1, max: limits.size, show: (value) => `${value} px of the image`, onchange: (value) => set({ guess: value }) });
      const reveal = button("Show what it sees", () => set({ revealed: true }), { class: "lesson-button lesson-button-main" });
      const sliders = KEYS.map((key, place) => {
        const listed = key === "channels";
        const row = slider({ label: key, min: listed ? 0 : least[place], max: listed ? CHANNELS.length - 1 : limits.conv[place], show: (value) => whole(listed ? CHANNELS[value] : value),
          onchange: (value) => change((layers, at) => { layers[at - 1][place + 1] = listed ? CHANNELS[value] : value; }) });
        row.dataset.variable = key;
        return row;
      });
      const sums = h("dl", { class: "lesson-sums lesson-formula" });
      const heading = h("p", { class: "lesson-stack-heading" });
      const settings = h("div", { class: "lesson-stack-settings" }, size, ...sliders);
      const question = h("div", { class: "lesson-stack-question" }, guess, reveal);
      picture.append(h("div", {}, band, question), h("div", { class: "lesson-stack-side" }, list, h("div", { class: "lesson-row", role: "group", "aria-label": "Change the list" }, ...Object.values(tools))));
      controls.append(h("div", {}, preset, heading, settings), sums);

      return (state) => {
        const shown = view(), { layers, rows, row, pixel, selected } = shown;
        const cone = coneOf(rows, layers, row, pixel), layer = layers[selected - 1];
        band.update({ ...state, ...shown, cone });
        list.update({ ...state, ...shown });
        heading.textContent = selected ? `Layer ${selected}: ${nameOf(layer)}` : "The image";
        preset.update((presets.find((each) => each.size === state.size && JSON.stringify(each.layers) === JSON.stringify(layers)) || {}).name);
        size.update(state.size);
        guess.querySelector("input").max = state.size;
        guess.update(Math.min(state.guess, state.size));
        size.hidden = controls.classList.toggle("is-image", !selected) === false;
        sliders.forEach((each, place) => {
          each.hidden = !selected || place + 1 >= layer.length;
          if (each.hidden) return;
          each.querySelector("input").max = KEYS[place] === "channels" ? CHANNELS.length - 1 : limits[layer[0]][place];
          each.update(KEYS[place] === "channels" ? nearest(layer[place + 1]) : layer[place + 1]);
        });
        question.hidden = state.revealed;
        sums.replaceChildren(...formulas(rows, layers, selected, state.revealed));
        tools.conv.disabled = tools.pool.disabled = layers.length >= most;
        tools.up.disabled = selected < 2;
        tools.down.disabled = !selected || selected === layers.length;
        tools.remove.disabled = !selected;
        return sentence(state, shown, cone);
      };
    },
  });
}

/** The place in CHANNELS that is nearest to a number of channels. */
const nearest = (channels) => CHANNELS.reduce((best, value, place) => (Math.abs(value - channels) < Math.abs(CHANNELS[best] - channels) ? place : best), 0);

function sentence({ size, revealed, guess }, { layers, rows, row, pixel }, cone) {
  const broken = rows.findIndex((each) => each.broken), waiting = rows.length - 1 - broken;
  const trouble = broken < 0 ? "" : `Layer ${broken}, ${nameOf(layers[broken - 1])}, is impossible. ${rows[broken].broken} `
    + (waiting ? `${waiting === 1 ? "The layer" : `The ${waiting} layers`} after it wait${waiting === 1 ? "s" : ""}; nothing is lost. ` : "");
  if (row === 0) return trouble + `Image pixel ${pixel} of 0 to ${size - 1}. Add a layer, or move down to one.`;
  const { seen } = cone[0], { sees } = rows[row];
  const place = `Pixel ${pixel} of the ${rows[row].size} px after layer ${row}`;
  if (!revealed) return trouble + `Predict first. ${place} is lit, with what it reads from the rows above, up to the middle of the stack. ${size > 1 ? `How many of the ${size} pixels of the image stand behind it?` : "Does the image’s one pixel stand behind it?"} Set your guess, then look.`;
  const first = seen[0], last = seen[seen.length - 1];
  const range = !seen.length ? "sees nothing but padding" : seen.length === 1 ? `sees image pixel ${first} alone`
    : seen.length === last - first + 1 ? `sees ${seen.length} of the ${size} image pixels, ${first} to ${last}` : `sees ${seen.length} image pixels, spread from ${first} to ${last}`;
  const clipped = last - first + 1 < sees ? ` Its receptive field is ${sees} px wide: the rest lies outside the image, where the padding stands.` : "";
  return `${trouble}${guess ? `You guessed ${guess}. ` : ""}${place} ${range}.${clipped}`;
}

export default { render };
