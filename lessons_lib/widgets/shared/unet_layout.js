/* Where the parts of a drawn U-Net stand, in px of a stage of a given width and height. No DOM.

   Two columns and a bend: the encoder goes down on the left, the bottleneck lies at the bottom, the decoder goes up on the
   right. A map is a box: as high as its side (in one scale), and wider the more channels it has (each doubling adds
   the same width). Where nothing is known, because two maps below cannot meet, a box has the height that its level has
   in the encoder. */

const TOP = 28, LEAST = 5, CORNER = 14;

/** { boxes, edges, planes, arrows, skips, roomy }. Boxes stand by stage name: [{ x, y, width, height, part }], part is "from
    skip", "from below" or "conv"; edges are those of all boxes of a stage; planes are the image and the scores; arrows are
    paths { to, d }; skips { level, from, to, y }. Below the skip of level `meeting` there is room for buttons. */
export function layUNet(stages, { depth, convolutions, skip }, meeting, width, height) {
  const roomy = width >= 520, [slot, GAP, FOOT, BETWEEN, PLANE, AWAY, THIN] = roomy ? [34, 30, 26, 7, 30, 26, 3] : [36, 24, 26, 3, 22, 20, 2];
  const find = (name) => stages.find((stage) => stage.name === name);
  const largest = Math.max(...stages.map((stage) => stage.size || 0));
  const shownSize = (stage) => stage.size || stages[stage.level].size;
  const rowsOf = (level) => stages.filter((stage) => stage.level === level && stage.kind !== "input" && stage.kind !== "head");
  const levels = Array.from({ length: depth + 1 }, (_, index) => index + 1);

  const gapAfter = (level) => GAP + (level === meeting ? (roomy ? 30 : 40) : 0);
  let full = height; // height of the largest map
  const high = (stage) => Math.max(LEAST, full * shownSize(stage) / largest);
  const slotOf = (level) => Math.max(slot, ...rowsOf(level).map(high));
  while (TOP + levels.reduce((sum, level) => sum + slotOf(level) + gapAfter(level), 0) - GAP + FOOT > height && full > 20) full -= 1;
  const middle = {};
  let at = TOP;
  for (const level of levels) {
    middle[level] = at + slotOf(level) / 2;
    at += slotOf(level) + gapAfter(level);
  }

  /** Parts of a stage's group, from left to right. */
  const partsOf = (stage) => [
    ...(stage.kind === "decoder" && skip === "concat" ? ["from skip"] : []),
    ...(stage.kind === "decoder" ? ["from below"] : []), ...Array(convolutions).fill("conv")];
  let unit = roomy ? 6 : 4;
  const wide = (stage) => THIN + unit * Math.log2(stage.channels);
  const groupWidth = (stage) => {
    const parts = partsOf(stage);
    return parts.length * wide(stage) + BETWEEN * (parts.length - 1 - (parts[0] === "from skip" ? 1 : 0));
  };
  const columns = () => ["encoder", "decoder"].map((kind) => {
    const groups = stages.filter((stage) => stage.kind === kind);
    return Math.max(PLANE + AWAY + groupWidth(find(`${kind} 1`)) / 2, ...groups.map((stage) => groupWidth(stage) / 2));
  });
  const inner = () => Math.min(...levels.slice(0, -1).map((level) => width - columns()[0] - columns()[1] - rowsOf(level).reduce((sum, stage) => sum + groupWidth(stage) / 2, 0)));
  while (unit > 0.6 && (inner() < (roomy ? 240 : 92) || groupWidth(find("bottleneck")) > width - columns()[0] - columns()[1] - 40)) unit -= 0.1;
  const [left, right] = [columns()[0], width - columns()[1]];
  const centre = { encoder: left, decoder: right, bottleneck: (left + right) / 2 };

  const boxes = {}, arrows = [], skips = [], planes = {};
  const edges = {};
  for (const stage of stages) {
    if (!centre[stage.kind]) continue;
    const total = groupWidth(stage), tall = high(stage), y = middle[stage.level];
    let x = centre[stage.kind] - total / 2;
    edges[stage.name] = { left: x, right: x + total, top: y - tall / 2, bottom: y + tall / 2, middle: y, centre: centre[stage.kind] };
    boxes[stage.name] = partsOf(stage).map((part) => {
      const box = { x, y: y - tall / 2, width: wide(stage), height: tall, part };
      x += wide(stage) + (part === "from skip" ? 0 : BETWEEN);
      return box;
    });
  }
  for (const name of ["input", "head"]) {
    const stage = find(name), tall = high(stage), x = name === "input" ? 0 : width - PLANE;
    planes[name] = { x, y: middle[1] - tall / 2, width: PLANE, height: tall };
  }
  const first = edges["encoder 1"], end = edges["decoder 1"], bottom = edges.bottleneck;
  arrows.push({ to: "encoder 1", d: `M${PLANE + 3} ${first.middle}H${first.left - 4}` });
  arrows.push({ to: "head", d: `M${end.right + 3} ${end.middle}H${width - PLANE - 4}` });
  for (const level of levels.slice(0, -1)) {
    const [down, up] = [edges[`encoder ${level}`], edges[`decoder ${level}`]];
    const deeper = [edges[`encoder ${level + 1}`], edges[`decoder ${level + 1}`]];
    if (level < depth) {
      arrows.push({ to: `encoder ${level + 1}`, d: `M${left} ${down.bottom + 3}V${deeper[0].top - 4}` });
      arrows.push({ to: `decoder ${level}`, d: `M${right} ${deeper[1].top - 3}V${up.bottom + 4}` });
    } else {
      const y = bottom.middle;
      arrows.push({ to: "bottleneck", d: `M${left} ${down.bottom + 3}V${y - CORNER}Q${left} ${y} ${left + CORNER} ${y}H${bottom.left - 4}` });
      arrows.push({ to: `decoder ${level}`, d: `M${bottom.right + 3} ${y}H${right - CORNER}Q${right} ${y} ${right} ${y - CORNER}V${up.bottom + 4}` });
    }
    skips.push({ level, from: down.right, to: up.left, y: middle[level] });
  }
  return { boxes, planes, arrows, skips, edges, roomy };
}
