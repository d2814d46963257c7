"use strict";
// Draws the report from the data beside this. Whatever comes from the data is written as text.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

/** An element with these attributes and children; strings become text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A name that may go on in the next line after a dot or the like. */
const breakable = (name) => name.split(/(?<=[._+/-])/).flatMap((part) => [part, make("wbr")]);

// Words and numbers.

const STATES = {
  done: ["✓", "done"], failed: ["✕", "failed"], cancelled: ["–", "cancelled"],
  running: ["▶", "running"], stopped: ["‖", "stopped"], waiting: ["…", "waiting"],
  "not-accepted": ["?", "not accepted"], unknown: ["?", "not begun"],
};

const stateOf = (result) => STATES[result.state] ?? ["?", result.state];

function stateBadge(result) {
  const [sign, word] = stateOf(result);
  return make("span", { class: `state ${result.state}` }, `${sign} ${word}`);
}

/** A figure with four digits, and a power of ten where it is large or small. */
function figure(value) {
  if (value === null || value === undefined) return "";
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  const size = Math.abs(value);
  return size >= 1e-3 && size < 1e6 ? String(Number(value.toPrecision(4)))
    : value.toExponential(3);
}

function duration(seconds) {
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

const when = (seconds) => (seconds ? new Date(seconds * 1000).toLocaleString() : "");
const lossOf = (result) => result.made?.figures.loss;

// Pictures.

const address = (base64) => `data:image/jpeg;base64,${base64}`;
const pictureOf = (file) => (file?.picture === undefined ? null : data.pictures[file.picture]);
const isShown = (file) => Boolean(pictureOf(file)?.small || pictureOf(file)?.large);

function image(file, isSmall, alt) {
  const picture = pictureOf(file);
  const source = isSmall ? picture.small ?? picture.large : picture.large ?? picture.small;
  const element = make("img", { alt, decoding: "async", draggable: "false" });
  element.src = address(source);
  return element;
}

/** The output that stands for a result. */
const mainOf = (result) => result.outputs.find((file) => file.picture !== undefined);
/** What it was before. */
const beforeOf = (result) => result.inputs.find((file) => file.role === "content");

/** A link to where a file is; only to files and buckets. */
function link(file, text) {
  if (!/^(file:|s3:|[^:]*$)/.test(file.link)) return text;
  return make("a", { href: file.link, rel: "noreferrer", title: file.link }, text);
}

// The top of the page.

function showTotals() {
  document.title = `${data.title} – Stylefleet report`;
  byId("title").textContent = data.title;
  byId("about").textContent = [
    data.submitted && `submitted ${when(data.submitted)}`,
    `report of ${when(data.made)} by stylefleet ${data.version}`,
  ].filter(Boolean).join(", ");
  const made = data.results.filter((result) => result.made).map((result) => result.made);
  const seconds = made.reduce((sum, { seconds }) => sum + seconds, 0);
  const facts = [["results", data.results.length]];
  for (const [state, count] of countBy(data.results, (result) => result.state)) {
    facts.push([(STATES[state] ?? ["", state])[1], count]);
  }
  if (made.length > 0) {
    facts.push(["of work", duration(seconds)], ["each, on average", duration(seconds / made.length)]);
    facts.push(["steps", made.reduce((sum, { steps }) => sum + steps, 0)]);
    facts.push(["devices", [...new Set(made.map(({ device }) => device))].join(", ")]);
  }
  byId("totals").append(...facts.map(([name, value]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, String(value)))));
  const reasons = countBy(data.results.filter((result) => result.reason), (result) => result.reason);
  byId("failures").hidden = reasons.length === 0;
  byId("failures").querySelector("ul").append(...reasons.map(([reason, count]) =>
    make("li", {}, count > 1 ? `${count} × ${reason}` : reason)));
}

