// A page of small ECG strips in true millimetres, chosen and judged with the keyboard. What does not fit on a strip is
// left out: fewer seconds, never another scale.

const PX_PER_MM = 96 / 25.4;
const MISSING = -32768;
const GAP = 10; // between two strips
const FRAME = 3; // border and padding of a strip, on either side
const MARGIN_MM = 7; // of the paper before the trace, for the pulse
const PULSE_MM = [0.5, 1, 1, 6, 6, 6.5]; // corners of the pulse of 1 mV, from the left edge
const NARROWEST_MM = 82; // of a strip: three seconds beside the pulse at 25 mm/s
const COLUMNS = [12, 6, 4, 3, 2, 1]; // each fills whole rows of a page
const LABELS = 18; // px above the paper
const REST_MM = 12; // beside an event that is shown whole
const BEAT_MM = 5; // width of what is shaded of a single beat
const LEAST_MV = [-0.5, 1], MOST_MV = 2.5; // of the paper, from the baseline
const REST_MV = 0.05; // between the trace and the edge of the paper
const SAME_S = 0.001;
const WAIT_MS = 10000; // for the answer to a verdict; no other one is taken meanwhile
const TYPED = "input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable=true], [role=combobox], [role=slider]";

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
    document.addEventListener("keydown", this.onKey, true); // before a control that was clicked takes arrow keys
    this.resized.observe(this.find(".strips"));
  }

  leave() {
    document.removeEventListener("keydown", this.onKey, true);
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
    this.hasMoved = moved;
    this.layOut();
    this.find(".scale").textContent = data.scale_text;
    const last = data.first + data.strips.length;
    const [from, to, all] = [data.first + 1, last, data.n].map((number) => number.toLocaleString("en"));
    this.find(".place").textContent = data.n ? `${from} to ${to}${data.note ? "; " + data.note : " of " + all}` : data.note;
    this.find(".back").disabled = data.first === 0;
    this.find(".on").disabled = last >= data.n;
    this.find(".strips").setAttribute("aria-label", data.title);
  }

  drawActions() {
    const draw = (group) => {
      const box = element("span", { class: "group", role: "group", "aria-label": group.name });
      if (group.shown) box.append(element("span", { class: "name" }, group.shown));
      box.append(...group.actions.map((action) => this.button(action)));
      return box;
    };
    const { actions, locked } = this.data;
    this.find(".verdicts").replaceChildren(...actions.filter((group) => group.is_verdict).map(draw));
    this.find(".steps").replaceChildren(...actions.filter((group) => !group.is_verdict).map(draw));
    this.find(".locked").textContent = locked;
  }

  button(action) {
    const button = element("button", { title: action.help, name: action.name, "aria-keyshortcuts": action.key });
    if (!action.text) button.setAttribute("aria-label", action.help);
    button.append(action.text, element("kbd", {}, action.key));
    button.disabled = Boolean(this.data.locked) || !action.enabled;
    button.onclick = () => this.act(action);
    return button;
  }

  // As many columns as strips of three seconds fit beside each other, in rows that fill a page; few strips are longer.
  layOut() {
    const width = this.find(".strips").clientWidth;
    if (!width || width === this.width) return;
    this.width = width;
    const least = NARROWEST_MM * PX_PER_MM + 2 * FRAME;
    const most = COLUMNS.find((n) => n * least + (n - 1) * GAP <= width) ?? 1;
    this.columns = Math.max(1, Math.min(most, this.data.strips.length));
    const share = Math.floor((width - (this.columns - 1) * GAP) / this.columns) - 2 * FRAME;
    const paper = Math.min(share, (MARGIN_MM + this.data.widest_mm) * PX_PER_MM);
    const focused = this.hasFocus() || this.hasMoved;
    this.hasMoved = false;
    const { mm_per_s } = this.data.scale, drawn = [];
    const fits = (paper - MARGIN_MM * PX_PER_MM) / (mm_per_s * PX_PER_MM);
    const parts = this.data.strips.map((strip) => shownPart(strip, this.data.step_mv, fits, mm_per_s));
    for (let i = 0; i < parts.length; i += this.columns) {
      const row = parts.slice(i, i + this.columns), range = rangeOf(row);
      drawn.push(...row.map((part) => this.strip(part, paper, range)));
    }
    const strips = this.find(".strips");
    strips.style.gridTemplateColumns = `repeat(${this.columns}, ${paper + 2 * FRAME}px)`;
    strips.replaceChildren(...drawn);
    this.mark(focused);
  }

  strip(part, width, range) {
    const { strip } = part;
    const box = element("div", { class: "strip", role: "option", tabindex: "-1", "aria-label": strip.label });
    box.dataset.item = strip.item;
    const top = element("div", { class: "top" });
    top.append(element("span", { class: "tick", "aria-hidden": "true" }, strip.reviewed ? "✓" : ""));
    top.append(element("b", {}, strip.clock), element("span", { class: "title" }, strip.title));
    top.append(element("span", { class: "length" }, strip.length));
    box.append(top, this.paper(part, width, range));
    return box;
  }

  paper(part, width, [low, high]) {
    const { theme, colours, scale } = this.data, { strip, start, end } = part;
    const pxPerS = scale.mm_per_s * PX_PER_MM, pxPerMv = scale.mm_per_mv * PX_PER_MM, left = MARGIN_MM * PX_PER_MM;
    const height = (high - low) * pxPerMv, base = LABELS + high * pxPerMv, bottom = LABELS + height;
    const x = (at) => left + (at - start) * pxPerS, y = (mv) => base - Math.max(low, Math.min(high, mv)) * pxPerMv;
    const picture = svg("svg", { width, height: bottom, viewBox: `0 0 ${width} ${bottom}`, "aria-hidden": "true" });
    Object.assign(picture.dataset, { start, seconds: end - start });
    const draw = (name, attributes, text) => picture.append(svg(name, attributes, text));
    const line = (name, d, stroke, more = {}) => draw("path", { class: name, d, stroke, fill: "none", ...more });
    const write = (name, at, height, text, more) => draw("text", { class: name, x: at, y: height, "font-size": 12, fill: theme.text, ...more }, text);
    const [from, to] = strip.extent, half = to > from ? 0 : (BEAT_MM / 2) * PX_PER_MM;
    const a = Math.max(left, x(from) - half), b = Math.min(width, x(to) + half);
    draw("rect", { class: "extent", x: a, y: LABELS, width: Math.max(0, b - a), height, fill: strip.danger ? theme.danger_band : theme.marked });
    for (const [mm, colour] of [[1, theme.small_box], [5, theme.large_box]]) {
      line(`boxes${mm}`, boxes(mm, left, base, width, height), colour, { "shape-rendering": "crispEdges" });
    }
    const pulse = PULSE_MM.map((mm, i) => `${i ? "L" : "M"}${mm * PX_PER_MM} ${y(i > 1 && i < 4 ? 1 : 0)}`).join("");
    line("pulse", pulse, theme.faint, { "stroke-width": 1.3 });
    line("trace", tracePath(part, x, y), theme.trace, { "stroke-width": 1.3, "stroke-linejoin": "round" });
    for (const [at, letter, label] of strip.beats) {
      if (at < start || at > end) continue;
      const isBold = at >= from - SAME_S && at <= to + SAME_S && label !== "N";
      write("letter", x(at), LABELS - 5, letter, { fill: colours[label] ?? theme.text, "text-anchor": "middle", "font-size": 13, "font-weight": isBold ? 700 : 400 });
    }
    if (part.max > high) write("beyond", left + 2, LABELS + 12, `▲ to ${part.max.toFixed(1)} mV`);
    if (part.min < low) write("beyond", left + 2, bottom - 5, `▼ to ${part.min.toFixed(1)} mV`);
    const words = `first ${(end - Math.max(start, from)).toFixed(1)} s of ${strip.length}`;
    if (!part.isWhole) write("part", width - 4, bottom - 5, words, { "text-anchor": "end" });
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
    this.find(".all").firstChild.textContent = this.chosen.size ? `${this.chosen.size} chosen` : "All";
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
    if (at >= 0 && at < this.data.n) this.tell("page", { item: at });
  }

  key(event) {
    const from = event.composedPath()[0];
    if (event.altKey || event.metaKey || from.closest?.(TYPED) || this.isBehind()) return;
    const inside = this.root.contains(from) || from === document.body;
    const step = event.ctrlKey ? null : this.step(event, inside);
    const work = event.ctrlKey ? null : step ?? this.verdict(event);
    if (!work) return this.keepFromPage(event);
    event.preventDefault();
    event.stopPropagation();
    if (step || !event.repeat) work(); // a key that is held gives one verdict: the next strip was not seen yet
  }

  // Keys that a gallery in a dialog does not use do nothing on the page behind it.
  keepFromPage(event) {
    const isForDialog = event.ctrlKey || ["Escape", "Tab", "Enter", " "].includes(event.key);
    if (document.querySelector("[role=dialog]") && !isForDialog) event.stopPropagation();
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
      p: () => this.chooseAll(), P: () => this.chooseAll(),
    };
    if (this.chosen.size) keys.Escape = () => { this.chosen.clear(); this.mark(true); }; // else it closes what lies around
    if (inside && !isButton) Object.assign(keys, { Enter: () => this.open(), " ": () => this.toggle(this.current) });
    return keys[event.key];
  }

  verdict(event) {
    const digit = event.code.match(/^(?:Digit|Numpad)(\d)$/)?.[1]; // with Shift its sign depends on the keyboard
    const pressed = (event.shiftKey ? "⇧" : "") + (digit ?? event.key.toUpperCase());
    const all = this.data.actions.flatMap((group) => group.actions);
    const action = all.find((one) => one.key === pressed || one.also === pressed);
    return action && (() => this.act(action));
  }
}

