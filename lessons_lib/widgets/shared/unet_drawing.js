import { h, button, choice } from "./dom.js";
import { layUNet } from "./unet_layout.js";
/* A U-Net as a drawing: every stage is a radio button, and where two maps do not meet, the remedies stand at the arrow. */

export const REMEDIES = ["crop", "pad", "resize"];
export const MOST = 5; // levels
export const NAMES = ["input", ...Array.from({ length: MOST }, (_, index) => `encoder ${index + 1}`), "bottleneck",
  ...Array.from({ length: MOST }, (_, index) => `decoder ${MOST - index}`), "head"];

export const shapeOf = ({ channels, size }) => [channels, size, size].map((value) => value ?? "?").join(" × ");
export const title = (name) => ({ input: "The image", head: "The scores" }[name] || name[0].toUpperCase() + name.slice(1));


function svgNode(name, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}
/** An arrow: its line, and a head that points along its last stretch. */
function arrow(d, [x, y], turn, kind) {
  const group = svgNode("g", { class: "lesson-unet-arrow " + kind });
  group.append(svgNode("path", { d }), svgNode("path", { d: "M-8 -4.5L0 0L-8 4.5Z", class: "lesson-unet-tip", transform: `translate(${x} ${y}) rotate(${turn})` }));
  return group;
}
/** Where a path of M, H, V and Q ends, and its heading there in degrees. */
function endOf(d) {
  let x = 0, y = 0, turn = 0;
  for (const [, letter, rest] of d.matchAll(/([MHVQ])([^MHVQ]+)/g)) {
    const values = rest.trim().split(" ").map(Number);
    if (letter === "H") { turn = values[0] > x ? 0 : 180; [x] = values; }
    else if (letter === "V") { turn = values[0] > y ? 90 : 270; [y] = values; }
    else [x, y] = values.slice(-2);
  }
  return [[x, y], turn];
}

const px = ({ x, y, width, height }) => `left: ${x}px; top: ${y}px; width: ${width}px; height: ${height}px`;

/** That two maps do not meet, or what became of the one that did not fit. */
const outcome = ({ across, up, size, broken }, { remedy }) =>
  broken ? `${across} px and ${up} px don't meet` : ({ crop: `${up} → ${size} px, cropped`, pad: `${across} → ${size} px, padded`, resize: `${up} → ${size} px, resized` })[remedy];

