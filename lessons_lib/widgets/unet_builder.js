import { amount, memory } from "./shared/amounts.js";
import { card, integer, number, oneOf } from "./shared/card.js";
import { h, choice, slider } from "./shared/dom.js";
import { pixelPicture } from "./shared/picture.js";
import { fittingSizes, measureUNet, seenBy } from "./shared/unet.js";
import { MOST, NAMES, REMEDIES, drawUNet, shapeOf, title } from "./shared/unet_drawing.js";
/* The U-Net builder. The state is the net of shared/unet.js, the stage that is looked at and a place in the image; shapes,
   costs, the drawing and the receptive field follow from it. */

const SKIPS = [["concat", "concatenate"], ["add", "add"], ["none", "none"]];
const COSTS = { parameters: "Parameters", multiplications: "Multiplications", bytes: "Memory" };
const whole = (value) => value.toLocaleString("en");
const worded = (cost, value) => (cost === "bytes" ? memory : amount)(value);
const percent = (part, all) => (part && part / all < 0.005 ? "under 1\u00a0%" : `${Math.round(100 * part / all)}\u00a0%`);

/** Three small bar charts, one bar a stage, and the formula of the stage that is looked at. */
function costs() {
  const rows = Object.entries(COSTS).map(([cost, text]) => {
    const bars = h("span", { class: "lesson-unet-bars", "aria-hidden": "true" }), value = h("b", {}), formula = h("p", { class: "lesson-unet-sum" }), total = h("small", {});
    return { cost, bars, value, formula, total, node: h("div", {}, h("span", {}, text), h("span", { class: "lesson-unet-amount" }, value, " ", total), bars, formula) };
  });
  const node = h("div", { class: "lesson-unet-costs lesson-formula" }, ...rows.map((row) => row.node));
  node.update = ({ stages, net, stage: chosen }) => {
    const stage = stages.find(({ name }) => name === chosen);
    for (const { cost, bars, value, formula, total } of rows) {
      const values = stages.map((each) => each[cost] || 0), most = Math.max(...values), all = values.reduce((sum, each) => sum + each, 0);
      bars.replaceChildren(...stages.map(({ name, kind }, index) => h("i", { "data-kind": kind, class: name === chosen ? "is-current" : "",
        style: `height: ${Math.max(2, 100 * values[index] / most)}%` })));
      value.textContent = stage[cost] === undefined ? "?" : worded(cost, stage[cost]);
      total.textContent = `of ${worded(cost, all)}${stages[stages.length - 1].size === undefined && cost !== "parameters" ? " so far" : ""}`;
      const terms = formulaOf(stage, net, cost).split(/ (?=[+=] (?![^(]*\)))/); // a line breaks only between terms
      formula.replaceChildren(...terms.flatMap((term) => [h("span", {}, term), " "]));
    }
  };
  return node;
}

/** How a cost of a stage comes about. */
function formulaOf({ kind, channels, size, into, deep, below, parameters, multiplications, bytes }, { convolutions }, cost) {
  const reads = convolutions > 1 ? `(${into} + ${convolutions > 2 ? `${convolutions - 1} · ` : ""}${channels})` : into;
  const weights = `3² · ${channels} · ${reads}`, narrow = `${deep} · ${channels}`;
  if (kind === "input") return cost === "bytes" ? `4 B · ${channels} · ${size}² = ${whole(bytes)}` : "";
  if (cost === "parameters") {
    if (kind === "head") return `${channels} · (${into} + 1) = ${whole(parameters)}`;
    return `${weights} + ${2 * convolutions} · ${channels}${kind === "decoder" ? ` + ${channels} · (${deep} + 1)` : ""} = ${whole(parameters)}`;
  }
  if (size === undefined) return "";
  if (cost === "bytes") {
    const maps = kind === "head" ? channels : kind === "decoder" ? `(${into} + ${convolutions} · ${channels})` : `${convolutions} · ${channels}`;
    return `4 B · ${maps} · ${size}² = ${whole(bytes)}`;
  }
  if (kind === "head") return `${size}² · ${channels} · ${into} = ${whole(multiplications)}`;
  return `${size}² · ${weights}${kind === "decoder" ? ` + ${below}² · ${narrow}` : ""} = ${whole(multiplications)}`;
}

