import { card, flag, integer } from "./shared/card.js";
import { thumbnails } from "./shared/class_panels.js";
import { h, button, choice } from "./shared/dom.js";
import { pixelPicture } from "./shared/picture.js";
/* The maps of a trained U-Net, level by level: the skip from the encoder, what comes from below, and what the decoder
   makes of both. A part's channels lie below each other in one picture. The decoder's maps are covered until the reader
   has made up his mind (`revealed`). */

const PARTS = ["skip", "below", "decoded"];
const percent = (share) => Math.round(100 * share) + "\u00a0%";

/** Frames the cell of `side` px that a px lies in, or 3 x 3 px where cells are smaller; without a cursor no frame. */
function frameCell(stack, cursor, [rows, columns]) {
  const frame = stack.querySelector(".lesson-cursor");
  frame.hidden = !cursor;
  if (!cursor) return;
  const { side, ...at } = cursor;
  stack.update({ ...at, window: 3 });
  if (side < 3) return;
  const part = (px, count) => 100 * side * Math.floor(px / side) / count + "%";
  Object.assign(frame.style, { left: part(at.column, columns), top: part(at.row, rows), width: 100 * side / columns + "%", height: 100 * side / rows + "%" });
}

/** A map out of a strip of `count` maps: `update(src, index)` shows the one at `index`. */
function mapImage(count) {
  const image = h("img", { alt: "" });
  image.update = (src, index) => {
    if (image.getAttribute("src") !== src) image.src = src;
    Object.assign(image.style, { height: 100 * count + "%", top: -100 * index + "%" });
  };
  return image;
}

/** One part of a level: the chosen channel large, all that are kept as a choice below it. */
function partPanel({ label, rows, columns, channels, onpoint, onchange }) {
  const title = h("b"), share = h("p"), large = mapImage(channels);
  const stack = pixelPicture({ rows, columns, label: label + ".", hover: true, onmove: ({ row, column }) => onpoint(row, column) });
  const thumbs = Array.from({ length: channels }, () => mapImage(channels));
  const strip = choice({ label: label + ", the strongest maps first", onchange,
    options: thumbs.map((image, index) => [index, h("i", { class: "lesson-features-thumb", style: `aspect-ratio: ${columns} / ${rows}` }, image)]) });
  strip.querySelectorAll("input").forEach((input, index) => input.setAttribute("aria-label", `Map ${index + 1}`));
  stack.prepend(large);
  stack.addEventListener("pointerleave", () => onpoint(-1, -1));
  stack.addEventListener("blur", () => onpoint(-1, -1));
  const node = h("div", { class: "lesson-panel" }, title, stack, share, strip);
  node.update = ({ name, src, channel, fine, covered, cursor }) => {
    title.textContent = name;
    share.textContent = `${covered ? "?" : percent(fine)} fine detail`;
    node.classList.toggle("is-covered", covered);
    strip.update(channel);
    large.update(src, channel);
    thumbs.forEach((image, index) => image.update(src, index));
    frameCell(stack, cursor, [rows, columns]);
  };
  return node;
}

/** The levels as the U: to the left of each size the encoder's share of fine detail as a bar, to the right the decoder's. */
function levelChoice({ sides, widest, onchange }) {
  const rows = sides.map(([height, width], level) => {
    const bottom = level === sides.length - 1;
    const [left, right] = [0, 1].map(() => ({ bar: h("i", { class: "lesson-features-bar" }), value: h("span", { class: "lesson-features-value" }) }));
    const cells = h("b", { class: "lesson-features-level" }, left.value, h("em", {}, left.bar), h("strong", {}, height === width ? `${width} px` : `${height} × ${width}`), h("em", {}, right.bar), right.value);
    return { bottom, left, right, option: [level, cells] };
  });
  const group = choice({ label: "Level, and how much of its maps' variation is fine detail", options: rows.map(({ option }) => option), onchange });
  group.classList.add("lesson-features-levels");
  group.querySelector("legend").after(h("div", { class: "lesson-features-level lesson-features-head", "aria-hidden": "true" }, h("span"), h("em", {}, "encoder"), h("strong"), h("em", {}, "decoder"), h("span")));
  const choose = group.update;
  group.update = ({ level, shares, revealed }) => {
    choose(level);
    rows.forEach(({ bottom, left, right }, index) => {
      for (const [{ bar, value }, share, known] of [[left, shares.skip[index], true], [right, shares.decoded[index], revealed]]) {
        bar.style.width = known && share ? 100 * share / widest + "%" : 0;
        value.textContent = share === undefined ? "" : known ? percent(share) : "?";
      }
      group.querySelectorAll("input")[index].setAttribute("aria-label", bottom ? "The bottom of the U" : `Level ${index + 1}`);
    });
  };
  return group;
}

