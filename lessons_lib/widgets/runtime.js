/* Brings the book's widgets to life without a kernel: for every <figure class="lesson-widget"> it loads the
   widget's script, gives it the state that stands in the page, and lets it render.
   A classic script on purpose: a page opened from disk may not import modules. */
(function () {
  "use strict";
  const base = new URL("lessons/", document.currentScript.src).href;
  const loading = {}, widgets = {};

  /** What a widget's script sees instead of the kernel: the same get, set, on and off as anywidget's model. */
  function createModel(state) {
    const listeners = {};
    return {
      get: (key) => state[key],
      set(key, value) {
        if (Object.is(state[key], value)) return;
        state[key] = value;
        for (const event of ["change:" + key, "change"]) (listeners[event] || []).slice().forEach((call) => call());
      },
      save_changes() {},
      on(event, call) { (listeners[event] = listeners[event] || []).push(call); },
      off(event, call) { listeners[event] = (listeners[event] || []).filter((other) => other !== call); },
    };
  }

  /** Pictures stand beside the page as files; "asset:NAME" in the state becomes their address. */
  function resolve(value) {
    if (typeof value === "string" && value.startsWith("asset:")) return base + value.slice(6);
    if (Array.isArray(value)) return value.map(resolve);
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, resolve(v)]));
    return value;
  }

  function load(name, file) {
    return loading[file] || (loading[file] = new Promise((succeed, fail) => {
      const script = document.createElement("script");
      script.src = base + file;
      script.onload = () => (widgets[name] ? succeed(widgets[name]) : fail(new Error(file + " registered nothing")));
      script.onerror = () => fail(new Error("cannot load " + file));
      document.head.append(script);
    }));
  }

  async function mount(figure) {
    const name = figure.dataset.widget;
    const el = document.createElement("div");
    try {
      const widget = await load(name, figure.dataset.script);
      const model = createModel(resolve(JSON.parse(figure.querySelector("script").textContent)));
      figure.append(el);
      await widget.render({ model, el });
      figure.dataset.state = "ready";
    } catch (error) {
      el.remove();
      figure.dataset.state = "error";
      const sentence = document.createElement("p");
      sentence.setAttribute("role", "alert");
      sentence.textContent = "This figure could not start, so it does not move (" + error.message + "). The picture shows its first state.";
      figure.append(sentence);
    }
  }

  /** Mounts every widget; then load the scripts that can wait, such as MathJax. */
  async function start() {
    const count = {};
    await Promise.all([...document.querySelectorAll("figure.lesson-widget")].map((figure) => {
      const name = figure.dataset.widget;
      count[name] = (count[name] || 0) + 1;
      figure.id = count[name] === 1 ? name : name + "-" + count[name];
      return mount(figure);
    }));
    document.querySelectorAll("script[data-later]").forEach((script) => { script.src = script.dataset.later; });
  }

  window.LessonWidgets = { register: (name, widget) => { widgets[name] = widget; } };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
