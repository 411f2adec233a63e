import { h, choice, uniqueId } from "./shared/dom.js";
import { typeset, inWords, readNumber, near, question } from "./shared/question.js";
/* The fields of a choice and of a number; all else is in shared/question.js. */

function choiceField(model, prompt) {
  const options = model.get("options").map(([text, correct, why]) => ({ text, correct, why }));
  let chosen = "";
  const node = choice({
    label: prompt, onchange: (text) => { chosen = text; },
    options: options.map(({ text }) => [text, h("b", {}, ...typeset(text))]),
  });
  return {
    node,
    beside: [],
    focus: node.querySelector("input"),
    read: () => chosen,
    write(text) { chosen = text; node.update(text); },
    judge(answer) {
      const option = options.find(({ text }) => text === answer);
      return option ? { right: option.correct, shown: option.text, words: option.why } : { problem: "Choose one of the answers." };
    },
  };
}

function numberField(model, prompt) {
  const [answer, tolerance, unit] = ["answer", "tolerance", "unit"].map((key) => model.get(key));
  const id = uniqueId("number");
  const input = h("input", { id, type: "text", inputmode: "decimal", autocomplete: "off", "data-lm-suppress-shortcuts": "true",
    "aria-describedby": unit && id + "-unit" });
  function explain(value, tries) {
    const known = model.get("mistakes").find(([mistake]) => near(value, mistake, tolerance));
    if (known) return known[1];
    const hint = model.get("hints")[Math.min(tries, model.get("hints").length) - 1] || "";
    return `${inWords(value)} is too ${value > answer ? "large" : "small"}. ${hint}`;
  }
  return {
    node: h("label", { for: id }, prompt),
    beside: [input, ...(unit ? [h("span", { id: id + "-unit" }, unit)] : [])],
    focus: input,
    read: () => input.value,
    write(text) { input.value = text; },
    judge(text, tries) {
      const { value, problem } = readNumber(text, unit);
      if (problem) return { problem };
      const right = near(value, answer, tolerance);
      const [shown, truth] = [value, answer].map((number) => `${inWords(number)} ${unit}`.trim());
      return { right, shown, words: model.get("predict") ? `It is ${truth}.` : right ? "" : explain(value, tries) };
    },
  };
}

function render({ model, el }) {
  return question({ model, el, makeField: model.get("options") ? choiceField : numberField });
}
export default { render };
