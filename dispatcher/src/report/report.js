// Draws the report from the data beside this. Whatever comes from the data is written as text.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

/** A name that may go on in the next line after a dot or the like. */
const breakable = (name) => name.split(/(?<=[._+/-])/).flatMap((part) => [part, h("wbr")]);

// Words and numbers.

const STATES = {
  done: ["✓", "done"], failed: ["✕", "failed"], cancelled: ["–", "cancelled"],
  running: ["▶", "running"], stopped: ["‖", "stopped"], waiting: ["…", "waiting"],
  "not-accepted": ["?", "not accepted"], unknown: ["?", "not begun"],
};

const stateOf = (result) => STATES[result.state] ?? ["?", result.state];

function stateBadge(result) {
  const [sign, word] = stateOf(result);
  return h("span", { class: `state ${result.state}` }, `${sign} ${word}`);
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
  const properties = { alt, class: isSmall ? null : "zoomed", decoding: "async", draggable: "false" };
  return h("img", { ...properties, src: address(source) });
}

/** The output that stands for a result. */
const mainOf = (result) => result.outputs.find((file) => file.picture !== undefined);
/** What it was before. */
const beforeOf = (result) => result.inputs.find((file) => file.role === "content");

/** A link to where a file is; only to files and buckets. */
function link(file, text) {
  if (!/^(file:|s3:|[^:]*$)/.test(file.link)) return text;
  return h("a", { href: file.link, rel: "noreferrer", title: file.link }, text);
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
    h("div", {}, h("dt", {}, name), h("dd", {}, String(value)))));
  const reasons = countBy(data.results.filter((result) => result.reason), (result) => result.reason);
  byId("failures").hidden = reasons.length === 0;
  byId("failures").querySelector("ul").append(...reasons.map(([reason, count]) =>
    h("li", {}, count > 1 ? `${count} × ${reason}` : reason)));
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
  const card = h("a", { class: "card", href: `#result-${index + 1}` });
  if (isShown(main)) {
    const picture = image(main, true, "");
    picture.className = "picture";
    picture.loading = "lazy";
    card.append(picture);
  } else {
    const why = pictureOf(main)?.reason;
    card.append(h("span", { class: "picture none" }, why ? `no picture here: it ${why}` : stateOf(result)[0]));
  }
  const facts = [result.made && duration(result.made.seconds)];
  if (lossOf(result) !== undefined) facts.push(`loss ${figure(lossOf(result))}`);
  const more = h("span", { class: "more" }, stateBadge(result));
  const words = [...facts, result.reason].filter(Boolean).join(", ");
  if (words) more.append(` ${words}`);
  card.append(h("span", { class: "text" }, h("span", { class: "name" }, ...breakable(result.name)), more));
  const words2 = [result.name, result.job, result.kind, result.reason,
    ...Object.values(result.labels), ...result.inputs.map((file) => file.name)];
  return {
    index, result, item: h("li", {}, card), card,
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
    const button = h("button", { type: "button", "aria-pressed": "false" }, `${sign} ${word} ${count}`);
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
    const item = h("li");
    if (isShown(file)) {
      const button = h("button", { type: "button", "aria-label": `Show ${file.role}` }, image(file, true, ""));
      button.addEventListener("click", () => showPicture(result, file));
      item.append(button);
    } else {
      item.append(h("div", { class: "none" }, pictureOf(file)?.reason ?? "no picture"));
    }
    item.append(h("div", {}, file.role), h("div", { class: "quiet" },
      isOutput ? "" : `${file.name} `, link(file, "original")));
    return item;
  });
  if (result.more_inputs > 0) {
    items.push(h("li", { class: "quiet" }, `and ${result.more_inputs} inputs more`));
  }
  byId("strip").replaceChildren(...items);
  showPicture(result, [main, ...files].find(isShown));
}

let zoom = new Zoom();

/** Shows a picture; the main one with what it was before under a divider. */
function showPicture(result, file) {
  byId("stage").hidden = !file;
  if (!file) return;
  zoom = new Zoom();
  const before = beforeOf(result);
  const picture = image(file, false, `${file.role} of ${result.name}`);
  const pane = file === mainOf(result) && isShown(before)
    ? compare(image(before, false, `the content, ${before.name}`), picture, zoom)
    : h("div", { class: "pane", tabindex: 0, role: "group", "aria-label": "Picture: + and − zoom, arrows move" }, picture);
  fit(pane, picture);
  zoom.add(pane);
  fill(byId("stage"), pane);
}

// The curve.

const chart = new Chart({ label: "Loss", x: "steps", log: true }, new AbortController().signal);

function showCurve(curve) {
  byId("curve").hidden = !curve?.loss.some((loss) => loss > 0);
  if (byId("curve").hidden) return;
  const lines = Object.entries({ loss: curve.loss, ...curve.terms });
  chart.show(curve.steps, lines.map(([name, values]) => ({ name, values })), curve.phase);
}

// Facts.

function showFacts(result) {
  const blocks = [];
  const table = (title, rows, isNumber) => {
    if (rows.length === 0) return;
    blocks.push(h("div", {}, h("h3", {}, title), h("div", { class: "wide" }, h("table", {},
      h("tbody", {}, ...rows.map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, name),
        h("td", isNumber ? { class: "number" } : {}, value))))))));
  };
  const { made } = result;
  if (made) {
    if (made.notes.length > 0) {
      blocks.push(h("div", {}, h("h3", {}, "Notes"),
        h("ul", {}, ...made.notes.map((note) => h("li", {}, note)))));
    }
    table("Work", [["time", duration(made.seconds)], ["steps", String(made.steps)],
      ["attempt", String(made.attempt)], ["device", made.device]]);
    table("Figures", Object.entries(made.figures).map(([name, value]) => [name, figure(value)]), true);
  }
  table("Parameters", result.parameters);
  if (made) table("Made with", Object.entries(made.made_with));
  const files = result.outputs.map((file) => h("li", {}, link(file, file.role), ` ${file.name}`));
  if (files.length > 0) blocks.push(h("div", {}, h("h3", {}, "Files"), h("ul", {}, ...files)));
  blocks.push(h("div", {}, h("h3", {}, "Job"), h("p", { class: "quiet" }, result.job)));
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
  const isOther = event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey;
  if (isOther || isTyping || byId("keys").open) return;
  const focused = cards.findIndex(({ card }) => card === document.activeElement);
  const at = visible.findIndex(({ index }) => index === focused);
  const keys = {
    "/": () => !dialog.open && byId("query").focus(),
    "?": () => byId("keys").showModal(),
    j: () => (dialog.open ? step(1) : visible[Math.min(at + 1, visible.length - 1)]?.card.focus()),
    k: () => (dialog.open ? step(-1) : visible[Math.max(at - 1, 0)]?.card.focus()),
    "+": () => zoom.by(1.5),
    "-": () => zoom.by(1 / 1.5),
    0: () => zoom.reset(),
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
byId("curve").append(chart.element);
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