/** Slider over the image's size, and a field to type it into. */
function sizeField({ min, max, onchange }) {
  const row = slider({ label: "Image", min, max, show: (value) => `${value} × ${value} px`, onchange });
  const typed = h("input", { type: "number", min, max, required: true, "aria-label": "Side of the image in px", "data-lm-suppress-shortcuts": "true",
    oninput: () => { if (typed.validity.valid) onchange(typed.valueAsNumber); },
    onchange: () => { if (typed.value !== "") onchange(Math.min(max, Math.max(min, Math.round(typed.valueAsNumber)))); typed.value = shown; },
    onblur: () => { typed.value = shown; } });
  const move = row.update;
  let shown;
  row.update = (value) => {
    move(value);
    shown = value;
    if (!typed.matches(":focus") || typed.validity.valid) typed.value = value; // half a number is not written over
  };
  row.classList.add("lesson-unet-size");
  row.append(h("div", {}, typed, row.querySelector("input")));
  return row;
}

/** The picture with the px of a map and what it sees. `onplace({ row, column })` is told px of the image. */
function field(image, onplace) {
  const photo = new Image();
  const seen = h("div", { class: "lesson-unet-seen" });
  const node = h("div", { class: "lesson-unet-field" });
  let made = "", picture;
  photo.addEventListener("load", () => { made = ""; if (node.last) node.update(node.last); });
  photo.src = image;
  node.update = (shown) => {
    const { net: { size }, jump, pixels, sees } = node.last = shown;
    if (made !== `${size} ${jump}`) { // the grid of px has changed
      made = `${size} ${jump}`;
      picture = pixelPicture({ rows: size, columns: size, step: jump, hover: true, onmove: onplace, label: "The image: point at a place and see what the px of the map there sees." });
      const context = picture.layer();
      context.imageSmoothingQuality = "high";
      if (photo.naturalWidth) context.drawImage(photo, 0, 0, size, size);
      picture.append(seen);
      node.replaceChildren(picture);
    }
    const share = (value) => 100 * value / size + "%";
    seen.hidden = !sees;
    picture.update({ row: pixels.row * jump + (jump - 1) / 2, column: pixels.column * jump + (jump - 1) / 2, window: jump });
    if (!sees) return;
    const { row: [top, bottom], column: [left, right] } = sees;
    Object.assign(seen.style, { top: share(top), height: share(bottom - top + 1), left: share(left), width: share(right - left + 1) });
  };
  return node;
}

function render({ model, el }) {
  const widths = model.get("widths");
  el.classList.add("lesson-unet");
  return card({
    model, el,
    rules: {
      look: oneOf(["", ...NAMES]), size: integer(8, 256), depth: integer(1, MOST), width: oneOf(widths), convolutions: integer(1, 4), skip: oneOf(SKIPS.map(([name]) => name)),
      remedy: oneOf(["", ...REMEDIES]), stage: oneOf(NAMES), row: number(0, 1), column: number(0, 1),
    },
    build({ picture, controls, set }) {
      const place = ({ row, column }) => set({ row: (row + 0.5) / model.get("size"), column: (column + 0.5) / model.get("size") });
      const figure = drawUNet({ image: model.get("image"), truth: model.get("truth"), onstage: (stage) => set({ stage, look: "" }),
        onlook: (look) => set({ look }), onremedy: (remedy) => set({ remedy: remedy === model.get("remedy") ? "" : remedy }) });
      const heading = h("p", { class: "lesson-unet-heading" }), sight = field(model.get("image"), place), sums = costs();
      picture.append(figure, h("div", { class: "lesson-unet-side" }, heading, sight, sums));
      const inputs = {
        skip: choice({ label: "Skip connections", options: SKIPS, onchange: (skip) => set({ skip }) }),
        size: sizeField({ min: 8, max: 256, onchange: (size) => set({ size }) }),
        depth: slider({ label: "Levels", min: 1, max: MOST, onchange: (depth) => set({ depth }) }),
        width: slider({ label: "Width", min: 0, max: widths.length - 1, show: (value) => `${widths[value]} channels`, onchange: (value) => set({ width: widths[value] }) }),
        convolutions: slider({ label: "Convolutions", min: 1, max: 4, show: (value) => `${value} each`, onchange: (convolutions) => set({ convolutions }) }),
      };
      controls.append(...Object.values(inputs));

      function show({ row, column, stage: asked, look, ...net }) {
        const stages = measureUNet(net), exists = (wanted) => stages.some(({ name }) => name === wanted);
        const kept = exists(asked) ? asked : "bottleneck", stage = exists(look) ? look : kept;
        const index = stages.findIndex(({ name }) => name === stage), { level, kind, size } = stages[index];
        const jump = 2 ** (level - 1), known = size !== undefined;
        const pixelOf = (share) => Math.min((known ? size : stages[level].size) - 1, Math.floor(Math.min(net.size - 1, Math.floor(share * net.size)) / jump));
        const pixels = { row: pixelOf(row), column: pixelOf(column) };
        const sees = known && { row: seenBy(net, stages, index, [pixels.row, pixels.row]), column: seenBy(net, stages, index, [pixels.column, pixels.column]) };
        const shown = { stages, net, stage, kept, look, jump, pixels, sees };
        figure.update(shown);
        heading.replaceChildren(title(stage), h("small", {}, shapeOf(stages[index])));
        heading.dataset.kind = sight.dataset.kind = kind;
        sight.update(shown);
        sums.update(shown);
        inputs.skip.update(net.skip);
        inputs.size.update(net.size);
        inputs.depth.update(net.depth);
        inputs.width.update(widths.indexOf(net.width));
        inputs.convolutions.update(net.convolutions);
        return sentence(shown);
      }
      const extent = () => `${figure.clientWidth} ${figure.clientHeight}`;
      let drawn = extent();
      const watch = new ResizeObserver(() => {
        if (extent() === drawn) return;
        drawn = extent();
        show(Object.fromEntries(["size", "depth", "width", "convolutions", "skip", "remedy", "stage", "look", "row", "column"].map((key) => [key, model.get(key)])));
      });
      watch.observe(figure);
      return { show, stop: () => watch.disconnect() };
    },
  });
}

