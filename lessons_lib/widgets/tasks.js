import { card, integer, oneOf } from "./shared/card.js";
import { h, choice, slider } from "./shared/dom.js";
import { classColor, decodeMap, legend, pixelPicture, rgb } from "./shared/picture.js";
/* Four tasks on one picture. A picture's truth is a map of segments: one for each thing, one for each class of
   stuff. Everything that a task answers is computed from it: words, classes, boxes, masks. */

const TASKS = ["classification", "semantic segmentation", "object detection", "instance segmentation"];
const [CLASSIFICATION, SEMANTIC, DETECTION, INSTANCE] = TASKS;
const VOID = { name: "void", thing: false };
const DARK = "#14181d", LIGHT = "#fff"; // lines over a picture are the same by day and by night
const HATCHES = { tree: { period: 12, width: 3, rising: false }, void: { period: 16, width: 7, rising: true } }; // canvas px

/** Reads a picture's state: `map` of segment numbers, and `parts` with class, number among its like, box (in px, right
    and bottom not included) and the column of its tip. */
function readTruth({ shape: [rows, columns], map: text, segments, word }) {
  const map = decodeMap(text);
  const parts = segments.map(([name, thing]) => ({ name, thing: Boolean(thing), left: columns, top: rows, right: 0, bottom: 0 }));
  map.forEach((id, index) => {
    const part = parts[id];
    if (!part) return;
    const row = Math.floor(index / columns), column = index % columns;
    part.tip = part.tip ?? column;
    part.left = Math.min(part.left, column);
    part.right = Math.max(part.right, column + 1);
    part.top = Math.min(part.top, row);
    part.bottom = Math.max(part.bottom, row + 1);
  });
  for (const part of parts) {
    const alike = parts.filter((other) => other.name === part.name);
    part.number = alike.indexOf(part) + 1;
    part.of = alike.length;
  }
  return { rows, columns, map, parts, things: parts.filter((part) => part.thing), word };
}

/** What each task answers about a pixel: `short` for the list with the class `name` that colours it, `words` for the
    sentence, and `unit`: the segments that the answer is about. */
function ask({ columns, map, parts, things, word }, row, column) {
  const part = parts[map[row * columns + column]] || VOID;
  const boxes = things.filter((thing) => row >= thing.top && row < thing.bottom && column >= thing.left && column < thing.right);
  const names = boxes.map((box) => `${box.name} ${box.number}`);
  const several = part.thing && part.of > 1;
  const nobody = "void: nobody knows. Whoever drew the truth left this pixel open; it is neither learned nor scored.";
  const remark = boxes.includes(part) ? "Object detection frames each thing and names it."
    : `Yet the pixel itself is ${part.name}: a thing does not fill its box.`;
  return {
    part,
    [CLASSIFICATION]: { short: word, name: word, unit: [],
      words: `Classification has one word for the whole picture, “${word}”, and nothing to say about this pixel.` },
    [SEMANTIC]: { short: part.name, name: part.name, unit: parts.filter((other) => other.name === part.name),
      words: part === VOID ? nobody : `${part.name}. Semantic segmentation names the class of every pixel`
        + (several ? `; which ${part.name} of the ${part.of} it is, it cannot say: they share one label.` : ".") },
    [DETECTION]: { short: names.join(", ") || "in no box", name: boxes.length ? boxes[0].name : null, unit: boxes,
      words: boxes.length ? `inside the box${boxes.length > 1 ? "es" : ""} of ${names.join(" and ")}. ${remark}`
        : "inside no box. Object detection finds things and says nothing about this pixel." },
    [INSTANCE]: { short: part.thing ? `${part.name} ${part.number} of ${part.of}` : "nothing", name: part.thing ? part.name : null,
      unit: part.thing ? [part] : [],
      words: part === VOID ? nobody : part.thing
        ? `${part.name} ${part.number} of ${part.of}. Instance segmentation gives each thing a mask of its own.`
        : `nothing: ${part.name} is stuff, not a thing, and only things get masks.` },
  };
}

