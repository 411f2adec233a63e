import { card, flag, integer, oneOf } from "./shared/card.js";
import { h, button, player, slider, toggle } from "./shared/dom.js";
import { numberGrid } from "./shared/grid.js";
import { extentOf, remembered, resized, sizeFormula, stampOf, sumOf, upsample } from "./shared/upsampling.js";
import { TERMS, factor, hasKernel, place, readScene, same, sentence, short, signed, sizeOf } from "./shared/upsampling_scene.js";
/* The upsampling laboratory. The state is the numbers, the settings, how many steps are `done` (ALL: the whole output)
   and what is looked at: "" or a term of the size formula, "input ROW COLUMN" or "output ROW COLUMN" (on the canvas,
   the rim that padding cuts off included), "wrong" for what was typed and is no number. Everything drawn follows from it. */

const ALL = 99, TICK = 900; // steps; ms
const PAIRS = { stride: [1, 4], padding: [0, 4], dilation: [1, 3], output_padding: [0, 3] };
const LOOK = new RegExp(`^(${Object.keys(TERMS).join("|")}|wrong|(input|output) \\d+ \\d+)?$`);

const pairOf = ([min, max]) => (value) => {
  const pair = Array.isArray(value) && value.length === 2 ? value.map(integer(min, max)) : [undefined];
  return pair.includes(undefined) ? undefined : pair;
};
const matrixOf = (rows, columns, check) => (value) => {
  const sound = Array.isArray(value) && value.length && value.every((row) => Array.isArray(row) && row.length && row.length === value[0].length);
  const checked = sound ? value.slice(0, rows).map((row) => row.slice(0, columns).map(check)) : [[undefined]];
  return checked.flat().includes(undefined) ? undefined : checked;
};
const entry = (value) => (Number.isFinite(value) ? Math.min(99, Math.max(-99, value)) : undefined);

/** A slider that moves both axes, or one for each where they are apart. `onchange(pair)` gets both numbers. */
function pairSlider({ term, label, min, max, onlook, onchange }) {
  let pair = [min, min], flat = false;
  const one = (name, merge) => slider({ label: name, min, max, onchange: (value) => onchange(merge(value)) });
  const both = one(label, (value) => (flat ? [pair[0], value] : [value, value]));
  const each = [one(label + ", rows", (value) => [value, pair[1]]), one(label + ", columns", (value) => [pair[0], value])];
  const row = h("div", { class: "lesson-lab-pair", "data-term": term, onpointerenter: () => onlook(term), onpointerleave: () => onlook(""),
    onfocusin: () => onlook(term), onfocusout: () => onlook("") }, both, ...each);
  row.update = (value, apart, isFlat) => {
    [pair, flat] = [value, isFlat];
    both.hidden = apart;
    both.update(pair[1]);
    each.forEach((item, axis) => { item.hidden = !apart; item.update(pair[axis]); });
  };
  return row;
}

/** The size formula for both axes; pointing at a number lights it everywhere. */
function formula(onlook) {
  const term = (faults) => ([name, number]) => h("span", { class: "lesson-lab-term" + (faults.includes(name) ? " is-broken" : ""), "data-term": name,
    onpointerenter: () => onlook(name), onpointerleave: () => onlook("") }, h("b", {}, Number.isFinite(number) ? short(number) : number), h("small", {}, TERMS[name]));
  const box = h("div", { class: "lesson-formula lesson-lab-formula" });
  let latest = "";
  box.update = (setting, axes) => {
    const lines = axes.map((axis) => ({ ...sizeFormula(setting, axis), name: axes.length === 1 ? "columns out" : ["rows out", "columns out"][axis] }));
    if (JSON.stringify(lines) === latest) return; // the number under the pointer stays the same element
    latest = JSON.stringify(lines);
    box.classList.toggle("is-alike", lines.length > 1 && JSON.stringify({ ...lines[0], name: lines[1].name }) === JSON.stringify(lines[1]));
    box.replaceChildren(...lines.map(({ size, parts, name, faults }) => h("p", {},
      h("span", { class: "lesson-lab-part" }, h("span", { class: "lesson-lab-term is-size" + (size < 1 ? " is-broken" : "") }, h("b", {}, short(size)), h("small", {}, name)), "="),
      ...parts.map((part) => h("span", { class: "lesson-lab-part" }, ...part.map((item) => (typeof item === "string" ? item : term(faults)(item))))))));
  };
  return box;
}

