import { h, uniqueId } from "./shared/dom.js";
import { typeset, readNumber, near, question } from "./shared/question.js";
/* The field of a grid that is typed cell by cell; all else is in shared/question.js. The answer as text is a JSON list
   of what stands in the cells, row after row. An empty cell says: the output has no such place. A single row may begin
   in any cell: its numbers count from the first one on. */

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
      const begin = rows === 1 ? values.findIndex((value) => value !== undefined) : 0;
      const right = same(values, answer, begin);
      const offset = right ? begin : bestOffset(values, begin);
      const wrong = values.map((value, index) => !agrees(value, at(answer, index, offset)));
      mark(wrong, values);
      solution.hidden = right || tries <= hints.length || !model.get("solution");
      return { right, shown: "", words: right ? "" : explain(values, wrong, begin, offset, tries) };
    },
  };
  return field;

  function parse(text) {
    try { return JSON.parse(text || "[]").map(String); } catch { return []; }
  }
  /** The number that a grid has in a cell when it begins `offset` columns from the left. */
  function at(numbers, index, offset) {
    const [row, column] = places[index];
    return numbers[row] && numbers[row][column - offset];
  }
  function filled(values) {
    return values.filter((value) => value !== undefined);
  }
  /** Whether a cell holds the expected number, or is empty where none is expected. */
  function agrees(value, expected) {
    return value === undefined || expected === undefined ? value === expected : near(value, expected, tolerance);
  }
  /** Whether the cells hold all of a grid that begins at `offset`, and nothing else. */
  function same(values, numbers, offset) {
    return filled(values).length === numbers.flat().length && values.every((value, index) => agrees(value, at(numbers, index, offset)));
  }
  function countRight(values, offset) {
    return values.filter((value, index) => value !== undefined && agrees(value, at(answer, index, offset))).length;
  }
  /** Where a row has to begin so that most of its numbers are right; if several do, the one nearest to the first number. */
  function bestOffset(values, begin) {
    if (rows > 1) return 0;
    const offsets = Array.from({ length: columns + answer[0].length }, (_, index) => index - answer[0].length);
    offsets.sort((one, two) => Math.abs(one - begin) - Math.abs(two - begin));
    const counts = offsets.map((offset) => countRight(values, offset));
    return offsets[counts.indexOf(Math.max(...counts))];
  }
  function explain(values, wrong, begin, offset, tries) {
    const known = mistakes.find(([numbers]) => same(values, numbers, begin));
    if (known) return known[1];
    const hint = hints[Math.min(tries, hints.length) - 1] || "";
    const [size, typed, correct] = [answer.flat().length, filled(values).length, countRight(values, offset)];
    if (rows === 1 && typed === size && filled(values).every((value, index) => agrees(value, answer[0][index]))) {
      return "The numbers are right, but leave no cell empty between them.";
    }
    if (correct === typed) return `That is right so far, but something is missing${offset < begin ? " at the beginning" : ""}. ${hint}`;
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
