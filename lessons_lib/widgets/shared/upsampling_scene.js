import { sumOf } from "./upsampling.js";
/* What the upsampling laboratory shows and says, read from its state. No DOM. */

export const TERMS = { input: "input", stride: "stride", padding: "padding", dilation: "dilation", kernel: "kernel",
  output_padding: "output padding", down: "rounded down", one: "first px" };
export const short = (value, digits = 2) => String(Number(value.toFixed(digits))).replace("-", "−");
export const signed = (value) => (value < 0 ? " − " : " + ") + short(Math.abs(value));
export const factor = (value) => (value < 0 ? `(${short(value, 4)})` : short(value, 4));
export const sizeOf = (matrix) => [matrix.length, matrix[0].length];
export const hasKernel = (mode) => mode === "transposed" || mode === "strided";

export const place = ([row, column]) => `row ${row}, column ${column}`;
const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
const range = (noun, from, size) => (size === 1 ? `${noun} ${from}` : `${noun}s ${from} to ${from + size - 1}`);
const LIMITS = "Numbers from −99 to 99, please.";
export const same = (one, other) => Boolean(one && other && one[0] === other[0] && one[1] === other[1]);

/** Everything that follows from the state: how far it is, which input cell (`focus`) and which cell of the canvas
    (`cell`) it is about, and which cells the focus reaches (`touched`, with the box round them). */
export function readScene({ done, revealed, look }, { mode, input }, { broken, steps = 0, canvas = [0, 0], sizes, offset, terms = [] }) {
  const [kind, ...numbers] = look.split(" "), at = numbers.map(Number);
  const [, columns] = sizeOf(input), down = mode === "strided";
  const reached = Math.min(done, steps);
  const step = done > steps ? -1 : revealed ? reached - 1 : reached < steps ? reached : -1;
  const nth = (count) => (step < 0 ? null : [Math.floor(step / count), step % count]);
  const looked = { input: kind === "input" && input[at[0]]?.[at[1]] !== undefined, output: kind === "output" && at[0] < canvas[0] && at[1] < canvas[1] };
  const focus = looked.input ? at : looked.output || down ? null : nth(columns);
  const cell = looked.output ? at : looked.input || !down ? null : nth(canvas[1]);
  const touched = focus ? terms.flatMap((list, index) => (list.some(({ from }) => same(from, focus)) ? [index] : [])) : [];
  const [rowsOf, columnsOf] = [touched.map((index) => Math.floor(index / canvas[1])), touched.map((index) => index % canvas[1])];
  const top = Math.min(...rowsOf), left = Math.min(...columnsOf);
  const kept = (row, column) => [row, column].every((place, axis) => place >= offset[axis] && place < offset[axis] + sizes[axis]);
  return { broken, mode, input, steps, canvas, sizes, offset, terms, kept, step, focus, cell, touched, done: reached, complete: done > steps,
    ahead: !revealed && step >= 0 && !looked.input && !looked.output, looked: looked.input ? "input" : looked.output ? "output" : "",
    box: touched.length ? { from: [top, left], size: [Math.max(...rowsOf) - top + 1, Math.max(...columnsOf) - left + 1] } : null,
    termsAt: ([row, column]) => terms[row * canvas[1] + column], known: (list) => list.filter((term) => term.step < reached) };
}

/** The products that made the cell, as [[value, weight] …]; those that a whole kernel of zeros adds are left out. */
export const productsOf = ({ mode, input, known, termsAt }, cell) => known(termsAt(cell))
  .filter(({ weight }) => weight || hasKernel(mode)).map(({ from: [row, column], weight }) => [input[row][column], weight]);

/** What a term of the formula does, in one phrase with the live numbers. */
export function explain(look, { mode, flat, stride, padding, dilation, outputPadding, input, kernel }) {
  const by = ([rows, columns]) => (flat || rows === columns ? columns : `${rows} and ${columns}`);
  const sizes = sizeOf(input), extra = sizeOf(kernel).map((size, axis) => dilation[axis] * (size - 1)), down = mode === "strided";
  const steps = by(sizes.map((size) => size - 1));
  if (!hasKernel(mode)) {
    return { stride: `Here the stride is the factor: each input cell becomes a block of ${stride.join(" × ")} cells.`, input: "One block for each input cell." }[look];
  }
  return {
    input: down ? "The cells that the kernel slides over, before padding." : `From the first stamp to the last there ${steps === 1 ? "is 1 step" : `are ${steps} steps`}, one fewer than input cells.`,
    stride: down ? `The kernel moves ${by(stride)} px in the input for 1 px in the output; the steps that fit are rounded down.`
      : `Each further input cell moves its stamp on by ${by(stride)} px, which makes ${by(sizes.map((size, axis) => (size - 1) * stride[axis]))} px from the first stamp to the last.`,
    padding: !Math.max(...padding) ? `Padding 0 ${down ? "adds" : "cuts off"} nothing.` : down ? `Padding adds ${by(padding)} px of zeros on each side: the hatched rim.` : `Padding cuts ${by(padding)} px off each side: the hatched rim.${Math.max(...outputPadding) ? " Output padding brings some of it back at the end." : ""}`,
    dilation: `Dilation sets the weights ${by(dilation)} px apart: the last one lies ${by(extra)} px after the first.`,
    kernel: `The kernel's last weight lies ${by(extra)} px after its first.`,
    output_padding: `Output padding makes the output ${by(outputPadding)} px longer at its end only; what padding cut off there comes back.`,
    down: "⌊ ⌋ means rounded down: where the kernel no longer fits, it makes no output.",
    one: down ? "The first position of the kernel, before it moves." : "The first cell itself: the other terms count the steps from it.",
  }[look];
}