const names = (flags) => Object.keys(flags).filter((key) => flags[key]).map((key) => "is-" + key).join(" ");
/** What a cell shows that holds `sum` and awaits more: in one line, in two, or the question mark alone, whatever fits. */
const unknown = (sum) => (short(sum).length < 3 ? { text: short(sum) + " + ?" } : { text: "?", note: short(sum).length < 6 ? signed(sum).trim() : "" });
/** Whether the place lies on the first `counts` multiples of `steps`, along both axes. */
const everyNth = (at, steps, counts) => at.every((place, axis) => place >= 0 && place % steps[axis] === 0 && place / steps[axis] < counts[axis]);

/** Curves from element to element inside the stage, one a list of elements. */
function drawLinks(svg, lists) {
  const stage = svg.getBoundingClientRect();
  const spot = (node) => {
    const box = node.getBoundingClientRect();
    return [box.left - stage.left + box.width / 2, box.top - stage.top + box.height / 2];
  };
  const curve = ([x, y], [u, v]) => (Math.abs(u - x) > Math.abs(v - y)
    ? `C ${(x + u) / 2} ${y} ${(x + u) / 2} ${v} ${u} ${v}` : `C ${x} ${(y + v) / 2} ${u} ${(y + v) / 2} ${u} ${v}`);
  svg.innerHTML = lists.map((nodes) => {
    const points = nodes.filter(Boolean).map(spot);
    return `<path d="M ${points[0].join(" ")} ${points.slice(1).map((point, index) => curve(points[index], point)).join(" ")}"/>`;
  }).join("");
}