/** Borders between neighbouring pixels whose segments `differ`, as one path. */
function borders({ rows, columns, map }, scale, differ) {
  const path = new Path2D();
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const index = row * columns + column, x = column * scale, y = row * scale;
      if (column && differ(map[index], map[index - 1])) { path.moveTo(x, y); path.lineTo(x, y + scale); }
      if (row && differ(map[index], map[index - columns])) { path.moveTo(x, y); path.lineTo(x + scale, y); }
    }
  }
  return path;
}

/** Fills a canvas with the colours that a task gives to the segments: classes in their colour, things of one class
    in different lightness, hatches where the palette has them. */
function paint(context, { columns, map, parts }, scale, task, shades) {
  const { width, height } = context.canvas;
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const pack = ([red, green, blue]) => (255 << 24) | (blue << 16) | (green << 8) | red;
  const inks = [...parts, VOID].map((part) => {
    if (task === INSTANCE && !part.thing && part !== VOID) return null;
    const shade = task === INSTANCE && part.thing ? shades[(part.number - 1) % shades.length] : 0;
    const lit = rgb(classColor(part.name)).map((value) => Math.round(value + Math.abs(shade) * ((shade > 0) * 255 - value)));
    const hatch = HATCHES[part.name];
    return { color: pack(lit), hatch, line: hatch && pack(rgb(classColor(part.name + "-hatch"))) };
  });
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const ink = inks[Math.min(map[Math.floor(y / scale) * columns + Math.floor(x / scale)], parts.length)];
      if (!ink) continue;
      const { color, hatch, line } = ink;
      const along = hatch && (hatch.rising ? x + y : x - y + height * hatch.period) % hatch.period;
      pixels[y * width + x] = hatch && along < hatch.width ? line : color;
    }
  }
  context.putImageData(image, 0, 0);
}

/** One picture with its layers: photograph, colours, borders, boxes with names, cursor. */
function stage(picture, shades, onmove) {
  const truth = readTruth(picture);
  const { rows, columns, things, word } = truth;
  const scale = Math.ceil(700 / columns);
  const stack = pixelPicture({ rows, columns, label: picture.name + ".", onmove, hover: true });
  stack.prepend(h("img", { loading: "lazy", src: picture.image, alt: "" }));
  const colors = stack.layer(scale), lines = stack.layer(scale);
  const frames = h("div", { class: "lesson-task-frames" });
  stack.append(frames);
  const isThing = (id) => Boolean(truth.parts[id]?.thing);
  const outlines = borders(truth, scale, (one, other) => one !== other && (isThing(one) || isThing(other)));
  let shown = "", boxes = [];

  function frame({ name, number, left, top, right, bottom, tip }) {
    const tag = h("span", { class: "lesson-task-tag" }, number ? `${name} ${number}` : name);
    const box = h("div", { class: "lesson-task-frame", style: `left: ${100 * left / columns}%; top: ${100 * top / rows}%; `
      + `width: ${100 * (right - left) / columns}%; height: ${100 * (bottom - top) / rows}%; --tint: var(--class-${name}); `
      + `--tip: ${100 * (tip - left) / (right - left)}%; --shift: ${-100 * tip / columns}%` }, tag);
    box.classList.toggle("is-small", right - left < columns / 8);
    return box;
  }
  function drawTask(task) {
    colors.canvas.hidden = task === CLASSIFICATION || task === DETECTION;
    if (!colors.canvas.hidden) paint(colors, truth, scale, task, shades);
    const whole = { name: word, left: 0, top: 0, right: columns, bottom: rows, tip: 0 };
    boxes = task === CLASSIFICATION ? [whole] : task === SEMANTIC ? [] : things;
    frames.replaceChildren(...boxes.map(frame));
    frames.dataset.task = task;
    frames.classList.toggle("is-crowded", boxes.length > 4);
  }
  function drawUnit(task, unit) {
    lines.clearRect(0, 0, lines.canvas.width, lines.canvas.height);
    if (colors.canvas.hidden) return;
    const stroke = (path, color, width) => {
      Object.assign(lines, { strokeStyle: color, lineWidth: width, lineCap: "round" });
      lines.stroke(path);
    };
    if (task === INSTANCE) stroke(outlines, DARK, 3);
    const within = truth.parts.map((part) => unit.includes(part));
    const edge = borders(truth, scale, (one, other) => Boolean(within[one]) !== Boolean(within[other]));
    stroke(edge, DARK, 8);
    stroke(edge, LIGHT, 4);
  }
  const classes = new Set(truth.parts.map((part) => part.name));
  if (truth.map.includes(255)) classes.add("void");
  return {
    stack,
    truth,
    names: legend([...classes]),
    show({ task, row, column, opacity }) {
      const answers = ask(truth, row, column), { unit } = answers[task];
      const now = task + unit.map((part) => truth.parts.indexOf(part));
      if (!shown.startsWith(task)) drawTask(task);
      if (shown !== now) drawUnit(task, unit);
      shown = now;
      boxes.forEach((box, index) => frames.children[index].classList.toggle("is-current", unit.includes(box)));
      stack.style.setProperty("--opacity", opacity + "%");
      stack.update({ row, column });
      return answers;
    },
  };
}