/** Pairs of key and count, the most frequent first. */
function countBy(list, key) {
  const counts = new Map();
  for (const one of list) counts.set(key(one), (counts.get(key(one)) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}

// The gallery.

const cards = data.results.map((result, index) => {
  const main = mainOf(result);
  const card = make("a", { class: "card", href: `#result-${index + 1}` });
  if (isShown(main)) {
    const picture = image(main, true, "");
    picture.className = "picture";
    picture.loading = "lazy";
    card.append(picture);
  } else {
    const why = pictureOf(main)?.reason;
    card.append(make("span", { class: "picture none" }, why ? `no picture here: it ${why}` : stateOf(result)[0]));
  }
  const facts = [result.made && duration(result.made.seconds)];
  if (lossOf(result) !== undefined) facts.push(`loss ${figure(lossOf(result))}`);
  const more = make("span", { class: "more" }, stateBadge(result));
  const words = [...facts, result.reason].filter(Boolean).join(", ");
  if (words) more.append(` ${words}`);
  card.append(make("span", { class: "text" }, make("span", { class: "name" }, ...breakable(result.name)), more));
  const words2 = [result.name, result.job, result.kind, result.reason,
    ...Object.values(result.labels), ...result.inputs.map((file) => file.name)];
  return {
    index, result, item: make("li", {}, card), card,
    text: words2.filter(Boolean).join("\n").toLowerCase(),
  };
});

const ORDERS = {
  batch: (a, b) => a.index - b.index,
  name: (a, b) => a.result.name.localeCompare(b.result.name, undefined, { numeric: true }),
  loss: (a, b) => (lossOf(b.result) ?? -Infinity) - (lossOf(a.result) ?? -Infinity),
  seconds: (a, b) => (b.result.made?.seconds ?? -1) - (a.result.made?.seconds ?? -1),
};

const states = new Set();
let visible = cards;

function showStates() {
  for (const [state, count] of countBy(data.results, (result) => result.state)) {
    const [sign, word] = STATES[state] ?? ["?", state];
    const button = make("button", { type: "button", "aria-pressed": "false" }, `${sign} ${word} ${count}`);
    button.addEventListener("click", () => {
      if (!states.delete(state)) states.add(state);
      button.setAttribute("aria-pressed", String(states.has(state)));
      showGallery();
    });
    byId("states").append(button);
  }
}

function showGallery() {
  const query = byId("query").value.trim().toLowerCase();
  const isWanted = ({ result, text }) =>
    (states.size === 0 || states.has(result.state)) && text.includes(query);
  // Those without a loss or seconds come last; Infinity minus itself is no number.
  const compare = ORDERS[byId("order").value];
  visible = cards.filter(isWanted).sort((a, b) => compare(a, b) || a.index - b.index);
  byId("gallery").replaceChildren(...visible.map(({ item }) => item));
  byId("count").textContent = visible.length === cards.length ? `${cards.length} results`
    : `${visible.length} of ${cards.length} results`;
}

// One result.

const dialog = byId("result");
let shown = null;

function open(index) {
  shown = cards[index];
  if (!shown) return;
  const { result } = shown;
  byId("name").textContent = result.name;
  const words = [result.kind, ...Object.entries(result.labels).map(([name, value]) => `${name} ${value}`)];
  byId("state").replaceChildren(stateBadge(result), ` ${words.filter(Boolean).join(", ")}`);
  byId("reason").hidden = !result.reason;
  byId("reason").textContent = result.reason ?? "";
  showStrip(result);
  showCurve(result.curve);
  showFacts(result);
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}

function step(by) {
  if (visible.length === 0) return;
  const at = visible.indexOf(shown);
  const next = visible[(at + by + visible.length) % visible.length];
  location.hash = `result-${next.index + 1}`;
}

function showStrip(result) {
  const files = [...result.inputs, ...result.outputs.filter((file) => file.picture !== undefined)];
  byId("pictures").hidden = files.length === 0;
  const main = mainOf(result);
  const items = files.map((file) => {
    const isOutput = result.outputs.includes(file);
    const item = make("li");
    if (isShown(file)) {
      const button = make("button", { type: "button", "aria-label": `Show ${file.role}` }, image(file, true, ""));
      button.addEventListener("click", () => showPicture(result, file));
      item.append(button);
    } else {
      item.append(make("div", { class: "none" }, pictureOf(file)?.reason ?? "no picture"));
    }
    item.append(make("div", {}, file.role), make("div", { class: "quiet" },
      isOutput ? "" : `${file.name} `, link(file, "original")));
    return item;
  });
  if (result.more_inputs > 0) {
    items.push(make("li", { class: "quiet" }, `and ${result.more_inputs} inputs more`));
  }
  byId("strip").replaceChildren(...items);
  showPicture(result, [main, ...files].find(isShown));
}

// The stage: a picture, with what it was before over a part of it.

const stage = byId("stage");
const sheet = byId("sheet");
const slider = byId("cut").querySelector("input");
const view = { scale: 1, x: 0, y: 0 };

function showPicture(result, file) {
  stage.hidden = !file;
  const before = beforeOf(result);
  const compares = Boolean(file) && file === mainOf(result) && isShown(before);
  byId("cut").hidden = !compares;
  if (!file) return;
  const [width, height] = pictureOf(file).size;
  stage.style.aspectRatio = `${width} / ${height}`;
  sheet.replaceChildren(image(file, false, `${file.role} of ${result.name}`));
  if (compares) {
    const over = image(before, false, `the content, ${before.name}`);
    // As the job stretches it.
    over.className = "over";
    sheet.append(over, make("div", { class: "line" }));
    cut();
  }
  zoomTo(1);
  fitOver();
}

/** The content covers the result's place, whatever shape it has by itself. */
function fitOver() {
  const [under, over] = sheet.querySelectorAll("img");
  if (!over) return;
  const fit = () => {
    const { naturalWidth: width, naturalHeight: height } = under;
    const box = { width: stage.clientWidth, height: stage.clientHeight };
    if (!width || !box.width) return;
    const scale = Math.min(box.width / width, box.height / height);
    const [left, top] = [(box.width - width * scale) / 2, (box.height - height * scale) / 2];
    for (const [name, value] of Object.entries({
      left, top, width: width * scale, height: height * scale,
    })) over.style[name] = `${value}px`;
    over.style.objectFit = "fill";
    cut();
  };
  if (under.complete) fit();
  under.addEventListener("load", fit);
}

/** Cuts the content off where the slider is. */
function cut() {
  const over = sheet.querySelector(".over");
  const line = sheet.querySelector(".line");
  if (!over || !line) return;
  const share = Number(slider.value) / 100;
  over.style.clipPath = `inset(0 ${100 - share * 100}% 0 0)`;
  const left = parseFloat(over.style.left) || 0;
  const width = parseFloat(over.style.width) || stage.clientWidth;
  line.style.left = `${left + share * width}px`;
}

function zoomTo(scale, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  const next = Math.min(16, Math.max(1, scale));
  view.x = x - (x - view.x) * (next / view.scale);
  view.y = y - (y - view.y) * (next / view.scale);
  view.scale = next;
  moveBy(0, 0);
}

function moveBy(x, y) {
  const within = (value, size) => Math.min(0, Math.max(size * (1 - view.scale), value));
  view.x = within(view.x + x, stage.clientWidth);
  view.y = within(view.y + y, stage.clientHeight);
  sheet.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
}

function listenToStage() {
  const fingers = new Map();
  const at = (event) => {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const spread = () => {
    const [[ax, ay], [bx, by]] = fingers.values();
    return Math.hypot(ax - bx, ay - by);
  };
  stage.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, at(event));
    stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    const [x, y] = at(event);
    const [oldX, oldY] = fingers.get(event.pointerId);
    const before = fingers.size === 2 ? spread() : 0;
    fingers.set(event.pointerId, [x, y]);
    if (fingers.size === 2 && before > 0) zoomTo(view.scale * (spread() / before), x, y);
    else if (fingers.size === 1) moveBy(x - oldX, y - oldY);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    stage.addEventListener(end, (event) => fingers.delete(event.pointerId));
  }
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomTo(view.scale * Math.exp(-event.deltaY / 400), ...at(event));
  }, { passive: false });
  stage.addEventListener("dblclick", (event) => zoomTo(view.scale > 1 ? 1 : 3, ...at(event)));
  slider.addEventListener("input", cut);
  addEventListener("resize", () => { zoomTo(1); fitOver(); });
}

