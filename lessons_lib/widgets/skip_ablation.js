import { card, integer, oneOf } from "./shared/card.js";
import { classPanels, panelKey, thumbnails } from "./shared/class_panels.js";
import { h, button, choice, player, slider } from "./shared/dom.js";
import { countWrong, decodeRuns, percent, wrongPixels } from "./shared/class_maps.js";
/* Networks that differ in their skip connections alone, side by side at recorded moments of their training. They have
   letters for names until the reader has guessed which one has no skip connections (`guess`). */

const whole = (value) => value.toLocaleString("en");
const NAMES = { none: "no skips", add: "add", concat: "concat" };
const nameOf = (network) => NAMES[network] || network;
const joined = (parts) => parts.join(", ").replace(/, ([^,]*)$/, " and $1");
const REGIONS = [["everywhere", "everywhere"], ["band", "near outlines"], ["outside", "away from them"]];

const PLACES = { band: "near outlines", outside: "away from outlines" };

/** Two bars of a network: how much is wrong near outlines and away from them. */
function shares() {
  const rows = REGIONS.slice(1).map(([, name]) => ({ name, bar: h("i", { class: "lesson-ablation-bar" }), value: h("span") }));
  const node = h("div", { class: "lesson-ablation-shares" }, ...rows.map(({ name, bar, value }) =>
    h("div", {}, h("span", {}, name, " "), h("div", {}, h("span", { class: "lesson-share", "aria-hidden": "true" }, bar), value))));
  node.update = (values) => rows.forEach(({ bar, value }, index) => {
    bar.style.width = values ? 100 * values[index] + "%" : 0;
    value.textContent = values ? percent(values[index]) : "?";
  });
  return node;
}

