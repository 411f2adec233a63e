import { h, button, choice, uniqueId } from "./shared/dom.js";
/* A question that is judged in the page and remembered by the browser under "lessons:question:KEY", as
   { passed, tries, answer }: tries count up to the first pass, answer is the text that was chosen or typed.

   A field is what differs between a choice and a number:
   node, beside, focus    the controls, those that stand beside the button, and the one to go to
   read, write            the answer as text
   judge(answer, tries)   { problem } if it is no answer at all, else { right, shown, words } */

/** Text with `code` in backticks, as nodes. */
function typeset(text) {
  return text.split("`").map((part, index) => (index % 2 ? h("code", {}, part) : part));
}

const inWords = (value) => value.toLocaleString("en", { maximumFractionDigits: 4 });

/** What a reader typed, as { value } or { problem }: 1024, 1,024, 1 024, 1e3, 2/3, with or without the unit. */
function readNumber(text, unit) {
  const bare = (typed) => typed.replace(/\s/g, "").replace(/\u2212/g, "-");
  let plain = bare(text);
  if (unit && plain.endsWith(bare(unit))) plain = plain.slice(0, -bare(unit).length);
  if (/^[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?$/.test(plain)) plain = plain.replaceAll(",", "");
  if (/^[-+]?\d*,\d+$/.test(plain)) {
    return { problem: `That comma reads like a decimal comma. Here the decimal mark is a point: ${plain.replace(",", ".")}.` };
  }
  const fraction = /^([-+]?\d+)\/([1-9]\d*)$/.exec(plain);
  if (fraction) return { value: fraction[1] / fraction[2] };
  if (/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(plain)) return { value: Number(plain) };
  return { problem: "Type a number, such as 9 or 0.5." };
}

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
  const near = (one, two) => Math.abs(one - two) <= tolerance + 1e-9 * Math.max(1, Math.abs(two)); // 1e-9: rounding of floats
  function explain(value, tries) {
    const known = model.get("mistakes").find(([mistake]) => near(value, mistake));
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
      const right = near(value, answer);
      const [shown, truth] = [value, answer].map((number) => `${inWords(number)} ${unit}`.trim());
      return { right, shown, words: model.get("predict") ? `It is ${truth}.` : right ? "" : explain(value, tries) };
    },
  };
}

/** The browser's memory of one question. Where it is switched off, the question works and forgets. */
function memory(key) {
  const name = "lessons:question:" + key;
  const attempt = (use) => { try { return use(window.localStorage); } catch { return null; } };
  return {
    recall: () => attempt((storage) => {
      const { passed, tries, answer } = JSON.parse(storage.getItem(name));
      return typeof passed === "boolean" && Number.isInteger(tries) && typeof answer === "string" ? { passed, tries, answer } : null;
    }),
    keep: (state) => attempt((storage) => storage.setItem(name, JSON.stringify(state))),
    forget: () => attempt((storage) => storage.removeItem(name)),
  };
}

function render({ model, el }) {
  const predict = model.get("predict");
  const store = memory(model.get("key"));
  const prompt = h("span", {}, ...typeset(model.get("prompt")));
  const field = (model.get("options") ? choiceField : numberField)(model, prompt);
  const badge = h("span", { class: "lesson-question-badge" });
  const feedback = h("div", { class: "lesson-question-feedback", "aria-live": "polite" });
  const again = button("Start again", startAgain);
  let state;

  el.classList.add("lesson-card", "lesson-question");
  el.dataset.kind = model.get("title");
  const check = h("button", { class: "lesson-button lesson-button-main" }, predict ? "That is my guess" : "Check");
  el.append(h("p", { class: "lesson-title" }, model.get("title"), badge),
    h("form", { novalidate: true, onsubmit: submit }, field.node, h("div", { class: "lesson-row" }, ...field.beside, check, again)),
    feedback);
  const remembered = store.recall();
  update(remembered || { passed: false, tries: 0, answer: "" });
  if (remembered) {
    field.write(state.answer);
    const verdict = field.judge(state.answer, state.tries);
    if (!verdict.problem) say(verdict);
  }
  return () => {}; // every listener sits on an element of its own

  function update(next) {
    state = next;
    el.classList.toggle("is-passed", state.passed);
    const tries = state.tries > 1 ? `, ${state.tries} tries` : "";
    badge.textContent = !state.passed ? "" : predict ? "answered" : "solved" + tries;
    again.hidden = state.tries === 0;
  }
  function say({ problem, right, shown, words }) {
    const [mood, opening] = problem ? ["problem", ""] : predict ? ["noted", `You say: ${shown}.`] : right ? ["right", "Right."] : ["wrong", "Not yet."];
    const text = [problem || words, (predict || right) && !problem ? model.get("after") : ""].filter(Boolean).join(" ");
    feedback.dataset.mood = mood;
    feedback.replaceChildren(h("p", {}, ...(opening ? [h("strong", {}, opening), " "] : []), ...typeset(text)));
  }
  function submit(event) {
    event.preventDefault();
    const answer = field.read();
    const tries = state.tries + (state.passed ? 0 : 1);
    const verdict = field.judge(answer, tries);
    say(verdict);
    if (verdict.problem) { field.focus.focus(); return; }
    update({ passed: state.passed || predict || verdict.right, tries, answer });
    store.keep(state);
  }
  function startAgain() {
    store.forget();
    field.write("");
    feedback.replaceChildren();
    update({ passed: false, tries: 0, answer: "" });
    field.focus.focus();
  }
}
export default { render };
