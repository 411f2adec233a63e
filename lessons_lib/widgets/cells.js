import { h, uniqueId } from "./shared/dom.js";
import { typeset, readNumber, near, question } from "./shared/question.js";
/* The field of a grid that is typed cell by cell; all else is in shared/question.js. The answer as text is a JSON list
   of what stands in the cells, row after row. An empty cell says: the output has no such place. */

function cellsField(model, prompt) {
  const [answer, mistakes, hints, tolerance] = ["answer", "mistakes", "hints", "tolerance"].map((key) => model.get(key));
  const [rows, columns] = model.get("room");
  const id = uniqueId("cells");
  const name = (row, column) => (rows === 1 ? `place ${column}` : `row ${row}, column ${column}`);
  const places = Array.from({ length: rows * columns }, (_, index) => [Math.floor(index / columns), index % columns]);
  const inputs = places.map(([row, column]) => h("input", { type: "text", inputmode: "decimal", autocomplete: "off",
    "aria-label": name(row, column), "data-lm-suppress-shortcuts": "true", onkeydown: walk, oninput: unmark }));
  const boxes = inputs.map((input) => h("span", { class: "lesson-cell" }, input));
  const solution = h("details", { class: "lesson-cells-solution", hidden: true }, h("summary", {}, "Show the solution"),
    h("p", {}, ...typeset(model.get("solution"))));
  const grid = h("div", { class: "lesson-cells", role: "group", "aria-labelledby": id }, ...boxes);
  grid.style.setProperty("--columns", columns);
  const field = {
    node: h("div", {}, h("p", { id }, prompt), grid, solution),
    beside: [],
    focus: inputs[0],
    read: () => JSON.stringify(inputs.map((input) => input.value.trim())),
    write(text) {
      const typed = parse(text);
      inputs.forEach((input, index) => { input.value = typed[index] || ""; });
      unmark();
      solution.hidden = true;
      solution.open = false;
      field.focus = inputs[0];
    },
    judge(text, tries) {
      const typed = parse(text);
      const values = [];
      for (const [index, input] of inputs.entries()) {
        const { value, problem } = typed[index] ? readNumber(typed[index], "") : {};
        if (problem) { field.focus = input; return { problem: `${capital(input)}: ${problem}` }; }
        values.push(value);
      }
      field.focus = inputs[0];
      if (values.every((value) => value === undefined)) return { problem: "Type a number into every place that the output has." };
      const wrong = values.map((value, index) => !agrees(value, at(answer, index)));
      mark(wrong, values);
      const right = !wrong.includes(true);
      solution.hidden = right || tries <= hints.length || !model.get("solution");
      return { right, shown: "", words: right ? "" : explain(values, wrong, tries) };
    },
  };
  return field;

  function parse(text) {
    try { return JSON.parse(text || "[]").map(String); } catch { return []; }
  }
  function at(numbers, index) {
    const [row, column] = places[index];
    return numbers[row] && numbers[row][column];
  }
  /** Whether a cell holds the expected number, or is empty where none is expected. */
  function agrees(value, expected) {
    return value === undefined || expected === undefined ? value === expected : near(value, expected, tolerance);
  }
  function explain(values, wrong, tries) {
    const known = mistakes.find(([numbers]) => values.every((value, index) => !wrong[index] || agrees(value, at(numbers, index))));
    if (known) return known[1];
    const hint = hints[Math.min(tries, hints.length) - 1] || "";
    const [size, typed] = [answer.flat().length, values.filter((value) => value !== undefined).length];
    const correct = values.filter((value, index) => value !== undefined && !wrong[index]).length;
    const length = typed === size ? "" : ` The output has ${typed > size ? "fewer" : "more"} places than you filled.`;
    return `${correct} of your ${typed} numbers ${correct === 1 ? "is" : "are"} right.${length} ${hint}`;
  }
  /** Mark what is wrong, and what is right among the numbers; a place that stays empty rightly gets no mark. */
  function mark(wrong, values) {
    boxes.forEach((box, index) => {
      box.dataset.mark = wrong[index] ? "wrong" : values[index] === undefined ? "" : "right";
      inputs[index].setAttribute("aria-invalid", String(wrong[index]));
    });
  }
  function unmark() {
    boxes.forEach((box, index) => { delete box.dataset.mark; inputs[index].removeAttribute("aria-invalid"); });
  }
  function capital(input) {
    const words = input.getAttribute("aria-label");
    return words[0].toUpperCase() + words.slice(1);
  }
  /** Arrow keys go from cell to cell; left and right only from the end of what is typed. */
  function walk(event) {
    const { selectionStart, selectionEnd, value } = event.target;
    const step = { ArrowUp: -columns, ArrowDown: columns, ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const inside = (step === -1 && selectionEnd > 0) || (step === 1 && selectionStart < value.length);
    const next = step && !inside && inputs[inputs.indexOf(event.target) + step];
    if (!next) return;
    event.preventDefault();
    next.focus();
    next.select();
  }
}

function render({ model, el }) {
  return question({ model, el, makeField: cellsField });
}
export default { render };