function render({ model, el }) {
  const pictures = model.get("pictures");
  const limit = (axis) => Math.max(...pictures.map((picture) => picture.shape[axis])) - 1;
  el.classList.add("lesson-tasks");
  return card({
    model, el,
    rules: { picture: integer(0, pictures.length - 1), task: oneOf(TASKS),
      row: integer(0, limit(0)), column: integer(0, limit(1)), opacity: integer(0, 100) },
    build({ picture: box, controls, set }) {
      const stages = [], open = (index) => (stages[index] = stages[index] || stage(pictures[index], model.get("shades"), set));
      const thumb = ({ name, image }) => h("b", { class: "lesson-task-thumb" }, h("img", { loading: "lazy", src: image, alt: "" }), name);
      const which = choice({ label: "Picture", options: pictures.map((picture, index) => [index, thumb(picture)]),
        onchange: (picture) => {
          const [row, column] = pictures[picture].start;
          set({ picture, row, column });
        } });
      const answers = TASKS.map(() => h("i", { class: "lesson-task-answer" }));
      const tasks = choice({ label: "Task, and its answer for this pixel", onchange: (task) => set({ task }),
        options: TASKS.map((task, index) => [task, h("b", { class: "lesson-task-name" }, task, answers[index])]) });
      tasks.classList.add("lesson-task-list");
      const opacity = slider({ label: "Opacity of the colours", min: 0, max: 100, show: (value) => value + " %",
        onchange: (value) => set({ opacity: value }) });
      const key = h("div");
      controls.append(...(pictures.length > 1 ? [which] : []), tasks, opacity, key);

      return (state) => {
        const current = open(state.picture), { names } = current;
        const row = Math.min(state.row, current.truth.rows - 1), column = Math.min(state.column, current.truth.columns - 1);
        if (box.firstChild !== current.stack) box.replaceChildren(current.stack);
        if (key.firstChild !== names) key.replaceChildren(names);
        const said = current.show({ ...state, row, column });
        TASKS.forEach((task, index) => {
          const { short, name } = said[task];
          answers[index].textContent = short;
          answers[index].style.setProperty("--tint", name ? `var(--class-${name})` : "transparent");
        });
        which.update(state.picture);
        tasks.update(state.task);
        opacity.update(state.opacity);
        names.update(said.part.name);
        return `Row ${row}, column ${column}: ${said[state.task].words}`;
      };
    },
  });
}
export default { render };