/** What is seen, in words. */
function sentence({ stages, net, stage: chosen, look, sees }) {
  const broken = stages.find((stage) => stage.broken), head = stages[stages.length - 1], stage = stages.find(({ name }) => name === chosen);
  const fits = fittingSizes(net.size, net.depth).join(" and ");
  if (broken) {
    return `${title(broken.name)} cannot take in its skip: ${broken.across} px come across, but ${broken.below} px doubled are ${broken.up} px. `
      + "The poolings round up, so what comes up is too large; here it is only doubled until you choose. The library's UNet resizes it. "
      + `Choose a remedy, or a size that can be halved ${net.depth === 1 ? "once" : `${net.depth} times`}, such as ${fits}.`;
  }
  const unlike = stages.find(({ across, up }) => across !== up);
  const remedy = !unlike || net.skip === "none" ? "" : {
    crop: "Cropped: what sticks out at the right and lower ends is thrown away. ",
    pad: `Padded: zeros fill up the smaller map, and the scores are ${head.size} px wide for ${net.size} px of image. `,
    resize: "Resized, as the library's U-Net does it: the map from below becomes exactly as large as the skip. ",
  }[net.remedy];
  if (stage.kind === "input") return `${remedy}The image has ${stage.channels} channels of ${net.size} × ${net.size} px.`;
  const count = ([first, last]) => last - first + 1, [high, wide] = [count(sees.row), count(sees.column)];
  const span = high === net.size && wide === net.size ? `all ${net.size} × ${net.size} px of the image` : `${high} × ${wide} px of the image`;
  const all = (cost) => stages.reduce((sum, each) => sum + each[cost], 0);
  return `${remedy}${title(chosen)}: a px of its ${stage.size} × ${stage.size} sees ${span}. It has ${percent(stage.parameters, all("parameters"))} of the parameters and `
    + `${percent(stage.multiplications, all("multiplications"))} of the multiplications; its maps fill ${worded("bytes", stage.bytes)}.${look || stage.kind !== "bottleneck" ? ` ${dearest(stages)}` : ""}`; // first the reader guesses
}

/** Which stages cost the most multiplications: those with the largest share, rounded to one hundredth. */
function dearest(stages) {
  const all = stages.reduce((sum, each) => sum + each.multiplications, 0);
  const share = ({ multiplications }) => percent(multiplications, all), most = Math.max(...stages.map((each) => each.multiplications));
  const dear = stages.filter((each) => share(each) === percent(most, all)), names = dear.map(({ name }) => name);
  const decoder = dear.length > 1 && dear.every(({ kind }) => kind === "decoder") && stages.filter(({ kind }) => kind === "decoder").length === dear.length;
  const list = decoder ? "a level of the decoder" : [names.slice(0, -1).join(", "), ...names.slice(-1)].filter(Boolean).join(" and ");
  return `No stage costs more multiplications than ${list}: ${percent(most, all)}${names.length > 1 ? " each" : ""}.`;
}

export default { render };
