import { FLOAT_BYTES } from "./stack.js";
/* The book's U-Net in whole numbers, for square images: `lessons_lib/models/unet.py` in JavaScript. No DOM.

   A net is { size, depth, width, convolutions, skip, remedy }: px of the image, levels before the bottleneck, channels of
   the first level (each further level has twice as many), 3x3 convolutions a level, "concat", "add" or "none", and what
   happens where two maps of unlike size meet: "crop", "pad", "resize", or "" for nothing. Maps are cropped and padded at
   their right and lower ends, so that their first px stay side by side. */

export const IMAGE_CHANNELS = 3, CLASSES = 7;

/** Side of the map that two maps make together, `across` px from the skip and `up` px from below; undefined if they cannot meet. */
export function meet(across, up, remedy) {
  return across === up ? up : { crop: Math.min(across, up), pad: Math.max(across, up), resize: across }[remedy];
}

/** Every stage in the order of the forward pass, by the names of `level_shapes`: "input", "encoder 1" .. , "bottleneck",
    .. "decoder 1", "head". Each is { name, kind, level, channels, size, into, parameters, multiplications, bytes }: the
    channels and side of its last map, the channels that its first convolution reads, and the memory of its maps as 32-bit
    numbers: what each convolution gives and, in the decoder, what the first one reads. A decoder stage also knows
    `across` and `up`, the sides of the two maps that shall meet, and `below`, side of the map before it is doubled.
    A stage where they cannot meet is `broken`; from there on sizes, multiplications and bytes are undefined. */
export function measureUNet({ size, depth, width, convolutions, skip, remedy }) {
  const weightsOf = (into, channels) => 9 * channels * (into + (convolutions - 1) * channels);
  const norms = (channels) => 2 * convolutions * channels;
  const stages = [{ name: "input", kind: "input", level: 1, channels: IMAGE_CHANNELS, size, into: 0, parameters: 0, multiplications: 0,
    bytes: FLOAT_BYTES * IMAGE_CHANNELS * size ** 2 }];
  const last = () => stages[stages.length - 1];
  for (let level = 1; level <= depth + 1; level += 1) {
    const { channels: into, size: before } = last();
    const side = level === 1 ? before : Math.ceil(before / 2), channels = width * 2 ** (level - 1), weights = weightsOf(into, channels);
    const kind = level > depth ? "bottleneck" : "encoder";
    stages.push({ name: level > depth ? kind : `${kind} ${level}`, kind, level, channels, size: side, into,
      parameters: weights + norms(channels), multiplications: weights * side ** 2, bytes: FLOAT_BYTES * convolutions * channels * side ** 2 });
  }
  for (let level = depth; level >= 1; level -= 1) {
    const { channels, size: across } = stages[level], { channels: deep, size: below } = last();
    const waits = below === undefined, up = waits ? undefined : 2 * below;
    const side = waits ? undefined : meet(across, up, skip === "none" ? "resize" : remedy);
    const into = skip === "concat" ? 2 * channels : channels, weights = weightsOf(into, channels), known = side !== undefined;
    stages.push({ name: `decoder ${level}`, kind: "decoder", level, channels, size: side, into, deep, below, across, up, broken: !waits && !known,
      parameters: deep * channels + channels + weights + norms(channels),
      multiplications: known ? deep * channels * below ** 2 + weights * side ** 2 : undefined,
      bytes: known ? FLOAT_BYTES * (into + convolutions * channels) * side ** 2 : undefined });
  }
  const { channels, size: side } = last(), known = side !== undefined;
  stages.push({ name: "head", kind: "head", level: 1, channels: CLASSES, size: side, into: channels, parameters: CLASSES * (channels + 1),
    multiplications: known ? CLASSES * channels * side ** 2 : undefined, bytes: known ? FLOAT_BYTES * CLASSES * side ** 2 : undefined });
  return stages;
}

/** First and last px, along one axis, of a map of `from` px that px `first` to `last` of the same map resized bilinearly to
    `to` px read. */
function readByResize([first, last], from, to) {
  const place = (index) => ((2 * index + 1) * from - to) / (2 * to); // in px of the smaller map
  return [Math.max(0, Math.floor(place(first))), Math.min(from - 1, Math.max(0, Math.ceil(place(last))))];
}

/** First and last px of the image, along one axis, that px `first` to `last` of the map after stage `index` see. */
export function seenBy(net, stages, index, [first, last]) {
  const { kind, level, size, across, up, below } = stages[index];
  if (kind === "input") return [first, last];
  if (kind === "head") return seenBy(net, stages, index - 1, [first, last]);
  const read = [Math.max(0, first - net.convolutions), Math.min(size - 1, last + net.convolutions)];
  if (kind !== "decoder") {
    return level === 1 ? read : seenBy(net, stages, index - 1, [2 * read[0], Math.min(stages[index - 1].size - 1, 2 * read[1] + 1)]);
  }
  const enlarged = net.skip === "none" || net.remedy === "resize" ? across : up;
  const seen = seenBy(net, stages, index - 1, readByResize(read, below, enlarged));
  if (net.skip === "none" || read[0] >= across) return seen;
  const shallow = seenBy(net, stages, level, [read[0], Math.min(read[1], across - 1)]);
  return [Math.min(seen[0], shallow[0]), Math.max(seen[1], shallow[1])];
}

/** The sizes next to `size` at which every map meets its skip: multiples of 2 ** depth. */
export function fittingSizes(size, depth) {
  const step = 2 ** depth, below = Math.floor(size / step) * step;
  return below === size ? [size] : [below, below + step].filter((each) => each > 0);
}
