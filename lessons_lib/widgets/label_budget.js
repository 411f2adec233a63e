import { card, integer, oneOf } from "./shared/card.js";
import { classPanels, panelKey, thumbnails } from "./shared/class_panels.js";
import { h, button, choice } from "./shared/dom.js";
import { countWrong, decodeRuns, percent, wrongPixels } from "./shared/class_maps.js";
/* Mean IoU against labelled scenes. Until the reader has guessed how many labels one arm needs to catch up with another
   (`guess`), the chart has points at the smallest budget alone; then all curves, and a budget to drag. */

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const score = (value) => value.toFixed(2);
const joined = (parts) => parts.join(", ").replace(/, ([^,]*)$/, " and $1");
const NONE = -1;

function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
  node.append(...children);
  return node;
}

/** The chart. `goal` is the height to reach and its name; update({ last, budget }) shows the curves up to budget number `last`, and the marker. */
function chart({ budgets, arms, scores, baselines, goal: [height, named], onbudget }) {
  const all = [...scores.flat(2), ...Object.values(baselines)];
  const low = Math.max(0, Math.floor(20 * Math.min(...all) - 0.2) / 20), high = Math.min(1, Math.ceil(20 * Math.max(...all) + 0.2) / 20);
  const span = Math.log(budgets[budgets.length - 1] / budgets[0]) || 1;
  const x = (at) => 6 + 88 * Math.log(budgets[at] / budgets[0]) / span, y = (value) => 100 * (high - value) / (high - low);
  const path = (points) => "M" + points.map((point) => point.map((value) => value.toFixed(2)).join(" ")).join("L");
  const style = (at) => `left: ${x(at)}%`;
  const ticks = Array.from({ length: 11 }, (_, at) => at / 10).filter((value) => value >= low && value <= high).filter((_, at, list) => list.length < 7 || at % 2 === 0);
  const lines = arms.map((_, arm) => ["band", "seed", "mean", "lead"].map((kind) => svg("path", { class: "lesson-budget-" + kind, "data-arm": arm })));
  const goal = svg("path", { class: "lesson-budget-goal", d: path([[x(0), y(height)], [100, y(height)]]) });
  const flat = Object.values(baselines).map((value) => svg("path", { class: "lesson-budget-flat", d: path([[0, y(value)], [100, y(value)]]) }));
  const grid = ticks.map((value) => svg("path", { class: "lesson-budget-grid", d: path([[0, y(value)], [100, y(value)]]) }));
  const picture = svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" }, ...grid, ...flat, ...lines.flat(), goal);
  const dots = arms.map((_, arm) => budgets.map((_, at) => h("i", { class: "lesson-budget-dot", "data-arm": arm, style: `${style(at)}; top: ${y(mean(scores[arm][at]))}%` })));
  const names = Object.entries(baselines).map(([name, value]) => h("span", { class: "lesson-budget-name is-outside", style: `top: ${y(value)}%` }, name));
  names.push(h("span", { class: "lesson-budget-name is-outside is-goal", style: `top: ${y(height)}%` }, named));
  const labels = arms.map((name, arm) => h("span", { class: "lesson-budget-name is-arm", "data-arm": arm }, name));
  const knob = h("b", { class: "lesson-budget-knob" });
  const handle = h("div", { class: "lesson-budget-handle", role: "slider", tabindex: 0, "aria-label": "Labelled scenes", "aria-valuemin": budgets[0],
    "aria-valuemax": budgets[budgets.length - 1], "data-lm-suppress-shortcuts": "true" }, knob);
  const plot = h("div", { class: "lesson-budget-plot" }, picture, ...names, ...dots.flat(), ...labels, handle);
  const counts = budgets.map((count, at) => h("span", { style: style(at) }, count));
  const node = h("div", { class: "lesson-budget-chart" }, h("span", { class: "lesson-budget-y" }, "mean IoU"),
    h("div", { class: "lesson-budget-ticks", "aria-hidden": "true" }, ...ticks.map((value) => h("span", { style: `top: ${y(value)}%` }, value.toFixed(1)))), plot,
    h("div", { class: "lesson-budget-labels", "aria-hidden": "true" }, ...counts), h("span", { class: "lesson-budget-x" }, "labelled scenes"));

  let now = 0, end = 0;
  const go = (at) => onbudget(now = Math.min(budgets.length - 1, Math.max(0, at))); // two keys may come before the next frame
  function point(event) {
    const box = plot.getBoundingClientRect(), place = 100 * (event.clientX - box.left) / box.width;
    const away = budgets.map((_, at) => Math.abs(x(at) - place));
    go(away.indexOf(Math.min(...away)));
  }
  plot.addEventListener("pointerdown", (event) => {
    if (handle.hidden) return;
    plot.setPointerCapture(event.pointerId);
    handle.focus({ preventScroll: true, focusVisible: false });
    event.preventDefault();
    point(event);
  });
  plot.addEventListener("pointermove", (event) => { if (event.buttons && !handle.hidden) point(event); });
  handle.addEventListener("keydown", (event) => {
    const to = { ArrowLeft: now - 1, ArrowDown: now - 1, ArrowRight: now + 1, ArrowUp: now + 1, Home: 0, End: budgets.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    go(to);
  });
  /** Puts the arms' names beside the ends of their lines, apart where they would cover each other. */
  function place() {
    const tall = plot.clientHeight, groups = [];
    if (!tall) return;
    arms.map((_, arm) => ({ arm, size: 100 * Math.ceil(labels[arm].getBoundingClientRect().height) / tall, wish: y(mean(scores[arm][end])) })).sort((one, other) => one.wish - other.wish).forEach((label) => {
      let group = { labels: [label], size: label.size, middle: label.wish };
      while (groups.length && groups[groups.length - 1].middle + groups[groups.length - 1].size / 2 > group.middle - group.size / 2) {
        const all = [...groups.pop().labels, ...group.labels];
        group = { labels: all, size: all.reduce((sum, one) => sum + one.size, 0), middle: mean(all.map((one) => one.wish)) };
      }
      groups.push(group);
    });
    groups.forEach((group) => group.labels.reduce((top, { arm, size, wish }) => {
      labels[arm].style.top = top + size / 2 + "%";
      lines[arm][3].setAttribute("d", end ? path([[x(end), wish], [100, top + size / 2]]) : "");
      return top + size;
    }, group.middle - group.size / 2));
  }
  const observer = new ResizeObserver(place);
  observer.observe(plot);
  node.stop = () => observer.disconnect();
  node.update = ({ last, budget }) => {
    [now, end] = [budget, last];
    lines.forEach(([band, seed, line], arm) => {
      const rows = scores[arm].slice(0, last + 1), points = (value) => rows.map((row, at) => [x(at), y(value(row))]);
      const edge = points((row) => Math.max(...row)), under = points((row) => Math.min(...row));
      band.setAttribute("d", last ? path([...edge, ...under.reverse()]) + "Z" : path([under[0], edge[0]]));
      seed.setAttribute("d", rows[0].map((_, index) => path(points((row) => row[index]))).join(""));
      line.setAttribute("d", path(points(mean)));
      dots[arm].forEach((dot, at) => { dot.hidden = at > last; });
    });
    handle.hidden = last === 0;
    plot.classList.toggle("is-open", last > 0);
    labels.forEach((label) => { label.style.left = (last ? 100 : x(0)) + "%"; });
    place();
    counts.forEach((count, at) => { count.style.visibility = last && at === budget ? "hidden" : ""; });
    handle.style.left = x(budget) + "%";
    knob.textContent = budgets[budget];
    handle.setAttribute("aria-valuenow", budgets[budget]);
    handle.setAttribute("aria-valuetext", budgets[budget] + " labelled scenes");
  };
  return node;
}

/** Every arm's scores at one budget, with the line that it has in the chart. */
function scoreTable(arms) {
  const rows = arms.map((name, arm) => {
    const cells = [h("td"), h("td")];
    return { cells, row: h("tr", {}, h("th", { scope: "row" }, svg("svg", { class: "lesson-budget-swatch", viewBox: "0 0 20 6", "aria-hidden": "true" }, svg("path", { class: "lesson-budget-mean", "data-arm": arm, d: "M1 3H19" })), name), ...cells) };
  });
  const caption = h("caption");
  const node = h("table", { class: "lesson-budget-scores" }, caption,
    h("thead", {}, h("tr", {}, h("td"), h("th", { scope: "col" }, "mean IoU"), h("th", { scope: "col" }, "its seeds"))), h("tbody", {}, ...rows.map(({ row }) => row)));
  node.update = (labels, values) => {
    caption.textContent = `With ${labels} labelled scenes`;
    rows.forEach(({ cells }, arm) => {
      cells[0].textContent = score(mean(values[arm]));
      cells[1].textContent = `${score(Math.min(...values[arm]))} to ${score(Math.max(...values[arm]))}`;
    });
  };
  return node;
}

function render({ model, el }) {
  const [[rows, columns], photos, arms, budgets, scores, names] = ["size", "photos", "arms", "budgets", "scores", "class_names"].map((key) => model.get(key));
  const [leader, follower] = model.get("asked"), last = budgets.length - 1;
  const truths = model.get("truths").map(decodeRuns), maps = model.get("maps").map((row) => row.map((scenes) => scenes.map(decodeRuns)));
  const of = (name, at) => scores[arms.indexOf(name)][at], height = mean(of(leader, 0));
  const reaches = (_, at) => Number(score(mean(of(follower, at)))) >= Number(score(height)); // as the numbers are shown
  const reached = budgets.findIndex(reaches), answer = reached < 0 ? budgets.length : reached;
  const lost = budgets.filter((count, at) => at > answer && !reaches(count, at));
  const wording = (at) => (at > last ? `more than ${budgets[last]}` : String(budgets[at]));
  el.classList.add("lesson-budget");

  return card({
    model, el,
    rules: { budget: integer(0, last), scene: integer(0, photos.length - 1), view: oneOf(["prediction", "errors"]), guess: integer(NONE, budgets.length),
      row: integer(-1, rows - 1), column: integer(-1, columns - 1) },
    build({ picture, controls, set }) {
      const curves = chart({ budgets, arms, scores, baselines: model.get("baselines"), goal: [height, `${leader}, ${budgets[0]} labels`], onbudget: (budget) => set({ budget }) });
      const panels = classPanels({ rows, columns, names, labels: ["Truth.", ...arms.map((name) => `Prediction, ${name}.`)], onpoint: (row, column) => set({ row, column }) });
      const notes = arms.map((_, arm) => panels.notes[arm + 1].appendChild(h("p")));
      const key = panelKey(names);
      picture.append(curves);
      const options = Array.from({ length: budgets.length + 1 }, (_, guess) => button(wording(guess), () => {
        set({ guess, budget: 0 });
        asked.hidden = true;
        curves.querySelector("[role=slider]").hidden = false;
        curves.querySelector("[role=slider]").focus();
      }));
      const asked = h("div", { class: "lesson-budget-asked", role: "group", "aria-label": "Your guess" },
        h("p", {}, `How many labelled scenes does “${follower}” need to reach the dashed line?`), h("div", { class: "lesson-row" }, ...options));
      const table = scoreTable(arms);
      controls.append(table, asked);
      const scene = choice({ label: "Scene", options: thumbnails(photos), onchange: (value) => set({ scene: value }) });
      const views = choice({ label: "Show", options: [["prediction", "predictions"], ["errors", "mistakes"]], onchange: (view) => set({ view }) });
      const below = h("div", { class: "lesson-budget-below" }, panels, key, h("div", { class: "lesson-budget-choices" }, scene, views),
        h("p", { class: "lesson-recorded" }, "Recorded by an experiment; mean IoU is over all its test scenes, the panels show one seed’s networks on a few of them."));
      controls.after(below);

      function show(state) {
        const { guess, budget, scene: at, row, column } = state, open = guess !== NONE, chosen = open ? budget : 0, errors = state.view === "errors";
        const truth = truths[at], shown = arms.map((_, arm) => maps[arm][chosen][at]);
        const wrong = shown.map((map) => wrongPixels(map, truth));
        curves.update({ last: open ? last : 0, budget: chosen });
        table.update(budgets[chosen], scores.map((row) => row[chosen]));
        asked.hidden = open;
        panels.update({ photo: photos[at], row, column, panels: [{ title: errors ? "the scene" : "truth", map: errors ? null : truth },
          ...arms.map((title, arm) => ({ title, map: shown[arm], wrong: errors ? wrong[arm] : null }))] });
        notes.forEach((note, arm) => { note.textContent = percent(countWrong(wrong[arm], truth, () => true).share) + " wrong here"; });
        key.update(errors);
        scene.update(at);
        views.update(state.view);
        if (row >= 0) {
          const index = row * columns + column;
          return `Row ${row}, column ${column}: the truth is ${names[truth[index]] || "void, so nothing counts here"}. `
            + arms.map((name, arm) => `${name} says ${names[shown[arm][index]]}`).join(", ") + ".";
        }
        return open ? words(chosen, guess) : `Predict first: with ${budgets[0]} labelled scenes “${leader}” has a mean IoU of ${score(height)}. How many does “${follower}” need for as much?`;
      }

      function words(at, guess) {
        const [one, other] = [of(leader, at), of(follower, at)], gap = mean(one) - mean(other);
        const apart = Math.min(...one) > Math.max(...other) || Math.max(...one) < Math.min(...other);
        const verdict = (guess === answer ? `Right: ${wording(answer)}.` : `You said ${wording(guess)}; it takes ${wording(answer)}.`)
          + (lost.length ? ` With ${joined(lost)} it is below the dashed line again.` : "");
        return `${verdict} With ${budgets[at]} labelled scenes “${leader}” is ${score(Math.abs(gap))} ${gap < 0 ? "below" : "above"} “${follower}”; `
          + (apart ? "no seed of the one comes into the range of the other." : "their seeds overlap, so this difference is not sure.");
      }
      return { show, stop: curves.stop };
    },
  });
}

export default { render };
