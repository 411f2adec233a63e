import { card, flag, integer, oneOf } from "./shared/card.js";
import { h, button, choice } from "./shared/dom.js";
import { decodeMap, pixelPicture } from "./shared/picture.js";
/* The context probe. Covered, it shows nothing but a window round one pixel, and asks for a guess; revealed, it shows
   the scene, the truth, and what a classifier for each window size believes. The beliefs were computed by trained
   networks: one hexadecimal digit a probability, in the order window, row, column, class. */

const percent = (level) => Math.round(100 * level / 15) + "\u00a0%";
const square = (side) => `${side} × ${side}`;
const greatest = (levels) => levels.indexOf(Math.max(...levels));

/** What the networks believe about a pixel: for each window the levels 0 to 15 of the classes. */
function readBeliefs({ beliefs, shape: [rows, columns] }, step, windows, classes, row, column) {
  const high = Math.ceil(rows / step), wide = Math.ceil(columns / step);
  return windows.map((_, window) => {
    const start = ((window * high + row / step) * wide + column / step) * classes;
    return Array.from(beliefs.slice(start, start + classes), (digit) => parseInt(digit, 16));
  });
}

/** From which window on all networks are right, in words. */
function lesson(windows, right) {
  const wrong = right.lastIndexOf(false);
  if (wrong === -1) return "Here every network is right, even through a single pixel.";
  if (wrong === windows.length - 1) return "Here even the largest window is not enough.";
  return `From ${windows[wrong + 1]} px on every network is right.`;
}

/** The pixels of the window, enlarged: a canvas of exactly `window` x `window` px, and a frame round its centre. */
function enlargement() {
  const canvas = h("canvas", { role: "img" });
  const centre = h("div", { class: "lesson-probe-centre" });
  const view = h("div", { class: "lesson-pixels lesson-probe-patch" }, canvas, centre);
  view.update = (image, row, column, window) => {
    const half = (window - 1) / 2;
    Object.assign(canvas, { width: window, height: window });
    const draw = () => canvas.getContext("2d").drawImage(image, column - half, row - half, window, window, 0, 0, window, window);
    if (image.complete) draw();
    else image.addEventListener("load", draw, { once: true });
    canvas.setAttribute("aria-label", `The ${square(window)} pixels round the pixel, enlarged.`);
    centre.style.inset = `${100 * half / window}%`;
    centre.hidden = window === 1;
  };
  return view;
}

/** One row a class: at first a button to guess with, then a bar of what is believed. */
function classList(names, onguess) {
  const rows = names.map((name) => {
    const bar = h("i", { class: "lesson-probe-bar lesson-swatch-" + name, style: `background-color: var(--class-${name})` });
    const value = h("b"), mark = h("em");
    const row = button("", () => onguess(name), { class: "lesson-button lesson-probe-class" });
    row.append(h("i", { class: "lesson-swatch lesson-swatch-" + name, style: `background-color: var(--class-${name})` }),
      h("span", {}, name), mark, h("i", { class: "lesson-probe-track" }, bar), value);
    return { name, row, bar, value, mark };
  });
  const list = h("div", { class: "lesson-probe-classes", role: "group" }, ...rows.map(({ row }) => row));
  list.update = ({ revealed, levels, guess, truth }) => {
    list.classList.toggle("is-revealed", revealed);
    list.setAttribute("aria-label", revealed ? "What the network believes" : "Your guess");
    rows.forEach(({ name, row, bar, value, mark }, index) => {
      row.setAttribute("aria-disabled", revealed);
      row.classList.toggle("is-truth", revealed && name === truth);
      bar.style.width = revealed ? 100 * levels[index] / 15 + "%" : "0";
      value.textContent = revealed ? percent(levels[index]) : "";
      mark.textContent = !revealed ? "" : name === guess ? (guess === truth ? "you ✓" : "you") : name === truth ? "truth" : "";
    });
  };
  return list;
}

/** The choice of the window, and once revealed above each window the beliefs of its network as a stack: the true
    class stands at the bottom, so that its top edge draws the belief in the truth against the size of the window. */