/** What the decoder's share of fine detail at a level says beside those of the two that came in; compared as they are shown. */
function meaning(of, level) {
  const [skip, below, decoded] = PARTS.map((part) => Math.round(100 * of[part][level]));
  const beside = [decoded < skip ? "less than the skip's, because texture such as grass and fur was dropped" : "no less than the skip's",
    decoded > below ? "more than what came from below, because outlines came back" : "no more than what came from below"];
  return `So much of their variation is fine, inside cells of the bottom's size: ${beside.join("; ")}.`;
}

function render({ model, el }) {
  const [photos, sides, strips, shares, channels, cell] = ["photos", "sides", "strips", "shares", "channels", "cell"].map((key) => model.get(key));
  const [rows, columns] = sides[0], bottom = sides.length - 1;
  const widest = Math.max(...[...shares.skip, ...shares.decoded].flat());
  const sharesOf = (scene) => Object.fromEntries(PARTS.map((part) => [part, shares[part].map((scenes) => scenes[scene])]));
  el.classList.add("lesson-features");

  return card({
    model, el,
    rules: { scene: integer(0, photos.length - 1), level: integer(0, bottom), revealed: flag, row: integer(-1, rows - 1), column: integer(-1, columns - 1),
      ...Object.fromEntries(PARTS.map((part) => [part, integer(0, channels - 1)])) },
    build({ picture, controls, set }) {
      const onpoint = (row, column) => set({ row, column });
      const photo = h("img", { alt: "" }), place = pixelPicture({ rows, columns, label: "The scene.", hover: true, onmove: ({ row, column }) => onpoint(row, column) });
      place.prepend(photo);
      place.addEventListener("pointerleave", () => onpoint(-1, -1));
      place.addEventListener("blur", () => onpoint(-1, -1));
      const scene = choice({ label: "Scene", options: thumbnails(photos), onchange: (value) => set({ scene: value }) });
      const labels = { skip: "The encoder", below: "From below", decoded: "The decoder" };
      const panels = PARTS.map((part) => partPanel({ label: labels[part], rows, columns, channels, onpoint, onchange: (value) => set({ [part]: value }) }));
      picture.append(h("div", { class: "lesson-panels lesson-features-panels" }, h("div", { class: "lesson-panel" }, h("b", {}, "scene"), place, scene), ...panels));

      const levels = levelChoice({ sides, widest, onchange: (level) => set({ level }) });
      const show = button("Show the decoder's maps", () => { set({ revealed: true }); levels.querySelector("input:checked").focus(); }, { class: "lesson-button lesson-button-main" });
      const asked = h("div", { class: "lesson-features-asked" }, h("p", {}, "The decoder joins the encoder's maps with those from below. Will its own be as sharp as the first, as soft as the second, or between?"), show);
      const next = h("p", { class: "lesson-features-asked" }, "Now climb, level by level. Where does detail come back? Which of the decoder's maps show a single class?");
      controls.append(levels, h("div", {}, asked, next, h("p", { class: "lesson-recorded" },
        `Recorded from a trained network. Fine detail: variation inside cells of ${cell} × ${cell} px, the size of a cell at the bottom. Each map from its lowest value, black, to about its highest, white.`)));

      return (state) => {
        const { scene: at, level, revealed, row, column } = state, of = sharesOf(at);
        const cursor = row < 0 || column < 0 ? null : { row, column, side: rows / sides[level][0] };
        const names = { skip: level === bottom ? "bottom of the U" : `encoder ${level + 1}: the skip`, below: "from below, resized", decoded: `decoder ${level + 1}: of both` };
        if (photo.getAttribute("src") !== photos[at]) photo.src = photos[at];
        frameCell(place, cursor, [rows, columns]);
        panels.forEach((panel, index) => {
          const part = PARTS[index];
          panel.hidden = !strips[part][level];
          if (!panel.hidden) panel.update({ name: names[part], src: strips[part][level][at], channel: state[part], fine: of[part][level], covered: part === "decoded" && !revealed, cursor });
        });
        scene.update(at);
        levels.update({ level, shares: of, revealed });
        asked.hidden = revealed;
        next.hidden = !revealed;
        return words(state, of);
      };

      function words({ level, revealed, row, column }, of) {
        const [height, width] = sides[level], side = rows / height;
        const size = `${height} × ${width} cells of ${side} × ${side} px`;
        if (row >= 0 && column >= 0) return `Row ${row}, column ${column}: the frame marks the same place in every picture. A map of this level has ${side === 1 ? "a value for each px" : `one value for these ${side} × ${side} px`}.`;
        if (level === bottom) return `The bottom of the U: ${size}. Fine detail is what varies inside such a cell, so it is 0\u00a0% here by definition: a map has one value a cell. It says what is there, and roughly where.`;
        const start = `Level ${level + 1}, ${size}: fine detail makes ${percent(of.skip[level])} of the variation of the encoder's maps, and ${percent(of.below[level])} of what comes from below.`;
        if (!revealed) return `Predict first. ${start} And of the decoder's?`;
        return `${start} In the decoder's maps it is ${percent(of.decoded[level])}. ${meaning(of, level)}`;
      }
    },
  });
}

export default { render };