// The curve.

const SVG = "http://www.w3.org/2000/svg";
const BOX = { width: 720, height: 260, left: 64, right: 12, top: 12, bottom: 28 };

function draw(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function showCurve(curve) {
  const section = byId("curve");
  section.querySelector("svg")?.remove();
  const isDrawn = (value) => value > 0 && Number.isFinite(value);
  section.hidden = !curve || !curve.loss.some(isDrawn);
  if (section.hidden) return;
  const lines = [["loss", curve.loss], ...Object.entries(curve.terms ?? {})];
  const hidden = new Set();
  const paint = () => {
    section.querySelector("svg")?.remove();
    const chosen = lines.filter(([name]) => !hidden.has(name));
    byId("legend").after(chart(curve, lines, chosen.length > 0 ? chosen : lines.slice(0, 1), isDrawn));
  };
  byId("legend").replaceChildren(...lines.map(([name], number) => {
    const button = make("button", { type: "button", "aria-pressed": "true", class: `line-${number % 8}` },
      make("span", { class: "swatch" }), make("span", {}, name));
    button.addEventListener("click", () => {
      if (!hidden.delete(name)) hidden.add(name);
      button.setAttribute("aria-pressed", String(!hidden.has(name)));
      paint();
    });
    return button;
  }));
  byId("legend").hidden = lines.length === 1;
  byId("reading").textContent = "";
  const row = (tag, cells) => make("tr", {}, ...cells.map((cell) =>
    make(tag, tag === "td" ? { class: "number" } : {}, String(cell))));
  section.querySelector("table").replaceChildren(
    make("thead", {}, row("th", ["phase", "steps", ...lines.map(([name]) => name)])),
    make("tbody", {}, ...curve.steps.map((steps, at) =>
      row("td", [curve.phase[at], steps, ...lines.map(([, values]) => figure(values[at]))]))));
  paint();
}

function chart(curve, all, lines, isDrawn) {
  const values = lines.flatMap(([, list]) => list).filter(isDrawn);
  const [low, high] = [Math.log10(Math.min(...values)), Math.log10(Math.max(...values))];
  const room = Math.max(high - low, .1) * .05;
  const last = Math.max(...curve.steps, 1);
  const x = (steps) => BOX.left + (steps / last) * (BOX.width - BOX.left - BOX.right);
  const y = (value) => BOX.height - BOX.bottom
    - ((Math.log10(value) - low + room) / (Math.max(high - low, .1) + 2 * room))
    * (BOX.height - BOX.top - BOX.bottom);
  const svg = draw("svg", {
    viewBox: `0 0 ${BOX.width} ${BOX.height}`, tabindex: "0", role: "img",
    "aria-label": `The loss fell from ${figure(curve.loss[0])} to ${figure(curve.loss.at(-1))}`
      + ` in ${curve.steps.at(-1)} steps. Arrow keys read it step by step.`,
  });
  for (let part = 0; part <= 4; part += 1) {
    const level = 10 ** (low + ((high - low) * part) / 4);
    svg.append(draw("line", { class: "axis", x1: BOX.left, x2: BOX.width - BOX.right, y1: y(level), y2: y(level) }),
      draw("text", { x: BOX.left - 6, y: y(level) + 4, "text-anchor": "end" }, level.toExponential(1)));
    const steps = Math.round((last * part) / 4);
    svg.append(draw("text", { x: x(steps), y: BOX.height - 8, "text-anchor": part === 4 ? "end" : "middle" }, String(steps)));
  }
  for (const [name, list] of lines) {
    const color = all.findIndex(([other]) => other === name) % 8;
    // Losses of different phases are those of different objectives: each has its own line.
    for (const phase of new Set(curve.phase)) {
      const points = list.map((value, at) => [curve.phase[at], curve.steps[at], value])
        .filter(([of, , value]) => of === phase && isDrawn(value))
        .map(([, steps, value]) => `${x(steps).toFixed(1)},${y(value).toFixed(1)}`);
      svg.append(draw("polyline", { class: `line-${color}`, points: points.join(" ") }));
    }
  }
  const cursor = draw("line", { class: "cursor", y1: BOX.top, y2: BOX.height - BOX.bottom, visibility: "hidden" });
  svg.append(cursor);
  let at = curve.steps.length - 1;
  const readAt = (index) => {
    at = Math.min(curve.steps.length - 1, Math.max(0, index));
    cursor.setAttribute("x1", x(curve.steps[at]));
    cursor.setAttribute("x2", x(curve.steps[at]));
    cursor.setAttribute("visibility", "visible");
    byId("reading").textContent = [`phase ${curve.phase[at]}, ${curve.steps[at]} steps`,
      ...lines.map(([name, list]) => `${name} ${figure(list[at])}`)].join(", ");
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const wanted = (((event.clientX - box.left) / box.width) * BOX.width - BOX.left)
      / (BOX.width - BOX.left - BOX.right) * last;
    const distances = curve.steps.map((steps) => Math.abs(steps - wanted));
    readAt(distances.indexOf(Math.min(...distances)));
  });
  svg.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -1e9, End: 1e9 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    readAt(at + by);
  });
  return svg;
}

