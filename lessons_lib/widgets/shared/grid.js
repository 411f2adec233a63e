import { h } from "./dom.js";
/* A grid of numbers. With `onedit(row, column, number)` its numbers can be typed; otherwise it is one thing in the order
   of Tab, with a cursor inside, and `onpick(row, column)` hears of a click or Enter. Arrow keys go from cell to cell.
   `onwrong()` hears that what was typed is no number, or too large or small.
   `onlook(row, column)` hears which cell is pointed at, by mouse or keys, and onlook() that none is any more.

   update({ rows, columns, cell }) draws it: cell(row, column) gives { text, note, className, fixed, hint }.
   place([top, left], [rows, columns], className) lays the frame round cells, place() takes it away. */

const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Enter: [1, 0] };
const LARGEST = 99;

export function numberGrid({ label, onlook, onedit, onpick, onwrong }) {
  const frame = h("i", { class: "lesson-grid-frame", hidden: true });
  const grid = h("div", { class: "lesson-grid", role: onedit ? "group" : "application", "aria-label": label, tabindex: onedit ? null : 0,
    "data-lm-suppress-shortcuts": "true", onpointerleave: () => onlook() });
  const cursor = [0, 0];
  let cells = [], shape = "", wrong = false;

  grid.at = (row, column) => cells[row]?.[column];
  function go(row, column) {
    if (!cells.length) return;
    const clamp = (value, size) => Math.min(size - 1, Math.max(0, value));
    cursor.splice(0, 2, clamp(row, cells.length), clamp(column, cells[0].length));
    if (onedit) grid.at(...cursor)?.querySelector("input")?.focus();
    else onlook(...cursor);
  }
  grid.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && onpick) { onpick(...cursor); return; }
    const [down, right] = ARROWS[event.key] || [];
    if (down === undefined) return;
    event.preventDefault();
    const kept = wrong;
    if (onedit && event.key === "Enter") event.target.blur();
    wrong = kept;
    go(cursor[0] + down, cursor[1] + right);
  });
  grid.addEventListener("focusout", ({ relatedTarget }) => {
    if (wrong) onwrong();
    else onlook();
    wrong = wrong && grid.contains(relatedTarget); // what was wrong stays in sight while the next cell is entered
  });
  if (!onedit) grid.addEventListener("focusin", () => { if (grid.matches(":focus-visible")) go(...cursor); });

  function build(rows, columns, cell) {
    cells = Array.from({ length: rows }, (_, row) => Array.from({ length: columns }, (_, column) => {
      const look = () => onlook(row, column);
      const node = h("div", { onpointerenter: look, onclick: () => (onpick ? onpick(row, column) : look()) }, h("b"), h("small"));
      if (onedit && !cell(row, column).fixed) {
        const field = h("input", { type: "text", inputmode: "decimal", autocomplete: "off", "aria-label": `${label}, ${cell(row, column).hint}`,
          onfocus: () => { cursor.splice(0, 2, row, column); field.select(); if (!wrong) look(); wrong = false; },
          oninput: () => {
            const begun = /^\s*[-−]?[.,]?\s*$/.test(field.value); // it may still become a number
            const number = begun ? NaN : Number(field.value.replace(",", ".").replace("−", "-"));
            const kept = Math.min(LARGEST, Math.max(-LARGEST, number));
            wrong = number !== kept;
            if (wrong && !begun) onwrong();
            else look();
            if (!Number.isFinite(number)) return;
            node.dataset.text = String(kept).replace("-", "−");
            onedit(row, column, kept);
          },
          onblur: () => { field.value = node.dataset.text; } });
        node.replaceChildren(field);
      }
      return node;
    }));
    grid.replaceChildren(...cells.flat(), frame);
    grid.classList.toggle("is-tight", Math.max(rows, columns) > 8);
    grid.style.setProperty("--rows", rows);
    grid.style.setProperty("--columns", columns);
  }
  grid.update = ({ rows, columns, cell }) => {
    const places = Array.from({ length: rows * columns }, (_, index) => [Math.floor(index / columns), index % columns]);
    const fixed = onedit ? places.map((at) => Number(Boolean(cell(...at).fixed))) : "";
    const next = `${rows} ${columns} ${fixed}`;
    if (next !== shape) build(rows, columns, cell);
    shape = next;
    cells.forEach((line, row) => line.forEach((node, column) => {
      const { text = "", note = "", className = "" } = cell(row, column);
      node.className = "lesson-cell " + className;
      node.dataset.text = text;
      const field = node.querySelector("input");
      if (!field) {
        node.firstChild.textContent = text;
        node.lastChild.textContent = note;
      } else if (field !== document.activeElement) field.value = text;
    }));
  };
  grid.place = (from, size, className = "") => {
    frame.hidden = !from;
    if (!from) return;
    frame.className = "lesson-grid-frame " + className;
    ["top", "left", "height", "width"].forEach((side, index) => {
      frame.style[side] = `calc(var(--cell) * ${[...from, ...size][index]})`;
    });
  };
  return grid;
}
