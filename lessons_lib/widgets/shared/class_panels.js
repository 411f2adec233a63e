import { h } from "./dom.js";
import { classColor, legend, pixelPicture, rgb } from "./picture.js";
/* Class maps of one scene side by side: in the classes' colours, or as the scene with every wrong pixel in one colour. */

const WRONG = [255, 138, 61, 255], DARK = [20, 24, 29]; // the scene below is dark and grey, in both themes

/** A row of panels that share one cursor. `onpoint(row, column)` hears where the reader points, and onpoint(-1, -1) that he left.
    update({ photo, panels, covered, row, column }) draws it; each of `panels` is { title, map, wrong }: with `wrong`, a mask, the
    wrong pixels over the dark scene; with `map` the map; with neither the scene. covered(index): what recedes. */
export function classPanels({ rows, columns, names, labels, onpoint }) {
  const panels = labels.map((label) => {
    const stack = pixelPicture({ rows, columns, label, hover: true, onmove: ({ row, column }) => onpoint(row, column) });
    const photo = h("img", { alt: "" }), title = h("b"), notes = h("div");
    stack.prepend(photo);
    stack.addEventListener("pointerleave", () => onpoint(-1, -1));
    stack.addEventListener("blur", () => onpoint(-1, -1));
    return { stack, photo, title, notes, context: stack.layer(), node: h("div", { class: "lesson-panel" }, title, stack, notes) };
  });
  const node = h("div", { class: "lesson-panels lesson-class-panels", style: `--panels: ${labels.length}; --narrow: ${labels.length > 4 ? 3 : 2}` }, ...panels.map((panel) => panel.node));
  node.notes = panels.map((panel) => panel.notes);
  node.update = ({ photo, panels: shown, covered = () => false, row = -1, column = -1 }) => {
    const colors = names.map((name) => rgb(classColor(name)));
    panels.forEach(({ stack, photo: image, title, context }, at) => {
      const { map, wrong, title: text } = shown[at];
      if (image.getAttribute("src") !== photo) image.src = photo;
      title.textContent = text;
      stack.dataset.shows = wrong ? "errors" : map ? "classes" : "scene";
      const pixels = context.createImageData(columns, rows);
      for (let index = 0; index < rows * columns; index += 1) {
        const recedes = covered(index);
        if (wrong) pixels.data.set(wrong[index] && !recedes ? WRONG : [...DARK, recedes ? 200 : 0], 4 * index);
        else if (map && colors[map[index]]) pixels.data.set([...colors[map[index]], recedes ? 60 : 255], 4 * index);
        else if (!map) pixels.data.set([...DARK, recedes ? 200 : 0], 4 * index);
      }
      context.putImageData(pixels, 0, 0);
      if (row >= 0) stack.update({ row, column, window: 3 });
      else stack.querySelector(".lesson-cursor").hidden = true;
    });
  };
  return node;
}

/** What the colours of the panels mean: `update(errors)` shows it for mistakes or for classes. */
export function panelKey(names) {
  const classes = legend(names), wrong = h("ul", { class: "lesson-legend" }, h("li", {}, h("span", { class: "lesson-swatch", style: `background-color: rgb(${WRONG.slice(0, 3)})` }), "wrong pixel"));
  const node = h("div", { class: "lesson-key" }, classes, wrong);
  node.update = (errors) => { classes.hidden = errors; wrong.hidden = !errors; };
  return node;
}

/** Choice of a scene by its thumbnail. */
export const thumbnails = (photos) => photos.map((photo, index) => [index, h("b", { class: "lesson-thumb" },
  h("img", { src: photo, alt: "" }), h("span", {}, String(index + 1)))]);