// Facts.

function showFacts(result) {
  const blocks = [];
  const table = (title, rows, isNumber) => {
    if (rows.length === 0) return;
    blocks.push(make("div", {}, make("h3", {}, title), make("div", { class: "wide" }, make("table", {},
      make("tbody", {}, ...rows.map(([name, value]) => make("tr", {}, make("th", { scope: "row" }, name),
        make("td", isNumber ? { class: "number" } : {}, value))))))));
  };
  const { made } = result;
  if (made) {
    if (made.notes.length > 0) {
      blocks.push(make("div", {}, make("h3", {}, "Notes"),
        make("ul", {}, ...made.notes.map((note) => make("li", {}, note)))));
    }
    table("Work", [["time", duration(made.seconds)], ["steps", String(made.steps)],
      ["attempt", String(made.attempt)], ["device", made.device]]);
    table("Figures", Object.entries(made.figures).map(([name, value]) => [name, figure(value)]), true);
  }
  table("Parameters", result.parameters);
  if (made) table("Made with", Object.entries(made.made_with));
  const files = result.outputs.map((file) => make("li", {}, link(file, file.role), ` ${file.name}`));
  if (files.length > 0) blocks.push(make("div", {}, make("h3", {}, "Files"), make("ul", {}, ...files)));
  blocks.push(make("div", {}, make("h3", {}, "Job"), make("p", { class: "quiet" }, result.job)));
  byId("facts").replaceChildren(...blocks);
}

