// A page of small ECG strips in true millimetres, chosen and judged with the keyboard. What does not fit on a strip is
// left out: fewer seconds, never another scale.

const PX_PER_MM = 96 / 25.4;
const MISSING = -32768;
const GAP = 10; // between two strips
const FRAME = 3; // border and padding of a strip, on either side
const MARGIN_MM = 7; // of the paper before the trace, for the pulse
const PULSE_MM = [0.5, 1, 1, 6, 6, 6.5]; // corners of the pulse of 1 mV, from the left edge
const NARROWEST_MM = 74; // of a strip: three seconds beside the pulse at 25 mm/s
const COLUMNS = [12, 6, 4, 3, 2, 1]; // each fills whole rows of a page
const LABELS = 18; // px above the paper
const REST_MM = 12; // beside an event that is shown whole
const WAIT_MS = 10000; // for the answer to a verdict; no other one is taken meanwhile
const TYPED = "input, textarea, select, [contenteditable=true], [role=combobox], [role=slider]";

export default function ({ data, parentElement, setTriggerValue }) {
  const gallery = (parentElement.gallery ??= new Gallery(parentElement));
  gallery.send = (name, value) => setTriggerValue(name, value);
  gallery.receive(data);
  gallery.listen();
  return () => gallery.leave();
}

class Gallery {
  constructor(root) {
    this.root = root;
    this.find = (name) => root.querySelector(name);
    this.chosen = new Set(); // items that are chosen together
    this.onKey = (event) => this.key(event);
    this.resized = new ResizeObserver(() => this.layOut());
    this.find(".strips").onclick = (event) => this.click(event);
    this.find(".strips").ondblclick = () => this.open();
    this.find(".back").onclick = () => this.turn(-1);
    this.find(".on").onclick = () => this.turn(1);
    this.find(".all").onclick = () => this.chooseAll();
    this.find(".open").onclick = () => this.open();
  }

  listen() {
    document.addEventListener("keydown", this.onKey);
    this.resized.observe(this.find(".strips"));
  }

  leave() {
    document.removeEventListener("keydown", this.onKey);
    this.resized.disconnect();
  }

  receive(data) {
    const moved = data.move !== this.data?.move;
    const at = moved ? data.chosen : this.current;
    this.data = data;
    this.sentAt = 0;
    if (moved) this.chosen.clear();
    this.current = this.anchor = Math.max(data.first, Math.min(at ?? data.first, data.first + data.strips.length - 1));
    this.drawActions();
    this.width = 0;
    this.layOut();
    this.find(".scale").textContent = data.scale_text;
    const last = data.first + data.strips.length;
    this.find(".place").textContent = data.n ? `${(data.first + 1).toLocaleString("en")} to ${last.toLocaleString("en")} of ${data.n.toLocaleString("en")}` : "";
    this.find(".back").disabled = data.first === 0;
    this.find(".on").disabled = last >= data.n;
    this.find(".strips").setAttribute("aria-label", data.title);
  }

  drawActions() {
    const groups = this.data.actions.map((group) => {
      const box = element("span", { class: "group", role: "group", "aria-label": group.name });
      if (group.shown) box.append(element("span", { class: "name" }, group.shown));
      for (const action of group.actions) {
        const button = element("button", { title: action.help, name: action.name, "aria-keyshortcuts": action.key });
        button.append(element("span", {}, action.text), element("kbd", {}, action.key));
        button.disabled = Boolean(this.data.locked) || !action.enabled;
        button.onclick = () => this.act(action);
        box.append(button);
      }
      return box;
    });
    this.find(".actions").replaceChildren(...groups);
    this.find(".locked").textContent = this.data.locked;
  }

  // As many columns as strips of three seconds fit beside each other, in rows that fill a page.
  layOut() {
    const width = this.find(".strips").clientWidth;
    if (!width || width === this.width) return;
    this.width = width;
    const least = NARROWEST_MM * PX_PER_MM + 2 * FRAME;
    this.columns = COLUMNS.find((n) => n * least + (n - 1) * GAP <= width) ?? 1;
    const paper = Math.floor((width - (this.columns - 1) * GAP) / this.columns) - 2 * FRAME;
    const focused = this.hasFocus();
    const drawn = [];
    for (let i = 0; i < this.data.strips.length; i += this.columns) {
      const row = this.data.strips.slice(i, i + this.columns);
      const low = Math.min(...row.map((strip) => strip.low_mv)), high = Math.max(...row.map((strip) => strip.high_mv));
      drawn.push(...row.map((strip) => this.strip(strip, paper, low, high)));
    }
    const strips = this.find(".strips");
    strips.style.gridTemplateColumns = `repeat(${this.columns}, ${paper + 2 * FRAME}px)`;
    strips.replaceChildren(...drawn);
    this.mark(focused);
  }

