/* Small builders of accessible controls. Each returns an element with an `update(value)` that shows a value. */

/** Element `tag` with attributes; a key that starts with "on" is a listener; children are nodes or text. */
export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value != null) node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

let serial = 0;
/** An id that no other element of the page has. */
export function uniqueId(prefix) {
  serial += 1;
  return "lesson-" + prefix + "-" + serial + "-" + Math.random().toString(36).slice(2, 7);
}

/** Slider over the integers or steps from `min` to `max`; `show(value)` words the value beside it. */
export function slider({ label, min, max, step = 1, show = String, onchange }) {
  const id = uniqueId("slider");
  const output = h("output", { for: id });
  const input = h("input", { type: "range", id, min, max, step, "data-lm-suppress-shortcuts": "true",
    oninput: () => onchange(Number(input.value)) });
  const row = h("div", { class: "lesson-slider" }, h("label", { for: id }, label, " ", output), input);
  row.update = (value) => {
    input.value = value;
    output.textContent = show(value);
    input.setAttribute("aria-valuetext", show(value));
  };
  return row;
}

/** One of several options as a row of radio buttons; `options` is a list of [value, text]. */
export function choice({ label, options, onchange }) {
  const name = uniqueId("choice");
  const inputs = options.map(([value, text]) => {
    const input = h("input", { type: "radio", name, value, "data-lm-suppress-shortcuts": "true", onchange: () => onchange(value) });
    return { value, input, row: h("label", { class: "lesson-option" }, input, h("span", {}, text)) };
  });
  const group = h("fieldset", { class: "lesson-choice" }, h("legend", {}, label), ...inputs.map((item) => item.row));
  group.update = (value) => inputs.forEach((item) => { item.input.checked = item.value === value; });
  return group;
}

/** A check box. */
export function toggle({ label, onchange }) {
  const input = h("input", { type: "checkbox", onchange: () => onchange(input.checked) });
  const row = h("label", { class: "lesson-toggle" }, input, h("span", {}, label));
  row.update = (value) => { input.checked = value; };
  return row;
}

/** A push button. */
export function button(label, onclick, attributes = {}) {
  return h("button", { type: "button", class: "lesson-button", onclick, ...attributes }, label);
}

/** Play / pause button that calls `step` every `milliseconds` until it returns false, only while in view. */
export function player({ step, milliseconds, label = "Play" }) {
  let timer = null;
  const control = button(label, () => (timer ? stop() : play()), { "aria-pressed": "false" });
  function tick() {
    if (!control.isConnected) { stop(); return; }
    const box = control.getBoundingClientRect();
    const inView = box.bottom > -600 && box.top < window.innerHeight + 600;
    if (inView && step() === false) stop();
  }
  function play() {
    timer = setInterval(tick, milliseconds);
    control.textContent = "Pause";
    control.setAttribute("aria-pressed", "true");
    tick();
  }
  function stop() {
    clearInterval(timer);
    timer = null;
    control.textContent = label;
    control.setAttribute("aria-pressed", "false");
  }
  control.stop = stop;
  return control;
}
