import { h, button } from "./dom.js";
/* A question that is judged in the page and remembered by the browser under "lessons:question:KEY", as
   { passed, tries, answer }: tries count up to the first pass, answer is the text that was chosen or typed.

   question({ model, el, makeField }) returns the clean-up function that `render` must return. makeField(model, prompt)
   returns a field, which is what differs between the kinds:
   node, beside, focus    the controls, those that stand beside the button, and the one to go to
   read, write            the answer as text
   judge(answer, tries)   { problem } if it is no answer at all, else { right, shown, words } */

/** Text with `code` in backticks, as nodes. */
export function typeset(text) {
  return text.split("`").map((part, index) => (index % 2 ? h("code", {}, part) : part));
}

export const inWords = (value) => value.toLocaleString("en", { maximumFractionDigits: 4 });

/** What a reader typed, as { value } or { problem }: 1024, 1,024, 1 024, 1e3, 2/3, 12 %, with or without the unit. */
export function readNumber(text, unit) {
  const bare = (typed) => typed.replace(/\s/g, "").replace(/\u2212/g, "-");
  let plain = bare(text);
  if (unit && plain.endsWith(bare(unit))) plain = plain.slice(0, -bare(unit).length);
  if (/^[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?$/.test(plain)) plain = plain.replaceAll(",", "");
  if (/^[-+]?\d*,\d+$/.test(plain)) {
    return { problem: `That comma reads like a decimal comma. Here the decimal mark is a point: ${plain.replace(",", ".")}.` };
  }
  const fraction = /^([-+]?\d+)\/([1-9]\d*)$/.exec(plain);
  if (fraction) return { value: fraction[1] / fraction[2] };
  const decimal = /^([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)(%?)$/i.exec(plain);
  if (decimal) return { value: decimal[1] / (decimal[2] ? 100 : 1) };
  return { problem: "Type a number, such as 9 or 0.5." };
}

/** Whether two numbers are the same within a tolerance and the rounding of floats. */
export const near = (one, two, tolerance) => Math.abs(one - two) <= tolerance + 1e-9 * Math.max(1, Math.abs(two));

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

export function question({ model, el, makeField }) {
  const predict = model.get("predict");
  const store = memory(model.get("key"));
  const prompt = h("span", {}, ...typeset(model.get("prompt")));
  const field = makeField(model, prompt);
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