/** The drawing. `onstage(name)` is told which stage is chosen, `onlook(name)` which is pointed at, `onremedy(name)` which remedy. */
export function drawUNet({ image, truth, onstage, onlook, onremedy }) {
  const svg = svgNode("svg", { "aria-hidden": "true" });
  const list = choice({ label: "Stages of the network: choose one to look at it", onchange: onstage,
    options: NAMES.map((name) => [name, h("b", { class: "lesson-unet-stage", "data-kind": name.split(" ")[0] })]) });
  list.classList.add("lesson-unet-stages");
  const items = [...list.querySelectorAll("label")].map((label, index) => {
    label.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") onlook(NAMES[index]); });
    label.addEventListener("pointerleave", () => onlook(""));
    return { name: NAMES[index], label, input: label.querySelector("input"), node: label.querySelector("b") };
  });
  const planes = { input: image, head: truth };
  const mark = h("p", { class: "lesson-unet-unlike" }, "≠");
  const remedies = REMEDIES.map((name) => ({ name, node: button(name[0].toUpperCase() + name.slice(1), () => onremedy(name), { "aria-pressed": "false" }) }));
  const meeting = h("div", { class: "lesson-unet-meeting", role: "group", "aria-label": "Make the two maps meet" }, ...remedies.map(({ node }) => node));
  const node = h("div", { class: "lesson-unet-drawing" }, svg, list, mark, meeting);
  let drawn = "";

  node.update = ({ stages, net, stage: chosen, kept }) => {
    const { clientWidth: width, clientHeight: height } = node;
    if (!width) return;
    list.update(kept);
    items.forEach(({ name, label }) => label.classList.toggle("is-current", name === chosen));
    const wanted = JSON.stringify([net, width, height]);
    if (wanted === drawn) return; // only pointed at
    drawn = wanted;
    const callout = net.skip === "none" ? undefined : stages.find(({ across, up }) => up !== undefined && across !== up); // the first that do not fit
    const { boxes, planes: sides, arrows, skips, edges, roomy } = layUNet(stages, net, callout?.level, width, height);
    const find = (name) => stages.find((stage) => stage.name === name);
    const ready = (name) => find(name).size !== undefined;
    const labels = [];
    for (const { name, label, input, node: group } of items) {
      const stage = find(name);
      label.hidden = !stage;
      if (!stage) { group.replaceChildren(); continue; }
      const waits = stage.size === undefined, side = sides[name];
      label.classList.toggle("is-waiting", waits);
      label.classList.toggle("is-broken", Boolean(stage.broken));
      input.setAttribute("aria-label", `${title(name)}: ${waits ? "waits" : shapeOf(stage)}`);
      const arrives = stage.broken ? { ...stage, size: stage.up } : stage; // what comes from below
      const tag = h("em", { class: "lesson-unet-shape" }, roomy || side ? shapeOf(arrives) : `${stage.channels} × ${arrives.size ?? "?"}²`);
      if (side) {
        const plane = h("i", { class: "lesson-unet-plane", style: px(side) });
        if (!waits) plane.style.backgroundImage = `url("${planes[name]}")`;
        tag.style.cssText = `${name === "input" ? "left: 0" : "right: 0"}; top: ${Math.max(0, side.y - 26)}px`;
        group.replaceChildren(plane, tag);
        continue;
      }
      const { left, right, top, bottom, middle, centre } = edges[name];
      const away = stage.level === callout?.level && !roomy ? 10 : 3; // from the arrow: room for its mark
      tag.style.cssText = name === "bottleneck" ? `left: ${centre}px; top: ${bottom + 4}px; transform: translateX(-50%)`
        : stage.kind === "encoder" ? `left: ${right + 8}px; top: ${middle - away}px; transform: translateY(-100%)`
          : `right: ${width - left + 8}px; top: ${middle + (roomy ? -away : away)}px; transform: translateY(${roomy ? -100 : 0}%)`;
      const tall = Math.max(44, bottom - top);
      const area = h("i", { class: "lesson-unet-area", style: px({ x: left - 6, y: middle - tall / 2, width: right - left + 12, height: tall }) });
      group.replaceChildren(area, ...boxes[name].map((box) => h("i", { class: "lesson-unet-box", "data-part": box.part, style: px(box) })), tag);
    }

    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.replaceChildren(...Object.keys(boxes).filter(ready).map((name) => svgNode("path", { class: "lesson-unet-thread",
      d: `M${edges[name].left} ${edges[name].middle}H${edges[name].right}` })));
    for (const { to, d } of arrows) {
      const before = stages[stages.findIndex(({ name }) => name === to) - 1];
      svg.append(arrow(d, ...endOf(d), before.size === undefined ? "is-waiting" : ""));
    }
    for (const { level, from, to, y } of net.skip === "none" ? [] : skips) {
      const stage = find(`decoder ${level}`), { channels, across, up } = stage, middle = (from + to) / 2;
      const kind = stage.broken ? "is-broken" : ready(stage.name) ? "is-skip" : "is-waiting is-skip";
      const d = `M${from + 4} ${y}H${to - 5}`;
      svg.append(arrow(d, ...endOf(d), kind));
      if (!roomy) continue;
      const done = across === up || !(ready(stage.name) || stage.broken) ? "" : outcome(stage, net);
      const sum = net.skip === "add" ? `added: still ${channels} channels` : to - from < 280 ? `joined: ${2 * channels} channels` : `joined: ${channels} and ${channels} are ${2 * channels} channels`;
      const words = svgNode("text", { x: middle, y: y + 17, class: stage.broken ? "is-unlike" : done ? "is-done" : "" });
      words.textContent = done || sum;
      labels.push(words);
    }
    if (roomy && skips[0].to - skips[0].from > 380) {
      for (const [kind, x] of [["encoder", skips[0].from + 8], ["decoder", skips[0].to - 8]]) {
        const words = svgNode("text", { x, y: skips[0].y + 17, class: "is-" + kind });
        words.textContent = kind;
        labels.push(words);
      }
    }
    svg.append(...labels);

    node.dataset.skip = net.skip;
    meeting.hidden = !callout;
    mark.hidden = !callout?.broken;
    if (!callout) return;
    const { from, to, y } = skips[callout.level - 1];
    meeting.classList.toggle("is-solved", !callout.broken);
    remedies.forEach(({ name, node: control }) => control.setAttribute("aria-pressed", String(name === net.remedy)));
    mark.style.cssText = `left: ${(from + to) / 2}px; top: ${y}px`;
    meeting.style.cssText = `left: ${roomy ? (from + to) / 2 : edges.bottleneck.centre}px; top: ${y + (roomy ? 26 : 32)}px; transform: translateX(-50%)`;
  };
  return node;
}
