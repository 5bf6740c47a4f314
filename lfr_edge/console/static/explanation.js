// Which parts of the face carried the similarity: a map over the camera's picture, its words, and its limits.

import { el, say } from "./dom.js";

// Where the networks' crop lies in the picture as people see it (lfr_edge/vision/pixels.py): shares of its side.
const CROP = { left: 0.2727, top: 0.2121, side: 0.4545 };
const PARTS = ["forehead", "forehead", "brows", "eyes", "nose", "mouth", "chin"]; // by row of the map
const SIDE = 320;

/** Mean loss of each part, largest first, as [name, loss]. */
function byPart(cells) {
  const sums = new Map();
  cells.forEach((row, at) => {
    const mean = row.reduce((sum, loss) => sum + loss, 0) / row.length;
    const [total, rows] = sums.get(PARTS[at]) ?? [0, 0];
    sums.set(PARTS[at], [total + mean, rows + 1]);
  });
  return [...sums].map(([part, [total, rows]]) => [part, total / rows]).sort((a, b) => b[1] - a[1]);
}

export function drawMap(node, told, picture) {
  const parts = byPart(told.cells);
  const carried = parts.filter(([, loss]) => loss > 0.005);
  const words = carried.map(([part, loss]) => `${say(`part.${part}`)} −${loss.toFixed(3)}`);
  const canvas = el("canvas", { width: SIDE, height: SIDE, role: "img" });
  canvas.setAttribute("aria-label", say("explain_alt", { parts: words.join(", ") || say("explain_none") }));
  const image = new Image();
  image.onload = () => paint(canvas.getContext("2d"), image, told.cells);
  image.src = picture;
  node.replaceChildren(
    el("div", { className: "map" }, canvas, el("div", {},
      el("p", {}, say("explain_score", { score: told.score.toFixed(4) })),
      words.length ? el("ul", { className: "plainlist" }, ...words.map((text) => el("li", {}, text))) : el("p", {}, say("explain_none")),
      el("p", { className: "quiet" }, say("explain_limits")))));
}

function paint(context, image, cells) {
  context.filter = "grayscale(1) brightness(0.55)";
  context.drawImage(image, 0, 0, SIDE, SIDE);
  context.filter = "none";
  const most = Math.max(...cells.flat(), 1e-6);
  const step = (CROP.side * SIDE) / cells.length;
  cells.forEach((row, y) => row.forEach((loss, x) => {
    context.fillStyle = `rgb(143 199 232 / ${(70 * Math.max(0, loss)) / most}%)`;
    context.fillRect(CROP.left * SIDE + x * step, CROP.top * SIDE + y * step, step + 0.5, step + 0.5);
  }));
}