function render({ model, el }) {
  const presets = model.get("presets");
  el.classList.add("lesson-lab");
  return card({
    model, el,
    rules: { preset: oneOf(Object.keys(presets)), input: matrixOf(4, 4, entry), kernel: matrixOf(5, 5, entry), positions: matrixOf(4, 4, integer(0, 15)),
      ...Object.fromEntries(Object.entries(PAIRS).map(([key, range]) => [key, pairOf(range)])),
      done: integer(0, ALL), apart: flag, revealed: flag, look: (value) => (LOOK.test(value) ? value : undefined) },
    build({ picture, controls, set }) {
      let steps = 0, shift = [0, 0], latest = null, flat = false, relink = () => {};
      const look = (name) => set({ look: name });
      const change = (patch) => set({ ...patch, done: ALL, revealed: true });
      const edit = (key, [top, left] = [0, 0]) => (row, column, value) => {
        const matrix = model.get(key).map((line) => [...line]);
        matrix[row - top][column - left] = value;
        set({ [key]: matrix, revealed: true });
      };
      const inputAt = (row, column) => (row === undefined ? look("") : look(`input ${row - shift[0]} ${column - shift[1]}`));

      const grids = {
        input: numberGrid({ label: "Input", onlook: inputAt, onwrong: () => look("wrong"), onedit: (row, column, value) => edit("input", shift)(row, column, value) }),
        kernel: numberGrid({ label: "Kernel", onlook: () => look(""), onwrong: () => look("wrong"), onedit: edit("kernel") }),
        positions: numberGrid({ label: "Remembered positions. Move with the arrow keys, Enter puts the dot there.",
          onlook: (row, column) => grids.positions.place(row === undefined ? undefined : [row, column], [1, 1]), onpick: (row, column) => {
          const { stride } = latest;
          const [i, j] = [Math.floor(row / stride[0]), Math.floor(column / stride[1])];
          change({ positions: model.get("input").map((line, y) => line.map((_, x) => (y === i && x === j
            ? row % stride[0] * stride[1] + column % stride[1] : model.get("positions")[y]?.[x] ?? 0))) });
        } }),
        output: numberGrid({ label: "Output. Move with the arrow keys to see what made a cell.",
          onlook: (row, column) => look(row === undefined ? "" : `output ${flat ? 0 : row} ${column}`) }),
      };
      const boxes = Object.fromEntries(Object.entries(grids).map(([key, grid]) => {
        const title = h("p", { class: "lesson-lab-name" });
        return [key, { title, node: h("div", { class: "lesson-lab-box is-" + key }, title, grid) }];
      }));
      const links = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      links.setAttribute("aria-hidden", "true");
      const stage = h("div", { class: "lesson-lab-stage" }, ...Object.values(boxes).map(({ node }) => node), links);

      const groups = [...new Set(Object.values(presets).map(({ group }) => group))];
      const select = h("select", { "aria-label": "Example", onchange: () => { play.stop(); set({ preset: select.value, apart: false, revealed: false, look: "", ...presets[select.value].state, done: 0 }); } },
        ...groups.map((group) => h("optgroup", { label: group }, ...Object.entries(presets).filter(([, preset]) => preset.group === group)
          .map(([key, preset]) => h("option", { value: key }, preset.label)))));
      const go = (done) => set({ done, revealed: true, look: "" });
      const now = () => Math.min(model.get("done"), steps);
      const back = button("Back", () => { play.stop(); go(Math.max(0, now() - 1)); });
      const step = button("Step", () => { play.stop(); go(now() < steps ? now() + 1 : 0); });
      const play = player({ milliseconds: TICK, label: "Play", step() {
        go(matchMedia("(prefers-reduced-motion: reduce)").matches ? steps : now() < steps ? now() + 1 : 0);
        return now() < steps;
      } });
      step.classList.add("lesson-button-main");
      picture.append(h("div", { class: "lesson-lab-bar" }, select, h("div", { class: "lesson-row" }, back, step, play)), stage);

      const sized = (key) => (pair) => change(key === "kernel" ? { kernel: resized(model.get("kernel"), ...pair) } : { input: resized(model.get("input"), ...pair) });
      const pair = (term, label, [min, max], onchange) => pairSlider({ term, label, min, max, onlook: look, onchange });
      const sliders = Object.fromEntries(Object.entries(PAIRS).map(([key, range]) =>
        [key, pair(key, TERMS[key][0].toUpperCase() + TERMS[key].slice(1), range, (value) => change({ [key]: value }))]));
      sliders.kernel = pair("kernel", "Kernel size", [1, 5], sized("kernel"));
      sliders.input = pair("input", "Input size", [2, 4], sized("input"));
      const apart = toggle({ label: "Rows and columns apart", onchange: (value) => set({ apart: value,
        ...(value ? {} : Object.fromEntries(Object.keys(PAIRS).map((key) => [key, model.get(key).map((_, __, both) => both[1])]))) }) });
      const size = formula(look);
      controls.append(size, h("div", { class: "lesson-lab-sliders" }, sliders.stride, sliders.padding, sliders.output_padding),
        h("details", { class: "lesson-lab-more" }, h("summary", {}, "More"),
          h("div", { class: "lesson-lab-sliders" }, sliders.kernel, sliders.dilation, sliders.input, apart)));

      const title = (key, text) => { boxes[key].title.textContent = text; };

      function drawInput({ mode, input, kernel, stride, dilation }, scene) {
        const [rows, columns] = sizeOf(input), { focus, cell, sizes, termsAt } = scene, down = mode === "strided";
        const used = cell ? termsAt(cell).map(({ from }) => from.join()) : [];
        const start = (cell || [0, 0]).map((at, axis) => at * stride[axis]);
        title("input", `Input ${rows} × ${columns}`);
        grids.input.update({ rows: rows + 2 * shift[0], columns: columns + 2 * shift[1], cell(row, column) {
          const at = [row - shift[0], column - shift[1]], value = input[at[0]]?.[at[1]];
          return { text: short(value ?? 0, 4), fixed: value === undefined, hint: place(at), className: names({ rim: value === undefined,
            current: same(at, focus), used: used.includes(at.join()), first: down && !row && !column,
            foot: down && everyNth([row - start[0], column - start[1]], dilation, sizeOf(kernel)), origin: down && sizes && everyNth([row, column], stride, sizes) }) };
        } });
        if (down && cell) grids.input.place(start, extentOf({ dilation }, kernel), scene.ahead ? "is-ahead" : "");
        else grids.input.place();
      }

      function drawMiddle(setting, { mode, canvas, cell, focus, known, termsAt }) {
        const used = cell ? known(termsAt(cell)).map(({ at }) => String(at)) : [];
        const kernel = stampOf(setting), { stride } = setting;
        boxes.kernel.node.hidden = mode === "unpool" || mode === "bilinear";
        boxes.positions.node.hidden = mode !== "unpool";
        title("kernel", `${hasKernel(mode) ? "Kernel" : "Fixed kernel"} ${sizeOf(kernel).join(" × ")}`);
        grids.kernel.update({ rows: kernel.length, columns: kernel[0].length, cell: (row, column) => ({ text: short(kernel[row][column], 4),
          fixed: !hasKernel(mode), hint: place([row, column]), className: names({ used: used.includes(`${row},${column}`) }) }) });
        title("positions", "Remembered positions");
        if (mode === "unpool") grids.positions.update({ rows: canvas[0], columns: canvas[1], cell(row, column) {
          const block = [Math.floor(row / stride[0]), Math.floor(column / stride[1])];
          const dot = same(remembered(setting, ...block), [row % stride[0], column % stride[1]]);
          return { text: dot ? "●" : "", className: names({ odd: (block[0] + block[1]) % 2, current: dot && same(block, focus), used: dot && same([row, column], cell) }) };
        } });
      }

      function drawOutput({ input, stride, dilation, outputPadding, ...setting }, scene) {
        const { mode, broken, canvas, sizes, offset, focus, cell, touched, box, ahead, looked, done, steps, kept, known, termsAt } = scene;
        const lines = flat ? input[0].length : 0, kernel = sizeOf(stampOf({ ...setting, mode, stride }));
        const foot = box && looked !== "output" ? box.from : [0, 0], value = (terms) => sumOf(input, terms);
        title("output", broken ? "No output" : `Output ${sizes.join(" × ")}`);
        grids.output.update({ rows: lines ? lines + 1 : canvas[0], columns: canvas[1], cell(row, column) {
          const at = [flat ? 0 : row, column], terms = termsAt(at), arrived = known(terms), stamp = lines && row < lines;
          const mine = terms.filter(({ from, step }) => (stamp ? from[1] === row : focus ? same(from, focus) : !looked && step === scene.step));
          const asked = ahead && mine.length && (!stamp || row === scene.step) && (focus || same(at, cell));
          const before = value(arrived.filter((term) => !mine.includes(term)));
          const className = names({ rim: !kept(...at), asked, total: lines && row === lines, stamp, empty: stamp && !mine.length, looked: looked === "output" && same(at, cell) && !stamp,
            touched: !stamp && touched.includes(at[0] * canvas[1] + column), first: !at[0] && !column, origin: mode !== "strided" && !stamp && everyNth(at, stride, sizeOf(input)),
            foot: mode === "transposed" && !stamp && everyNth([at[0] - foot[0], column - foot[1]], dilation, kernel),
            extra: !broken && kept(...at) && at.some((place, axis) => place >= offset[axis] + sizes[axis] - outputPadding[axis]),
            ["heat-" + Math.min(4, arrived.length)]: mode === "transposed" && !stamp });
          if (stamp) return { className, text: asked ? "?" : known(mine).length ? short(value(mine)) : "" };
          if (asked) return { className, ...(arrived.length ? unknown(value(arrived)) : { text: "?" }) };
          const note = looked === "input" ? mine.map(({ from, weight }) => `${factor(input[from[0]][from[1]])}·${factor(weight)}`).join("")
            : !looked && focus && mine.length && arrived.length > 1 ? short(before) + signed(value(mine)) : "";
          return { className, note: lines ? "" : note, text: arrived.length || done === steps ? short(value(arrived)) : "" };
        } });
        if (mode === "strided" && scene.step >= 0 && cell) grids.output.place(cell, [1, 1], ahead ? "is-ahead" : "");
        else if (box && mode !== "strided") grids.output.place(...(flat ? [[focus[1], box.from[1]], [1, box.size[1]]] : [box.from, box.size]), ahead ? "is-ahead" : "");
        else grids.output.place();
      }

      function linksOf({ mode, looked, focus, cell, touched, box, ahead, terms, canvas, known, termsAt }) {
        const input = ([row, column]) => grids.input.at(row + shift[0], column + shift[1]);
        const output = ([row, column]) => grids.output.at(flat ? latest.input[0].length : row, column);
        const path = (to) => ({ from, at }) => [input(from), mode === "unpool" ? grids.positions.at(...to) : at && grids.kernel.at(...at), output(to)];
        if (cell && ahead) return [];
        if (cell) return known(termsAt(cell)).filter(({ weight }) => weight || hasKernel(mode)).map(path(cell));
        if (mode === "strided") return touched.flatMap((index) => terms[index].filter(({ from }) => same(from, focus)).map(path([Math.floor(index / canvas[1]), index % canvas[1]])));
        return looked && box ? [[input(focus), grids.output.at(flat ? focus[1] : box.from[0] + Math.floor(box.size[0] / 2), box.from[1])]] : [];
      }

      const watch = new ResizeObserver(() => relink());
      watch.observe(stage);

      function show(state) {
        const { mode } = presets[state.preset], learned = hasKernel(mode);
        flat = mode === "transposed" && state.input.length === 1 && state.kernel.length === 1;
        const [stride, padding, dilation, outputPadding] = Object.entries(PAIRS).map(([key, [min]]) => (flat ? [min, state[key][1]] : state[key]));
        const setting = { mode, flat, input: state.input, kernel: state.kernel, positions: state.positions, stride, padding, dilation, outputPadding };
        const result = upsample(setting), scene = readScene(state, setting, result);
        latest = setting;
        steps = scene.steps;
        shift = mode === "strided" ? padding : [0, 0];
        el.dataset.look = state.look.split(" ").length === 1 ? state.look : "";
        el.dataset.mode = flat ? "flat" : mode;
        el.classList.toggle("is-broken", Boolean(scene.broken));
        select.value = state.preset;

        const apartNow = !flat && (state.apart || Object.keys(PAIRS).some((key) => state[key][0] !== state[key][1]));
        const pairs = { ...state, kernel: sizeOf(state.kernel), input: sizeOf(state.input) };
        for (const [key, row] of Object.entries(sliders)) {
          row.update(pairs[key], !flat && (apartNow || pairs[key][0] !== pairs[key][1]), flat);
          row.hidden = key === "output_padding" ? mode !== "transposed" : key !== "stride" && key !== "input" && !learned;
        }
        apart.update(apartNow);
        apart.hidden = flat;
        size.update(setting, flat ? [1] : [0, 1]);
        back.disabled = scene.done === 0;
        step.disabled = play.disabled = steps === 0;
        step.textContent = steps && scene.done === steps ? "Again" : "Step";

        drawInput(setting, scene);
        drawMiddle(setting, scene);
        drawOutput(setting, scene);
        relink = () => drawLinks(links, linksOf(scene));
        relink();
        return sentence(state, setting, scene);
      }
      return { show, stop() { play.stop(); watch.disconnect(); } };
    },
  });
}

export default { render };