// Ways about.

function follow() {
  const number = /^#result-(\d+)$/.exec(location.hash);
  if (number) open(Number(number[1]) - 1);
  else if (dialog.open) dialog.close();
}

function listenToKeys(event) {
  const isTyping = event.target.matches("input[type=search], select");
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping || byId("keys").open) return;
  const focused = cards.findIndex(({ card }) => card === document.activeElement);
  const at = visible.findIndex(({ index }) => index === focused);
  const keys = {
    "/": () => !dialog.open && byId("query").focus(),
    "?": () => byId("keys").showModal(),
    j: () => (dialog.open ? step(1) : visible[Math.min(at + 1, visible.length - 1)]?.card.focus()),
    k: () => (dialog.open ? step(-1) : visible[Math.max(at - 1, 0)]?.card.focus()),
    "+": () => zoomTo(view.scale * 1.5),
    "-": () => zoomTo(view.scale / 1.5),
    0: () => zoomTo(1),
  };
  if (!Object.hasOwn(keys, event.key)) return;
  event.preventDefault();
  keys[event.key]();
}

function toggleTheme() {
  const root = document.documentElement;
  const isDark = root.dataset.theme ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
}

showTotals();
showStates();
showGallery();
listenToStage();
byId("query").addEventListener("input", showGallery);
byId("order").addEventListener("change", showGallery);
byId("tools").addEventListener("submit", (event) => event.preventDefault());
byId("theme").addEventListener("click", toggleTheme);
byId("help").addEventListener("click", () => byId("keys").showModal());
byId("previous").addEventListener("click", () => step(-1));
byId("next").addEventListener("click", () => step(1));
byId("close").addEventListener("click", () => dialog.close());
dialog.addEventListener("close", () => {
  history.replaceState(null, "", "#");
  shown?.card.focus();
});
addEventListener("hashchange", follow);
addEventListener("keydown", listenToKeys);
follow();
