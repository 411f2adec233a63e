import { card, integer, oneOf } from "./shared/card.js";
import { h, choice, player, slider } from "./shared/dom.js";
import { legend } from "./shared/picture.js";
/* Two pictures of one scene with a divider between: truth, scene or a network's prediction on the left, a prediction
   on the right. A network's moments lie below each other in one picture, so one file serves the whole slider. */

const percent = (share) => (share === null ? "–" : Math.round(100 * share) + "\u00a0%");
const score = (value) => (value === null ? "–" : value.toFixed(2));
const SCORES = [["pixels right", percent], ["mean IoU", score], ["boundary F", score]];

/** The pictures and the divider. `update({ left, right, divider })` takes sides of { name, src, row, rows }. */
function swipePicture([height, width], move) {
  const side = (place) => {
    const image = h("img", { alt: "", loading: "lazy" }), name = h("span", { class: "lesson-swipe-name" });
    return { image, name, node: h("div", { class: "lesson-swipe-side lesson-swipe-" + place }, image, name) };
  };
  const sides = { left: side("left"), right: side("right") };
  const handle = h("div", { class: "lesson-swipe-handle", role: "slider", tabindex: 0, "aria-label": "Divider", "aria-valuemin": 0, "aria-valuemax": 100,
    "data-lm-suppress-shortcuts": "true" });
  const node = h("div", { class: "lesson-pixels lesson-swipe-picture", style: `aspect-ratio: ${width} / ${height}` }, sides.left.node, sides.right.node, handle);
  let at = 0;
  const go = (divider) => { at = Math.min(100, Math.max(0, Math.round(divider))); move(at); };
  const point = (event) => {
    const box = node.getBoundingClientRect();
    go(100 * (event.clientX - box.left) / box.width);
  };
  node.addEventListener("pointerdown", (event) => {
    node.setPointerCapture(event.pointerId);
    handle.focus({ preventScroll: true, focusVisible: false });
    event.preventDefault();
    point(event);
  });
  node.addEventListener("pointermove", (event) => { if (event.buttons) point(event); });
  handle.addEventListener("keydown", (event) => {
    const far = event.shiftKey ? 10 : 2;
    const goal = { ArrowLeft: at - far, ArrowDown: at - far, ArrowRight: at + far, ArrowUp: at + far, Home: 0, End: 100 }[event.key];
    if (goal === undefined) return;
    event.preventDefault();
    go(goal);
  });
  node.update = ({ divider, ...shown }) => {
    at = divider;
    for (const [place, { name, src, row, rows }] of Object.entries(shown)) {
      const { image, name: label } = sides[place];
      if (image.getAttribute("src") !== src) image.src = src;
      Object.assign(image.style, { top: -100 * row + "%", height: 100 * rows + "%" });
      label.textContent = name;
    }
    sides.left.node.style.clipPath = `inset(0 ${100 - divider}% 0 0)`;
    sides.right.node.style.clipPath = `inset(0 0 0 ${divider}%)`;
    handle.style.left = divider + "%";
    handle.setAttribute("aria-valuenow", divider);
    handle.setAttribute("aria-valuetext", `${divider} % ${shown.left.name}, the rest ${shown.right.name}`);
  };
  return node;
}

/** Every network's scores at one moment of one scene; the two that are shown are marked. */
function scoreTable(networks, scores) {
  const rows = networks.map((name) => ({ name, cells: SCORES.map(() => h("td")), row: null }));
  rows.forEach((item) => { item.row = h("tr", {}, h("th", { scope: "row" }, item.name), ...item.cells); });
  const head = h("tr", {}, h("td"), ...SCORES.map(([name]) => h("th", { scope: "col" }, name)));
  const node = h("table", { class: "lesson-swipe-scores" }, h("thead", {}, head), h("tbody", {}, ...rows.map(({ row }) => row)));
  node.update = ({ scene, moment, left, right }) => rows.forEach(({ name, cells, row }, network) => {
    cells.forEach((cell, index) => { cell.textContent = SCORES[index][1](scores[network][scene][moment][index]); });
    row.classList.toggle("is-current", name === left || name === right);
  });
  return node;
}