function windowStrip(windows, names, onchange) {
  const columns = windows.map((window) => ({ stack: h("i", { class: "lesson-probe-stack" }), verdict: h("em"), window }));
  const strip = choice({ label: "Window in px, one network each", onchange,
    options: columns.map(({ stack, verdict, window }) => [window, h("b", {}, stack, verdict, String(window))]) });
  strip.classList.add("lesson-probe-strip");
  const choose = strip.update;
  strip.update = ({ window, revealed, beliefs, truth }) => {
    choose(window);
    columns.forEach(({ stack, verdict }, index) => {
      const order = names.map((_, i) => i).sort((one, other) => (names[other] === truth) - (names[one] === truth));
      stack.replaceChildren(...order.filter((i) => revealed && beliefs[index][i]).map((i) => h("i", {
        class: "lesson-swatch-" + names[i], style: `background-color: var(--class-${names[i]}); flex-grow: ${beliefs[index][i]}` })));
      const winner = names[greatest(beliefs[index])];
      verdict.textContent = revealed ? winner : "?";
      verdict.className = !revealed ? "" : winner === truth ? "is-right" : "is-wrong";
    });
  };
  return strip;
}

function render({ model, el }) {
  const scenes = model.get("scenes"), windows = model.get("windows"), names = model.get("class_names");
  const step = model.get("step"), pixels = model.get("pixels"), [rows, columns] = scenes[0].shape;
  const images = scenes.map((scene) => h("img", { loading: "lazy", src: scene.image, alt: "" }));
  const truths = scenes.map((scene) => decodeMap(scene.truth));
  const onGrid = (count) => (value) => Number.isFinite(value)
    ? step * Math.min(Math.ceil(count / step) - 1, Math.max(0, Math.round(value / step))) : undefined;
  el.classList.add("lesson-probe");
  return card({
    model, el,
    rules: { turn: integer(0, pixels.length - 1), scene: integer(0, scenes.length - 1), row: onGrid(rows), column: onGrid(columns), window: oneOf(windows),
      guess: oneOf(["", ...names]), revealed: flag },
    build({ picture, controls, set }) {
      const patch = enlargement();
      const places = images.map((image, scene) => {
        const place = pixelPicture({ rows, columns, step, label: "The scene.",
          onmove: (pixel) => set({ ...pixel, guess: "" }) });
        place.prepend(image);
        return place;
      });
      const seen = h("p", { class: "lesson-probe-seen" }), asked = h("p", { class: "lesson-probe-asked" });
      const place = h("div", { class: "lesson-probe-place" });
      const strip = windowStrip(windows, names, (window) => set({ window }));
      const classes = classList(names, (guess) => model.get("revealed") || set({ guess, revealed: true }));
      const another = button("Another pixel", () => {
        const turn = (model.get("turn") + 1) % pixels.length, [scene, row, column] = pixels[turn];
        set({ turn, scene, row, column, window: windows.slice(0, 2).pop(), guess: "", revealed: false });
      });
      picture.append(h("div", { class: "lesson-probe-views" }, patch, place), seen, strip,
        h("p", { class: "lesson-recorded" }, `Recorded: the beliefs of ${windows.length} trained networks, to the nearest 1/15.`));
      controls.append(asked, classes, another);

      return ({ scene, row, column, window, guess, revealed }) => {
        const id = truths[scene][row / step * Math.ceil(columns / step) + column / step];
        const truth = id === 255 ? "void" : names[id];
        const beliefs = readBeliefs(scenes[scene], step, windows, names.length, row, column);
        const levels = beliefs[windows.indexOf(window)], first = greatest(levels);
        if (place.firstChild !== places[scene]) place.replaceChildren(places[scene]);
        el.classList.toggle("is-covered", !revealed);
        patch.update(images[scene], row, column, window);
        places[scene].update({ row, column, window });
        seen.textContent = `Row ${row}, column ${column}: ${square(window)} = ${window * window} of ${rows * columns} pixels`;
        asked.textContent = revealed ? `The network that sees ${square(window)} px believes:`
          : "Which class is the pixel in the middle?";
        strip.update({ window, revealed, beliefs, truth });
        classes.update({ revealed, levels, guess, truth });
        if (!revealed) {
          return `You see ${square(window)} pixels; the pixel in question is in the middle. `
            + "Widen the window as far as you need, then guess.";
        }
        return `${guess ? `You: ${guess}. ` : ""}Network at ${window} px: ${names[first]}, ${percent(levels[first])}. Truth: ${truth}. `
          + lesson(windows, beliefs.map((each) => names[greatest(each)] === truth));
      };
    },
  });
}
export default { render };
