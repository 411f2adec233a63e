import { card, integer, oneOf } from "./shared/card.js";
import { h, choice } from "./shared/dom.js";
import { pixelPicture } from "./shared/picture.js";
/* A classifier asked at every cell of a photo. Cell (i, j) of a map stands at px (i, j) times its stride, so a cell's
   square reaches half a stride to each side. The state is a stride, a group of classes, and the px pointed at. */

const TOP = 3; // classes told about each cell
const VEIL = [20, 24, 29], THICKNESS = 225; // colour and greatest opacity, both of 255

/** A map's numbers: `percent(group, cell)`, and `tops(cell)`, [name, percent] of its likeliest classes. */
function readMap({ stride, heat, tops }, [height, width], words) {
  const number = (text, start, length) => Number(text.slice(start, start + length));
  return {
    stride, rows: (height - 1) / stride + 1, columns: (width - 1) / stride + 1,
    percent: (group, cell) => number(heat[group], 2 * cell, 2),
    tops: (cell) => Array.from({ length: TOP }, (_, rank) => 5 * (TOP * cell + rank)).map((start) => [words[number(tops, start, 3)], number(tops, start + 3, 2)]),
  };
}

/** Paints a veil over the photo that thins where a group is probable and is gone at 100 %. */
function paintVeil(context, { rows, columns, percent }, group) {
  const image = context.createImageData(columns, rows);
  for (let cell = 0; cell < rows * columns; cell += 1) image.data.set([...VEIL, THICKNESS * (1 - percent(group, cell) / 99)], 4 * cell);
  context.putImageData(image, 0, 0);
}

/** A list of classes with their probabilities as bars. */
function answers(title) {
  const rows = Array.from({ length: TOP }, () => {
    const parts = { name: h("span"), bar: h("i", { class: "lesson-share-bar" }), value: h("span") };
    return { ...parts, row: h("li", {}, parts.name, h("span", { class: "lesson-share" }, parts.bar), parts.value) };
  });
  const node = h("div", {}, h("p", { class: "lesson-shares-title" }, title), h("ul", { class: "lesson-shares lesson-heat-answers" }, ...rows.map(({ row }) => row)));
  node.update = (tops) => rows.forEach(({ name, bar, value }, rank) => {
    [name.textContent] = tops[rank];
    bar.style.width = tops[rank][1] + "%";
    value.textContent = tops[rank][1] + " %";
  });
  return node;
}

function render({ model, el }) {
  const [height, width] = model.get("size"), groups = model.get("groups"), whole = model.get("whole");
  const maps = model.get("maps").map((map) => readMap(map, [height, width], model.get("words")));
  el.classList.add("lesson-heat-map");

  return card({
    model, el,
    rules: { group: integer(0, groups.length - 1), stride: oneOf(maps.map(({ stride }) => stride)), row: integer(0, height - 1), column: integer(0, width - 1) },
    build({ picture, controls, set }) {
      const stacks = maps.map((map) => {
        const { stride, rows, columns } = map;
        const stack = pixelPicture({ rows: height, columns: width, step: stride, hover: true, onmove: set,
          label: `The photo, with ${rows} × ${columns} cells.` });
        const canvas = h("canvas", { width: columns, height: rows, style: `left: ${50 * (1 - stride) / width}%; top: ${50 * (1 - stride) / height}%; `
          + `width: ${100 * columns * stride / width}%; height: ${100 * rows * stride / height}%` });
        stack.prepend(h("img", { src: model.get("image"), alt: "", loading: "lazy" }), canvas);
        return { stack, map, context: canvas.getContext("2d") };
      });
      const place = h("div");
      picture.append(place, h("p", { class: "lesson-heat" }, groups.length > 1 ? "0 %" : `${groups[0]}: 0 %`, h("i"), "100 %"));
      const group = choice({ label: "Bright where it sees", options: groups.map((name, index) => [index, name]), onchange: (value) => set({ group: value }) });
      const stride = choice({ label: "Stride, px", options: maps.map((map) => [map.stride, map.stride]), onchange: (value) => set({ stride: value }) });
      const cellTitle = h("span"), cell = answers(cellTitle), photo = answers("The whole photo: the mean of all cells’ logits, stride 32");
      photo.update(whole);
      controls.append(...(groups.length > 1 ? [group] : []), stride, cell, photo, h("p", { class: "lesson-recorded" },
        `Recorded while this page was built. Every cell can see ${model.get("sees")} px; what lies near its middle counts most.`));

      return function show(state) {
        const { stack, map, context } = stacks.find((item) => item.map.stride === state.stride);
        const at = (px, count) => Math.min(count - 1, Math.round(px / map.stride));
        const i = at(state.row, map.rows), j = at(state.column, map.columns), index = i * map.columns + j;
        if (place.firstChild !== stack) {
          const focused = place.contains(document.activeElement);
          place.replaceChildren(stack);
          if (focused) stack.focus();
        }
        paintVeil(context, map, state.group);
        stack.update({ row: i * map.stride, column: j * map.stride, window: map.stride });
        group.update(state.group);
        stride.update(state.stride);
        const tops = map.tops(index), [[name, percent]] = tops;
        cellTitle.textContent = `This cell: row ${i}, column ${j} of ${map.rows} × ${map.columns}`;
        cell.update(tops);
        return `Round row ${i * map.stride}, column ${j * map.stride} the classifier says “${name}”, ${percent} %; ${groups[state.group]} together: ${map.percent(state.group, index)} %. `
          + `Asked about the whole photo it has one answer, “${whole[0][0]}”; asked at stride ${map.stride} it has ${map.rows * map.columns}.`;
      };
    },
  });
}

export default { render };
