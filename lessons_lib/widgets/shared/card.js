import { h, button } from "./dom.js";
/* The card that every widget lives in: one object of state, one `set`, views that are functions of the state.

   card({ model, el, rules, build }) returns the clean-up function that `render` must return.
   rules   { key: check }: the state. check(value) gives the value, mended if need be, or undefined if it is not
           a state at all (an address that somebody typed); see `integer`, `oneOf`, `flag`, `textOf`.
   build({ picture, controls, set, model }) fills the two boxes once and returns show(state), which draws a state
           and returns the sentence that says in words what is seen. It may return { show, stop } to clean up.
   The state at the start is the one that Reset brings back; the Link button puts the state into the address. */

export const integer = (min, max) => (value) =>
  Number.isFinite(value) ? Math.min(max, Math.max(min, Math.round(value))) : undefined;
export const number = (min, max) => (value) =>
  Number.isFinite(value) ? Math.min(max, Math.max(min, value)) : undefined;
export const oneOf = (values) => (value) => (values.includes(value) ? value : undefined);
export const flag = (value) => (typeof value === "boolean" ? value : undefined);

export function card({ model, el, rules, build }) {
  const keys = Object.keys(rules);
  const figure = el.closest("figure.lesson-widget");
  const picture = h("div", { class: "lesson-picture" });
  const controls = h("div", { class: "lesson-controls" });
  const sentence = h("p", { class: "lesson-sentence", "aria-live": "polite" });
  const tools = h("div", { class: "lesson-tools" }, button("Reset", () => set(initial)));
  el.classList.add("lesson-card");
  el.append(h("p", { class: "lesson-title" }, model.get("title")),
    h("div", { class: "lesson-body" }, picture, controls), sentence, tools);

  const current = () => Object.fromEntries(keys.map((key) => [key, model.get(key)]));
  function set(patch) {
    for (const [key, value] of Object.entries(patch)) {
      const checked = rules[key](value);
      if (checked !== undefined) model.set(key, checked);
    }
    model.save_changes();
  }

  let scheduled = 0;
  function draw() {
    cancelAnimationFrame(scheduled);
    scheduled = 0;
    const words = view.show(current());
    if (sentence.textContent !== words) sentence.textContent = words;
  }
  const redraw = () => { scheduled = scheduled || requestAnimationFrame(draw); };

  const initial = current();
  const built = build({ picture, controls, set, model });
  const view = typeof built === "function" ? { show: built, stop() {} } : built;
  if (figure) {
    readAddress();
    tools.append(button("Link to this setting", writeAddress));
    window.addEventListener("hashchange", readAddress);
  }
  model.on("change", redraw);
  draw();

  /** The address is #ID?key=value&…, every value as JSON. */
  function writeAddress(event) {
    const query = keys.map((key) => key + "=" + encodeURIComponent(JSON.stringify(model.get(key)))).join("&");
    history.replaceState(null, "", "#" + figure.id + "?" + query);
    if (navigator.clipboard) navigator.clipboard.writeText(location.href).catch(() => {});
    event.target.textContent = "The address bar now holds this setting";
    setTimeout(() => { event.target.textContent = "Link to this setting"; }, 2500);
  }
  function readAddress() {
    const [id, query] = location.hash.slice(1).split("?");
    if (id !== figure.id || !query) return;
    const patch = {};
    for (const part of query.split("&")) {
      const [key, text] = part.split("=");
      try {
        if (keys.includes(key)) patch[key] = JSON.parse(decodeURIComponent(text));
      } catch { /* a mistyped address changes nothing */ }
    }
    set(patch);
    figure.scrollIntoView({ block: "center" });
  }

  return () => {
    model.off("change", redraw);
    window.removeEventListener("hashchange", readAddress);
    cancelAnimationFrame(scheduled);
    view.stop();
  };
}