function from(event) {
  return event.composedPath()[0];
}

// The seconds of a strip that are shown, around the middle of what fits, else the first ones of a long event, and their
// samples in mV.
function shownPart(strip, stepMv, fits, mmPerS) {
  const [from, to] = strip.extent;
  const fitsWhole = to - from + REST_MM / mmPerS <= fits;
  const seconds = Math.min(fits, strip.length_s), last = strip.start_s + strip.length_s - seconds;
  const wanted = fitsWhole ? (from + to) / 2 - seconds / 2 : from - REST_MM / mmPerS / 2;
  const start = Math.max(strip.start_s, Math.min(wanted, last)), end = start + seconds;
  const counts = decode(strip.samples), values = [];
  const first = Math.max(0, Math.ceil((start - strip.start_s) * strip.fs_hz));
  for (let i = first; i < counts.length && strip.start_s + i / strip.fs_hz <= end; i++) {
    values.push(counts[i] === MISSING ? NaN : counts[i] * stepMv);
  }
  const known = values.filter((value) => !Number.isNaN(value));
  const min = Math.min(0, ...known), max = Math.max(0, ...known);
  return { strip, start, end, values, min, max, at: strip.start_s + first / strip.fs_hz, isWhole: fitsWhole || to <= end };
}

// Lowest and highest value of the paper of a row, on large boxes.
function rangeOf(row) {
  const low = Math.min(LEAST_MV[0], ...row.map((part) => part.min - REST_MV));
  const high = Math.max(LEAST_MV[1], ...row.map((part) => part.max + REST_MV));
  return [Math.max(-MOST_MV, Math.floor(2 * low) / 2), Math.min(MOST_MV, Math.ceil(2 * high) / 2)];
}

function boxes(mm, left, base, width, height) {
  const step = mm * PX_PER_MM, top = LABELS, bottom = LABELS + height;
  let path = "";
  for (let x = left % step; x <= width; x += step) path += `M${x} ${top}V${bottom}`;
  for (let y = top + ((base - top) % step); y <= bottom + 0.01; y += step) path += `M0 ${y}H${width}`;
  return path;
}

function tracePath({ strip, at, values }, x, y) {
  let path = "", drawn = false;
  values.forEach((value, i) => {
    if (!Number.isNaN(value)) path += `${drawn ? "L" : "M"}${x(at + i / strip.fs_hz).toFixed(2)} ${y(value).toFixed(2)}`;
    drawn = !Number.isNaN(value);
  });
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