const WHOLE = {
  nearest: () => "Each number fills a block.",
  nails: () => "Each number stands in the first cell of its block, with zeros around it.",
  unpool: () => "Each number is back where its maximum was; all else is 0. Click a dot's block to move the position.",
  bilinear: () => "Each output cell mixes the input cells next to it, the nearer the more.",
  strided: ({ steps }) => `Each of the ${steps} output cells is one position of the kernel over the padded input.`,
  transposed({ terms, kept, canvas }) {
    const counts = terms.filter((_, index) => kept(Math.floor(index / canvas[1]), index % canvas[1])).map((list) => list.length);
    const least = Math.min(...counts), most = Math.max(...counts);
    if (!least) return `The stamps leave gaps: where none arrives the output is 0${most > 1 ? `; at most ${most} overlap` : ""}.`;
    return least === most ? `Every output cell gets ${plural(least, "product")}.` : `Where stamps overlap they add: from ${least} to ${plural(most, "product")} in a cell.`;
  },
};

/** What is seen, in words. */
export function sentence({ look }, setting, scene) {
  const { broken, mode, input, steps, sizes, step, done, focus, cell, touched, box, looked, kept, canvas, offset, termsAt, known } = scene;
  const down = mode === "strided", stamp = hasKernel(mode) ? "the kernel" : "its block";
  if (broken) return `${look === "wrong" ? LIMITS + " " : ""}No output. ${broken}`;
  if (look === "wrong") return LIMITS;
  if (TERMS[look]) return explain(look, setting) || "";
  if (looked === "output") {
    const name = `Output ${place(cell.map((at, axis) => at - offset[axis]))}`, products = productsOf(scene, cell);
    if (!kept(...cell)) return "This cell lies in the rim that padding cuts off. It is no part of the output.";
    if (!products.length) return done < steps ? `${name}: nothing has arrived yet.` : `${name} is 0: nothing arrives here.`;
    const total = short(sumOf(input, known(termsAt(cell))), 4);
    return `${name} is ${products.map(([value, weight]) => `${factor(value)}\u00a0×\u00a0${factor(weight)}`).join(" + ")} = ${total}.`;
  }
  if (looked === "input") {
    const lost = touched.filter((index) => !kept(Math.floor(index / canvas[1]), index % canvas[1])).length;
    const where = touched.length ? `It reaches ${plural(touched.length, down ? "output cell" : "cell")}${lost ? `, ${lost} of them in the rim that is cut off` : ""}.`
      : "No position of the kernel reads it.";
    return `Input ${place(focus)} is ${short(input[focus[0]][focus[1]], 4)}. ${where}`;
  }
  if (scene.ahead) {
    return `Predict first. ${down ? "The kernel lies on the outlined window: what is the output cell with the question mark?"
      : `Next comes the ${short(input[focus[0]][focus[1]], 4)}: what will the dashed cells hold?`} Then press Step.`;
  }
  if (scene.complete) return `The output is ${sizes.join(" × ")}. ${WHOLE[mode](scene)}`;
  if (step < 0) return `Nothing has been ${down ? "computed" : "added"} yet. Press Step.`;
  const end = done === steps ? " The output is complete." : "";
  if (down) return `Step ${done} of ${steps}: ${plural(productsOf(scene, cell).length, "product")} under the window add up to ${short(sumOf(input, termsAt(cell)), 4)}.${end}`;
  const meets = touched.filter((index) => known(scene.terms[index]).length > 1).length;
  const value = short(input[focus[0]][focus[1]], 4);
  const added = mode === "bilinear" ? `the ${value} spreads` : hasKernel(mode) ? `${value} × ${stamp} is added` : `the ${value} goes to ${stamp}`;
  return `Step ${done} of ${steps}: ${added}, ${range("row", box.from[0] - offset[0], box.size[0])}, ${range("column", box.from[1] - offset[1], box.size[1])}. `
    + `${meets ? `It meets earlier stamps in ${plural(meets, "cell")}: there the numbers add.` : "It meets no earlier stamp."}${end}`;
}