  strip(strip, width, low, high) {
    const box = element("div", { class: "strip", role: "option", tabindex: "-1", "aria-label": strip.label });
    box.dataset.item = strip.item;
    const top = element("div", { class: "top" });
    top.append(element("span", { class: "tick", "aria-hidden": "true" }, strip.reviewed ? "✓" : ""));
    top.append(element("b", {}, strip.clock), element("span", { class: "title" }, strip.title));
    top.append(element("span", { class: "length" }, strip.length));
    box.append(top, this.paper(strip, width, low, high));
    return box;
  }

  paper(strip, width, low, high) {
    const { theme, colours, scale } = this.data;
    const pxPerS = scale.mm_per_s * PX_PER_MM, pxPerMv = scale.mm_per_mv * PX_PER_MM, left = MARGIN_MM * PX_PER_MM;
    const height = (high - low) * pxPerMv, base = LABELS + high * pxPerMv;
    const { start, end, isWhole } = shownSpan(strip, (width - left) / pxPerS, scale.mm_per_s);
    const x = (at) => left + (at - start) * pxPerS, y = (mv) => base - mv * pxPerMv;
    const picture = svg("svg", { width, height: LABELS + height, viewBox: `0 0 ${width} ${LABELS + height}`, "aria-hidden": "true" });
    picture.dataset.start = start;
    picture.dataset.seconds = end - start;
    const [from, to] = strip.extent;
    if (to > from) {
      const a = Math.max(left, x(from)), b = Math.min(width, x(to));
      picture.append(svg("rect", { class: "extent", x: a, y: LABELS, width: Math.max(0, b - a), height, fill: strip.danger ? theme.danger_band : theme.marked }));
    } else {
      picture.append(svg("rect", { class: "extent", x: x(from) - 2.5 * PX_PER_MM, y: LABELS, width: 5 * PX_PER_MM, height, fill: theme.marked }));
    }
    for (const [mm, colour] of [[1, theme.small_box], [5, theme.large_box]]) {
      picture.append(svg("path", { class: `boxes${mm}`, d: boxes(mm, left, base, width, height), stroke: colour, fill: "none", "shape-rendering": "crispEdges" }));
    }
    const pulse = PULSE_MM.map((mm, i) => `${i ? "L" : "M"}${mm * PX_PER_MM} ${y(i > 1 && i < 4 ? 1 : 0)}`).join("");
    picture.append(svg("path", { class: "pulse", d: pulse, stroke: theme.faint, "stroke-width": 1.3, fill: "none" }));
    picture.append(svg("path", { class: "trace", d: tracePath(strip, this.data.step_mv, start, end, x, y, [LABELS, LABELS + height]), stroke: theme.trace, "stroke-width": 1.3, fill: "none", "stroke-linejoin": "round" }));
    for (const [at, letter, label] of strip.beats) {
      if (at < start || at > end) continue;
      const ours = at >= from - 0.001 && at <= to + 0.001;
      picture.append(svg("text", { x: x(at), y: LABELS - 5, "text-anchor": "middle", fill: colours[label] ?? theme.text, "font-weight": ours && label !== "N" ? 700 : 400, "font-size": 13 }, letter));
    }
    if (!isWhole) {
      const words = `first ${(end - Math.max(start, from)).toFixed(1)} s of ${strip.length}`;
      picture.append(svg("text", { class: "part", x: width - 4, y: LABELS + height - 5, "text-anchor": "end", fill: theme.text, "font-size": 12 }, words));
    }
    return picture;
  }

  // -- choosing -------------------------------------------------------------------------------------------------------

  get last() {
    return this.data.first + this.data.strips.length - 1;
  }

  hasFocus() {
    return this.root.contains(this.root.getRootNode().activeElement);
  }

  // Show what is chosen; the focus follows where it was in the gallery or nowhere.
  mark(focus) {
    for (const box of this.find(".strips").children) {
      const item = Number(box.dataset.item), isCurrent = item === this.current;
      box.classList.toggle("current", isCurrent);
      box.setAttribute("aria-selected", this.chosen.size ? this.chosen.has(item) : isCurrent);
      box.classList.toggle("chosen", this.chosen.has(item));
      box.tabIndex = isCurrent ? 0 : -1;
      if (isCurrent && focus) {
        box.focus({ preventScroll: true });
        box.scrollIntoView({ block: "nearest" });
      }
    }
    this.find(".chosen-count").textContent = this.chosen.size ? `${this.chosen.size} chosen` : "";
  }

  go(item, { extend = false } = {}) {
    if (item < this.data.first) return this.turn(-1, item);
    if (item > this.last) return this.turn(1, item);
    this.current = item;
    if (extend) {
      this.chosen.clear();
      for (let i = Math.min(item, this.anchor); i <= Math.max(item, this.anchor); i++) this.chosen.add(i);
    } else this.anchor = item;
    this.mark(true);
  }

  toggle(item) {
    this.current = this.anchor = item;
    this.chosen.has(item) ? this.chosen.delete(item) : this.chosen.add(item);
    this.mark(true);
  }

