import { choice, h, slider } from "./shared/dom.js";
import { card, integer } from "./shared/card.js";
/* A function's answers to every setting of its controls, recorded while the page was built.
   Only the first picture is loaded with the page; once the reader reaches for a control, the pictures that lie one
   step away are fetched ahead of the hand. */

/** Number of the frame of a position: settings stand like the digits of a number, the last control runs fastest. */
function frameNumber(position, controls) {
  return position.reduce((number, at, index) => number * controls[index].options.length + at, 0);
}

/** Every position that is one step of one control away. */
function neighbours(position, controls) {
  return controls.flatMap(({ options }, index) => [-1, 1]
    .map((step) => position.with(index, position[index] + step))
    .filter((other) => other[index] >= 0 && other[index] < options.length));
}

function render({ model, el }) {
  const controls = model.get("controls");
  const pictures = model.get("pictures");
  const [width, height] = model.get("size");
  const checks = controls.map(({ options }) => integer(0, options.length - 1));

  /** A position, every number within its control; undefined if it isn't one. */
  function checkPosition(value) {
    if (!Array.isArray(value) || value.length !== controls.length) return undefined;
    const position = value.map((at, index) => checks[index](at));
    return position.includes(undefined) ? undefined : position;
  }

  return card({
    model, el, rules: { position: checkPosition },
    build({ picture, controls: box, set }) {
      const image = h("img", { class: "lesson-frame", width, height, loading: "lazy" });
      picture.append(image);

      const choose = (index, at) => set({ position: model.get("position").with(index, at) });
      const inputs = controls.map(({ label, options }, index) => options.every((word) => Number.isFinite(Number(word)))
        ? slider({ label, min: 0, max: options.length - 1, show: (at) => options[at], onchange: (at) => choose(index, at) })
        : choice({ label, options: options.map((word, at) => [at, word]), onchange: (at) => choose(index, at) }));
      box.append(...inputs, h("p", { class: "lesson-recorded" },
        "Recorded while this page was built; run the notebook to ask the model anything else."));

      const fetched = new Set();
      let touched = false;
      function fetchAhead() {
        touched = true;
        for (const position of neighbours(model.get("position"), controls)) {
          const address = pictures[frameNumber(position, controls)];
          if (fetched.has(address)) continue;
          fetched.add(address);
          new Image().src = address;
        }
      }
      box.addEventListener("focusin", fetchAhead, { once: true });

      return function show({ position }) {
        const frame = frameNumber(position, controls);
        const sentence = model.get("sentences")[frame];
        image.src = pictures[frame];
        image.alt = sentence;
        inputs.forEach((input, index) => input.update(position[index]));
        if (touched) fetchAhead();
        return sentence;
      };
    },
  });
}

export default { render };