function render({ model, el }) {
  const [[rows, columns], photos, networks, moments, names] = ["size", "photos", "networks", "moments", "class_names"].map((key) => model.get(key));
  const truths = model.get("truths").map(decodeRuns), bands = model.get("bands").map(decodeRuns);
  const maps = model.get("maps").map((scenes) => scenes.map((texts) => texts.map(decodeRuns)));
  const letter = (network) => String.fromCharCode(65 + networks.indexOf(network));
  const insides = (scene) => ({ everywhere: () => true, band: (index) => bands[scene][index] === 1, outside: (index) => bands[scene][index] === 0 });
  el.classList.add("lesson-ablation");

  /** How often each network is wrong in each region. */
  function measure({ scene, moment }) {
    const inside = insides(scene);
    return networks.map((_, at) => {
      const wrong = wrongPixels(maps[at][scene][moment], truths[scene]);
      return { wrong, ...Object.fromEntries(REGIONS.map(([key]) => [key, countWrong(wrong, truths[scene], inside[key])])) };
    });
  }

  return card({
    model, el,
    rules: { scene: integer(0, photos.length - 1), moment: integer(0, moments.length - 1), view: oneOf(["prediction", "errors"]),
      region: oneOf(REGIONS.map(([key]) => key)), guess: oneOf(["", ...networks]), row: integer(-1, rows - 1), column: integer(-1, columns - 1) },
    build({ picture, controls, set }) {
      const panels = classPanels({ rows, columns, names, onpoint: (row, column) => set({ row, column }),
        labels: ["Truth.", ...networks.map((network) => `Network ${letter(network)}.`)] });
      const bars = networks.map((_, at) => panels.notes[at + 1].appendChild(shares()));
      const key = panelKey(names);
      panels.notes[0].append(h("p", {}, "Below each network: how much of this scene it has wrong."));
      picture.append(panels, key);

      const options = networks.map((network) => button(letter(network), () => {
        set({ guess: network, view: "errors", row: -1, column: -1 });
        asked.hidden = true;
        looks.hidden = false;
        views.querySelector("[value=errors]").focus();
      }, { "aria-label": `Network ${letter(network)} has no skip connections` }));
      const asked = h("div", { class: "lesson-ablation-asked" }, h("p", {}, "Which one has no skip connections?"), h("div", { class: "lesson-row" }, ...options));
      const views = choice({ label: "Show", options: [["prediction", "predictions"], ["errors", "mistakes"]], onchange: (view) => set({ view }) });
      const regions = choice({ label: "Where", options: REGIONS, onchange: (region) => set({ region }) });
      const looks = h("div", { class: "lesson-ablation-looks" }, views, regions);
      const scene = choice({ label: "Scene", options: thumbnails(photos), onchange: (value) => set({ scene: value }) });
      const steps = slider({ label: "After step", min: 0, max: moments.length - 1, show: (at) => whole(moments[at]), onchange: (moment) => { play.stop(); set({ moment }); } });
      const play = player({ milliseconds: 700, label: "Play the training", step() {
        set({ moment: (model.get("moment") + 1) % moments.length });
        return model.get("moment") < moments.length - 1;
      } });
      controls.append(asked, looks, h("div", {}, steps, h("div", { class: "lesson-row" }, play)), scene,
        h("p", { class: "lesson-recorded" }, `Recorded by an experiment. Near outlines: within ${model.get("distance")} px of a true boundary pixel.`));

      function show(state) {
        const revealed = state.guess !== "", measured = measure(state), errors = revealed && state.view === "errors";
        const region = revealed ? state.region : "everywhere", inside = insides(state.scene)[region];
        const title = (network) => (revealed ? nameOf(network) : letter(network));
        panels.update({ photo: photos[state.scene], covered: (index) => !inside(index), row: state.row, column: state.column, panels: [
          { title: errors ? "the scene" : "truth", map: errors ? null : truths[state.scene] },
          ...networks.map((network, at) => ({ title: title(network), map: maps[at][state.scene][state.moment], wrong: errors ? measured[at].wrong : null })),
        ] });
        bars.forEach((bar, at) => bar.update(revealed && [measured[at].band.share, measured[at].outside.share]));
        key.update(errors);
        asked.hidden = revealed;
        looks.hidden = !revealed;
        Object.entries({ view: views, region: regions, scene, moment: steps }).forEach(([key, control]) => control.update(state[key]));
        if (state.row >= 0) return pointed(state, title);
        if (play.getAttribute("aria-pressed") === "true") return `${revealed ? verdict(state) + " " : ""}Watch the outlines: in which of the networks do they get sharp, and in which do they never?`;
        return revealed ? words(state, measured) : "Predict first: three networks, alike but for their skip connections. One has none at all. Compare the outlines with the truth, then choose.";
      }

      function pointed({ scene: at, moment, row, column }, title) {
        const index = row * columns + column, truth = truths[at][index];
        const said = networks.map((network, net) => `${title(network)} says ${names[maps[net][at][moment][index]]}`);
        return `Row ${row}, column ${column}${bands[at][index] ? ", near an outline" : ""}: the truth is ${names[truth] || "void, so nothing counts here"}. ${joined(said)}.`;
      }

      const verdict = ({ guess }) => (guess === "none" ? `Right: ${letter("none")} has no skip connections.` : `Network ${letter(guess)} is ${nameOf(guess)}; the one without skip connections is ${letter("none")}.`);

      function words(state, measured) {
        const { moment, region } = state;
        const without = measured[networks.indexOf("none")], others = networks.filter((network) => network !== "none");
        const rest = (key) => others.map((network) => `${nameOf(network)} ${percent(measured[networks.indexOf(network)][key].share)}`).join(", ");
        const caution = (places) => {
          const above = (key) => others.filter((network) => { // in the numbers that are shown
            const { share } = measured[networks.indexOf(network)][key];
            return share > without[key].share && percent(share) !== percent(without[key].share);
          });
          const where = {};
          places.filter((key) => above(key).length).forEach((key) => (where[joined(above(key).map(nameOf))] ||= []).push(PLACES[key]));
          const told = Object.entries(where).map(([worse, found]) => `${worse} ${found.join(" and ")}`);
          return told.length ? ` But here others are wrong more often than it: ${told.join(", ")}. This is one scene and one seed: the table below has the test scenes of all seeds.` : "";
        };
        const after = `After ${whole(moments[moment])} steps it is wrong`;
        if (region === "everywhere") return `${verdict(state)} ${after} in ${percent(without.band.share)} of the pixels near outlines (${rest("band")}) and in ${percent(without.outside.share)} of all others (${rest("outside")}).${caution(["band", "outside"])}`;
        const { pixels, share, mistakes } = without[region], of = without.everywhere;
        return `${after.replace("it", "the network without skips")} in ${percent(share)} of the pixels ${PLACES[region]} (${rest(region)}). `
          + `These are ${percent(pixels / of.pixels)} of the scene and hold ${percent(of.mistakes ? mistakes / of.mistakes : null)} of its mistakes.${caution([region])}`;
      }
      return { show, stop: play.stop };
    },
  });
}

export default { render };