  chooseAll() {
    const all = this.chosen.size === this.data.strips.length;
    this.chosen = new Set(all ? [] : this.data.strips.map((strip) => strip.item));
    this.mark(true);
  }

  click(event) {
    const box = event.target.closest(".strip");
    if (!box) return;
    const item = Number(box.dataset.item);
    event.ctrlKey || event.metaKey ? this.toggle(item) : this.go(item, { extend: event.shiftKey });
  }

  // -- what Python answers --------------------------------------------------------------------------------------------

  get isWaiting() {
    return this.sentAt && performance.now() - this.sentAt < WAIT_MS;
  }

  tell(name, value) {
    if (this.isWaiting || !this.data.strips.length && name !== "act") return;
    this.sentAt = performance.now();
    this.send(name, { ...value, turn: this.data.turn });
  }

  act(action) {
    if (this.data.locked || !action.enabled) return;
    const items = this.chosen.size ? [...this.chosen].sort((a, b) => a - b) : this.data.strips.length ? [this.current] : [];
    this.tell("act", { name: action.name, items });
  }

  open() {
    this.tell("open", { item: this.current });
  }

  turn(step, item) {
    const at = item ?? this.data.first + step * this.data.per_page;
    if (at < 0 || at >= this.data.n) {
      if (item === undefined || at >= 0 && at < this.data.n) return;
      return;
    }
    this.tell("page", { item: at });
  }

  key(event) {
    const from = event.composedPath()[0];
    if (event.altKey || event.metaKey || from.closest?.(TYPED) || this.isBehind()) return;
    const inside = this.root.contains(from) || from === document.body;
    const work = event.ctrlKey ? null : this.step(event, inside) ?? this.verdict(event);
    if (!work) return;
    event.preventDefault();
    event.stopPropagation();
    work();
  }

  // Whether a dialog lies over the gallery.
  isBehind() {
    const dialog = document.querySelector("[role=dialog]");
    return dialog !== null && !dialog.contains(this.root.getRootNode().host ?? this.root);
  }

  step(event, inside) {
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns }[event.key];
    if (by) return () => this.go(this.current + by, { extend: event.shiftKey && this.current + by >= this.data.first && this.current + by <= this.last });
    const isButton = from(event).closest?.("button, a, [role=button]");
    const keys = {
      PageUp: () => this.turn(-1), PageDown: () => this.turn(1), Home: () => this.go(this.data.first), End: () => this.go(this.last),
      Escape: () => { this.chosen.clear(); this.mark(true); }, p: () => this.chooseAll(), P: () => this.chooseAll(),
    };
    if (inside && !isButton) Object.assign(keys, { Enter: () => this.open(), " ": () => this.toggle(this.current) });
    return keys[event.key];
  }

  verdict(event) {
    const pressed = (event.shiftKey && event.key.length === 1 ? "⇧" : "") + event.key.toUpperCase();
    const action = this.data.actions.flatMap((group) => group.actions).find((one) => one.key === pressed);
    return action && (() => this.act(action));
  }
}

function from(event) {
  return event.composedPath()[0];
}

// Which seconds of a strip are shown: around the middle of what fits, else the first ones of a long event.
function shownSpan(strip, fits, mmPerS) {
  const [from, to] = strip.extent;
  const isWhole = to - from + REST_MM / mmPerS <= fits;
  const seconds = Math.min(fits, strip.length_s), last = strip.start_s + strip.length_s - seconds;
  const wanted = isWhole ? (from + to) / 2 - seconds / 2 : from - REST_MM / mmPerS / 2;
  const start = Math.max(strip.start_s, Math.min(wanted, last));
  return { start, end: start + seconds, isWhole: isWhole || to <= start + seconds };
}

function boxes(mm, left, base, width, height) {
  const step = mm * PX_PER_MM, top = LABELS, bottom = LABELS + height;
  let path = "";
  for (let x = left % step; x <= width; x += step) path += `M${x} ${top}V${bottom}`;
  for (let y = top + ((base - top) % step); y <= bottom + 0.01; y += step) path += `M0 ${y}H${width}`;
  return path;
}

function tracePath(strip, stepMv, start, end, x, y, [top, bottom]) {
  const counts = decode(strip.samples);
  const first = Math.max(0, Math.floor((start - strip.start_s) * strip.fs_hz));
  const last = Math.min(counts.length - 1, Math.ceil((end - strip.start_s) * strip.fs_hz) - 1);
  let path = "", drawn = false;
  for (let i = first; i <= last; i++) {
    if (counts[i] === MISSING) drawn = false;
    else {
      const at = Math.max(top, Math.min(bottom, y(counts[i] * stepMv)));
      path += `${drawn ? "L" : "M"}${x(strip.start_s + i / strip.fs_hz).toFixed(2)} ${at.toFixed(2)}`;
      drawn = true;
    }
  }
  return path;
}

function decode(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Int16Array(bytes.buffer);
}

function element(name, attributes, text) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function svg(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}
