/* How often the stamps of upsampling layers overlap, and what random kernels make of a constant input. No DOM here.

   Every layer is written as { repeat, kernel, stride }: repeat each px, then lay down a stamp of `kernel` px at each,
   `stride` px apart. All kernels are square and all inputs constant, so rows and columns behave alike: a count in two
   dimensions is the product of two counts in one. */

export const REMEDIES = ["none", "divisible kernel", "resize, then convolve", "sub-pixel shuffle"];

/** The layer that upsamples by `stride` with a kernel of `kernel` px, after one of the REMEDIES. */
export function upsamplingLayer(kernel, stride, remedy) {
  if (remedy === "divisible kernel") return { repeat: 1, kernel: Math.ceil(kernel / stride) * stride, stride };
  if (remedy === "resize, then convolve") return { repeat: stride, kernel, stride: 1 };
  if (remedy === "sub-pixel shuffle") return { repeat: 1, kernel: kernel * stride, stride }; // `kernel` px for each of the stride² sub-pixels
  return { repeat: 1, kernel, stride };
}

/** One layer with weights of one on counts along an axis; nothing is cut off. */
function stamp(counts, { repeat, kernel, stride }) {
  const result = new Array((counts.length * repeat - 1) * stride + kernel).fill(0);
  for (let at = 0; at < counts.length * repeat; at += 1) {
    for (let tap = 0; tap < kernel; tap += 1) result[at * stride + tap] += counts[Math.floor(at / repeat)];
  }
  return result;
}

/** Stamps on each output px after `layers` equal layers on `size` input px, along one axis. */
export function overlapCounts(size, layer, layers = 1) {
  let counts = new Array(size).fill(1);
  for (let done = 0; done < layers; done += 1) counts = stamp(counts, layer);
  return counts;
}

/** The same far from every border: one period of the counts, which begins at a multiple of its length. */
export function insideCounts({ repeat, kernel, stride }, layers = 1) {
  let counts = [1];
  for (let done = 0; done < layers; done += 1) {
    const before = counts.flatMap((count) => new Array(repeat).fill(count));
    const length = before.length;
    counts = Array.from({ length: length * stride }, (_, at) => {
      let sum = 0;
      for (let tap = at % stride; tap < kernel; tap += stride) sum += before[(((at - tap) / stride) % length + length) % length];
      return sum;
    });
  }
  return counts;
}

/** First output px that no border reaches. */
export function insideStart({ repeat, kernel, stride }, layers = 1) {
  let first = 0;
  for (let done = 0; done < layers; done += 1) first = Math.max(0, (first * repeat - 1) * stride + kernel);
  return first;
}

/** Standard normal numbers that are the same for the same seed. */
function normals(seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** Untrained kernels of a stack, channels[l] to channels[l + 1]: one flat array (in, out, kernel, kernel) a layer. */
export function randomKernels(seed, { kernel }, channels) {
  const draw = normals(seed);
  return channels.slice(1).map((count, level) => Float64Array.from({ length: channels[level] * count * kernel * kernel }, draw));
}

/** A constant input of ones through the stack of these kernels, with ReLU between the layers, far from every border.
    Gives one period of each output channel, row after row; its side is (repeat * stride) ** layers px. */
export function throughKernels(kernels, { repeat, kernel, stride }, channels) {
  let maps = Array.from({ length: channels[0] }, () => [1]), side = 1;
  kernels.forEach((weights, level) => {
    const before = side, wide = side * repeat * stride, last = level === kernels.length - 1;
    const source = (at, tap) => ((Math.floor((at - tap) / stride / repeat) % before) + before) % before;
    maps = Array.from({ length: channels[level + 1] }, (_, to) => {
      const map = new Float64Array(wide * wide);
      for (let row = 0; row < wide; row += 1) {
        for (let column = 0; column < wide; column += 1) {
          let sum = 0;
          for (let down = row % stride; down < kernel; down += stride) {
            for (let right = column % stride; right < kernel; right += stride) {
              const from = source(row, down) * before + source(column, right), at = down * kernel + right;
              maps.forEach((values, channel) => { sum += values[from] * weights[(channel * channels[level + 1] + to) * kernel * kernel + at]; });
            }
          }
          map[row * wide + column] = last ? sum : Math.max(0, sum);
        }
      }
      return map;
    });
    side = wide;
  });
  return maps;
}
