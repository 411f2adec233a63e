import { card, flag, integer, oneOf } from "./shared/card.js";
import { h, choice } from "./shared/dom.js";
import { numberGrid } from "./shared/grid.js";
import { maxPool, maxUnpool } from "./shared/pooling.js";
/* A pair of layers: max pooling remembers where each maximum stood, max unpooling puts values back there. In between the
   network may change the values, but not the positions. `at` is the pixel of the map that is pointed at; its block is
   framed in every grid. */

const SOURCES = [["own", "this pooling layer"], ["other", "another pooling layer"]];
const CLICKS = [["move", "moves the maximum there"], ["raise", "raises the number, up to 9"]];
const place = (index, columns) => `row ${Math.floor(index / columns)}, column ${index % columns}`;
const shiftOf = (steps, forward, back) => steps && `${Math.abs(steps)} px ${steps > 0 ? forward : back}`;

/** A grid with its name, and rings that glide to the cells of `rings`. */
function panel({ name, heading, hint = "", ...options }) {
  const grid = numberGrid({ label: heading, onlook() {}, ...options });
  const rings = h("div", { class: "lesson-unpool-rings", "aria-hidden": "true" });
  const title = h("b", {}, heading);
  const node = h("div", { class: "lesson-unpool-panel", "data-panel": name }, h("p", {}, title), h("div", { class: "lesson-unpool-stage" }, grid, rings), h("small", {}, hint));
  node.grid = grid;
  node.update = ({ values, columns, marked = [], block, at, wrong = [], plain = false }) => {
    const most = Math.max(1, ...values), side = columns / 2;
    grid.update({ rows: values.length / columns, columns, cell(row, column) {
      const index = row * columns + column;
      return { text: String(values[index]), className: (index === at ? "is-at " : "") + (wrong.includes(index) ? "is-wrong" : ""), hint: place(index, columns) };
    } });
    values.forEach((value, index) => grid.at(Math.floor(index / columns), index % columns)
      .style.setProperty("--heat", plain ? "0%" : 45 * value / most + "%"));
    const [row, column] = marked.length ? [Math.floor(block / side), block % side] : [Math.floor(block / columns), block % columns];
    grid.place(marked.length ? [2 * row, 2 * column] : [row, column], marked.length ? [2, 2] : [1, 1]);
    while (rings.children.length < marked.length) rings.append(h("i"));
    [...rings.children].forEach((ring, index) => {
      ring.hidden = index >= marked.length;
      if (ring.hidden) return;
      ring.classList.toggle("is-current", index === block);
      ring.classList.toggle("is-wrong", wrong.includes(marked[index]));
      ring.style.transform = `translate(calc(var(--cell) * ${marked[index] % columns}), calc(var(--cell) * ${Math.floor(marked[index] / columns)}))`;
    });
  };
  return node;
}