function render({ model, el }) {
  const [size, photos, truths, strips, scores, moments] = ["size", "photos", "truths", "strips", "scores", "moments"].map((key) => model.get(key));
  const networks = model.get("networks"), lefts = ["truth", "scene", ...networks];
  el.classList.add("lesson-swipe");

  /** What a side shows: the picture, which of its rows, and of how many. */
  function source(name, { scene, moment }) {
    const still = { truth: truths, scene: photos }[name];
    return still ? { name, src: still[scene], row: 0, rows: 1 } : { name, src: strips[networks.indexOf(name)][scene], row: moment, rows: moments.length };
  }

  return card({
    model, el,
    rules: { left: oneOf(lefts), right: oneOf(networks), scene: integer(0, photos.length - 1), moment: integer(0, moments.length - 1), divider: integer(0, 100) },
    build({ picture, controls, set }) {
      const views = swipePicture(size, (divider) => set({ divider }));
      const names = legend(model.get("class_names"));
      picture.append(views, h("div", { class: "lesson-key" }, names));
      const named = (words) => words.map((name) => [name, name]);
      const left = choice({ label: "Left", options: named(lefts), onchange: (value) => set({ left: value }) });
      const right = choice({ label: "Right", options: named(networks), onchange: (value) => set({ right: value }) });
      const scene = choice({ label: "Scene", options: photos.map((_, index) => [index, index + 1]), onchange: (value) => set({ scene: value }) });
      const steps = slider({ label: "After step", min: 0, max: moments.length - 1, show: (at) => moments[at].toLocaleString("en"),
        onchange: (moment) => { play.stop(); set({ moment }); } });
      const play = player({ milliseconds: 600, label: "Play the training", step() {
        set({ moment: (model.get("moment") + 1) % moments.length });
        return model.get("moment") < moments.length - 1;
      } });
      const table = scoreTable(networks, scores);
      controls.append(left, right, scene, steps, h("div", { class: "lesson-row" }, play), table,
        h("p", { class: "lesson-recorded" }, "Recorded by an experiment; scores are of this scene alone, boundaries count as found within 1 px."));
      el.addEventListener("pointerenter", fetchAhead, { once: true });
      el.addEventListener("focusin", fetchAhead, { once: true });

      let fetched = false;
      function fetchAhead() {
        if (fetched) return;
        fetched = true;
        for (const address of [...strips.flat(), ...photos, ...truths]) new Image().src = address;
      }

      function show(state) {
        views.update({ left: source(state.left, state), right: source(state.right, state), divider: state.divider });
        Object.entries({ left, right, scene, moment: steps }).forEach(([key, control]) => control.update(state[key]));
        table.update(state);
        return play.getAttribute("aria-pressed") === "true" ? "Watch the outlines: what gets sharper with training, and what never does?" : words(state);
      }

      function words({ left: other, right: name, scene: at, moment }) {
        const [accuracy, , edges] = scores[networks.indexOf(name)][at][moment];
        const start = `After ${moments[moment].toLocaleString("en")} steps ${name} gives ${percent(accuracy)} of the pixels their true class; its boundary score is ${score(edges)}`;
        if (other === name) return `${start}. Both sides show ${name}, so they are the same: choose another network on one of them.`;
        if (!networks.includes(other)) return `${start}. ${other === "truth" ? "Drag the divider: where does it part from the truth?" : "Drag the divider over the outlines."}`;
        const [otherAccuracy, , otherEdges] = scores[networks.indexOf(other)][at][moment];
        return `${start}. For ${other} it is ${percent(otherAccuracy)} and ${score(otherEdges)}.`;
      }
      return { show, stop: play.stop };
    },
  });
}

export default { render };
