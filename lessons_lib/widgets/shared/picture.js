import { h } from "./dom.js";
/* A picture made of pixels that one can point at: layers of canvas, a cursor moved by mouse, finger or arrow keys. */

/** Value of a class colour, from the page's CSS. */
export function classColor(name) {
  return getComputedStyle(document.documentElement).getPropertyValue("--class-" + name).trim();
}

/** [red, green, blue] of a colour written #rrggbb. */
export function rgb(hex) {
  return [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
}

/** A map of small numbers as text, one character a pixel, row after row: "a" is 0, "b" is 1 and so on; "~" is 255. */
export function decodeMap(text) {
  return Uint8Array.from(text, (character) => (character === "~" ? 255 : character.charCodeAt(0) - 97));
}

/** Stack of canvases of `rows` x `columns` pixels with a cursor. Call `layer()` for a canvas context of that size;
    `onmove({ row, column })` is told when the reader points at another pixel (with `hover`, without pressing);
    it goes from pixel to pixel or, with `step`, to every step-th row and column.
    `update({ row, column, window })` draws the cursor as a frame of `window` pixels round the pixel. */
export function pixelPicture({ rows, columns, label, onmove, hover = false, step = 1 }) {
  const stack = h("div", { class: "lesson-pixels", style: `aspect-ratio: ${columns} / ${rows}` });
  const frame = h("div", { class: "lesson-cursor", hidden: true });
  const at = { row: 0, column: 0 };
  if (onmove) {
    Object.entries({ tabindex: 0, role: "application", "aria-label": label + " Move with the arrow keys, with Shift by 8.",
      "data-lm-suppress-shortcuts": "true" }).forEach(([key, value]) => stack.setAttribute(key, value));
    const snap = (at, count) => step * Math.min(Math.floor((count - 1) / step), Math.max(0, Math.round(at / step)));
    const move = (row, column) => {
      Object.assign(at, { row: snap(row, rows), column: snap(column, columns) }); // at once: keys may outrun the redrawing
      onmove({ ...at });
    };
    stack.addEventListener("pointermove", (event) => { if (hover || event.buttons) point(event); });
    stack.addEventListener("pointerdown", point);
    function point(event) {
      const box = stack.getBoundingClientRect();
      move(Math.floor((event.clientY - box.top) / box.height * rows), Math.floor((event.clientX - box.left) / box.width * columns));
    }
    stack.addEventListener("keydown", (event) => {
      const far = event.shiftKey ? 8 * step : step;
      const moves = { ArrowUp: [-far, 0], ArrowDown: [far, 0], ArrowLeft: [0, -far], ArrowRight: [0, far] };
      if (!moves[event.key]) return;
      event.preventDefault();
      move(at.row + moves[event.key][0], at.column + moves[event.key][1]);
    });
  } else {
    stack.setAttribute("role", "img");
    stack.setAttribute("aria-label", label);
  }
  stack.append(frame);
  stack.layer = (scale = 1) => {
    const canvas = h("canvas", { width: columns * scale, height: rows * scale });
    stack.insertBefore(canvas, frame);
    return canvas.getContext("2d");
  };
  stack.update = ({ row, column, window = 1 }) => {
    at.row = row;
    at.column = column;
    const half = (window - 1) / 2;
    frame.hidden = false;
    frame.style.left = 100 * (column - half) / columns + "%";
    frame.style.top = 100 * (row - half) / rows + "%";
    frame.style.width = 100 * window / columns + "%";
    frame.style.height = 100 * window / rows + "%";
  };
  return stack;
}

/** Paints class numbers in the classes' colours; `opacity(index)` in [0, 1] may fade single pixels. */
export function paintClasses(context, classIds, names, opacity = () => 1) {
  const { width, height } = context.canvas;
  const colors = names.map((name) => rgb(classColor(name)));
  const image = context.createImageData(width, height);
  for (let index = 0; index < classIds.length; index += 1) {
    const color = colors[classIds[index]];
    if (color) image.data.set([...color, Math.round(255 * opacity(index))], 4 * index);
  }
  context.putImageData(image, 0, 0);
}

/** Legend: one entry a class, with its colour and its name. `update(name)` marks the class pointed at. */
export function legend(names) {
  const entries = names.map((name) => h("li", { "data-class": name },
    h("span", { class: "lesson-swatch lesson-swatch-" + name, style: `background-color: var(--class-${name})` }), name));
  const list = h("ul", { class: "lesson-legend" }, ...entries);
  list.update = (current) => entries.forEach((entry) => entry.classList.toggle("is-current", entry.dataset.class === current));
  return list;
}