function render({ model, el }) {
  const presets = model.get("presets");
  const numbers = (lengths) => (value) => (Array.isArray(value) && lengths.includes(value.length)
    && value.every((each) => Number.isInteger(each) && each >= 0 && each <= 9) ? value : undefined);
  el.classList.add("lesson-unpool");
  return card({
    model, el,
    rules: { cells: numbers([16, 36]), other: numbers([16, 36]), middle: numbers([4, 9]), changes: flag,
      source: oneOf(["own", "other"]), click: oneOf(["move", "raise"]), at: integer(0, 35) },
    build({ picture, controls, set }) {
      /** All that follows from the state; lists that do not fit the map are cut or filled with zeros. */
      function view() {
        const cells = model.get("cells"), columns = Math.sqrt(cells.length), side = columns / 2;
        const fit = (list, length) => Array.from({ length }, (_, index) => list[index] ?? 0);
        const other = fit(model.get("other"), cells.length), { pooled, positions } = maxPool(cells, columns);
        const used = model.get("source") === "own" ? positions : maxPool(other, columns).positions;
        const values = model.get("changes") ? fit(model.get("middle"), pooled.length) : pooled;
        const at = Math.min(model.get("at"), cells.length - 1);
        const block = Math.floor(Math.floor(at / columns) / 2) * side + Math.floor(at % columns / 2);
        return { cells, columns, side, other, pooled, positions, used, values, at, block, output: maxUnpool(values, used, cells.length) };
      }
      const replaced = (list, changes) => list.map((value, index) => changes[index] ?? value);
      const write = (index, value) => set({ cells: replaced(view().cells, { [index]: value }) });
      function pick(row, column) {
        const { cells, columns, side, positions } = view(), index = row * columns + column;
        const best = positions[Math.floor(row / 2) * side + Math.floor(column / 2)];
        set({ at: index });
        if (model.get("click") === "raise") write(index, Math.min(9, cells[index] + 1));
        else if (cells[index] < cells[best]) set({ cells: replaced(cells, { [index]: cells[best], [best]: cells[index] }) });
        else if (index !== best) set({ cells: replaced(cells, { [best]: Math.max(0, cells[best] - 1), [index]: Math.max(1, cells[index]) }) }); // a tie
      }
      const lookAt = (row, column) => row !== undefined && set({ at: row * view().columns + column });
      const lookAtBlock = (row, column) => row !== undefined && set({ at: view().positions[row * view().side + column] });
      const setMiddle = (index, value) => set({ changes: true, middle: replaced(view().values, { [index]: value }) });
      const panels = {
        map: panel({ name: "map", heading: "A map", hint: "rings: maxima · digit keys write", onlook: lookAt, onpick: pick }),
        pooled: panel({ name: "pooled", heading: "pooled", onlook: lookAtBlock }),
        middle: panel({ name: "middle", heading: "in between", hint: "click to raise", onlook: lookAtBlock,
          onpick(row, column) { const { side, values } = view(), index = row * side + column; setMiddle(index, Math.min(9, values[index] + 1)); } }),
        positions: panel({ name: "positions", heading: "positions", hint: "row × width + column", onlook: lookAtBlock }),
        output: panel({ name: "output", heading: "Max unpooled", hint: "rings: the positions used", onlook: lookAt }),
        other: panel({ name: "other", heading: "Another layer’s map", hint: "its maxima give the positions", onlook: lookAt }),
      };
      const digits = (node, put) => node.grid.addEventListener("keydown", (event) => { if (/^\d$/.test(event.key)) put(Number(event.key)); });
      digits(panels.map, (value) => write(view().at, value));
      digits(panels.middle, (value) => setMiddle(view().block, value));
      const arrow = () => h("span", { class: "lesson-unpool-arrow", "aria-hidden": "true" }, "→");
      const line = (name) => h("i", { class: "lesson-unpool-" + name });
      const flow = h("div", { class: "lesson-unpool-flow" }, panels.map,
        h("div", { class: "lesson-unpool-values" }, arrow(), panels.pooled, arrow(), panels.middle, arrow()),
        line("kept"), panels.other, h("div", { class: "lesson-unpool-memory" }, line("line"), panels.positions, line("line")), line("given"), panels.output);
      picture.append(flow);

      const preset = choice({ label: "Example", options: presets.map(({ name }) => [name, name]), onchange(name) {
        const { name: _, ...state } = presets.find((each) => each.name === name);
        set({ ...state, at: 0 });
      } });
      const middle = choice({ label: "The network in between", options: [[false, "changes nothing"], [true, "gives new values"]], onchange: (changes) => set({ changes }) });
      const source = choice({ label: "Unpool with the positions of", options: SOURCES, onchange: (value) => set({ source: value }) });
      const click = choice({ label: "A click on the map, or Enter", options: CLICKS, onchange: (value) => set({ click: value }) });
      controls.append(source, middle, click, preset);

      return (state) => {
        const shown = view(), { cells, columns, side, other, pooled, positions, used, values, at, block, output } = shown;
        const wrong = used.filter((position, index) => position !== positions[index]);
        panels.map.update({ values: cells, columns, marked: positions, block, at });
        panels.other.update({ values: other, columns, marked: used, block });
        panels.pooled.update({ values: pooled, columns: side, block });
        panels.middle.update({ values, columns: side, block });
        panels.positions.update({ values: used, columns: side, block, plain: true, wrong: used.flatMap((position, index) => (wrong.includes(position) ? [index] : [])) });
        panels.output.update({ values: output, columns, marked: used, block, wrong });
        flow.dataset.source = state.source;
        flow.style.setProperty("--side", columns);
        panels.other.hidden = state.source === "own";
        preset.update((presets.find((each) => ["cells", "other", "middle", "changes"].every((key) => JSON.stringify(each[key]) === JSON.stringify(state[key]))) || {}).name);
        [[middle, state.changes], [source, state.source], [click, state.click]].forEach(([control, value]) => control.update(value));
        return sentence(state, shown, wrong.length);
      };
    },
  });
}

function sentence({ source, changes }, { cells, columns, pooled, positions, used, values, block }, wrong) {
  const from = positions[block], to = used[block], corner = from - from % columns % 2 - columns * (Math.floor(from / columns) % 2);
  const ties = [0, 1, columns, columns + 1].filter((step) => cells[corner + step] === pooled[block]).length;
  const found = `The maximum ${pooled[block]} of the framed block stands at position ${from} (${place(from, columns)})${ties > 1 ? `, the first of ${ties} that are equal` : ""}.`;
  const middle = changes && values[block] !== pooled[block] ? ` The network makes ${values[block]} of it.` : "";
  if (source === "own") return `${found}${middle} Unpooling puts ${values[block]} back at ${to}; the block’s other pixels are 0. What happens with the positions of another pooling layer?`;
  const ways = [shiftOf(Math.floor(to / columns) - Math.floor(from / columns), "down", "up"), shiftOf(to % columns - from % columns, "right", "left")].filter(Boolean);
  const moved = ways.length ? `${ways.join(" and ")} of where it came from` : "by luck where it came from";
  return `${found}${middle} But the other layer remembers position ${to}, so ${values[block]} lands ${moved}. `
    + `${wrong} of ${used.length} values come back at a wrong pixel: the details no longer fit the picture.`;
}

export default { render };
