// Keys and gestures of the strips of Review. What moves, measures or marks is drawn here at once; what changes the view
// or the study goes to Python as numbered commands, each sent until Python says that it was carried out.

const PLOTS = '[class*="st-key-strip"] .js-plotly-plot';
const DRAG_PX = 4; // a shorter movement of the mouse is a click
const WHEEL_MS = 250; // one step of zoom in this time, however the wheel turns
const CURSOR_S = 0.02, CURSOR_FAST_S = 0.2; // by which the arrow keys move the cursor of a mode
const SETTLED_MS = 1500; // the strip is drawn by then; until then it stays where it was dragged
const MAX_MARCHED = 200; // intervals of the march-out to either side
const MEASURED_ROWS = 3, MEASURED_PX = 20; // kept measurements stand in rows, so that their texts do not overlap
const SVG = "http://www.w3.org/2000/svg";
const MOVE = "move", RANGE = "range", CALIPERS = "calipers", INSERT = "insert";
const MOVES = ["page", "beat", "stop", "zoom"]; // commands that are repeated while their key is held
const HINTS = {
  [RANGE]: "Drag over the strip, or press Enter at the start and at the end",
  [CALIPERS]: "Click the start and the end, or use the arrow keys and Enter",
  [INSERT]: "Click where a beat is missing, or use the arrow keys and Enter",
};

export default function ({ data, parentElement, setTriggerValue }) {
  const strips = (parentElement.strips ??= new Strips(parentElement));
  strips.start();
  strips.receive(data, setTriggerValue);
  return () => strips.stop();
}

class Strips {
  constructor(root) {
    this.root = root;
    this.mode = MOVE;
    this.points = []; // of the calipers: time, mV, plot
    this.pending = []; // commands that Python has not carried out yet
    this.number = Date.now();
    this.cursor = this.anchor = null; // times
    this.listeners = [
      [window, "keydown", (event) => this.key(event)],
      [document, "pointerdown", (event) => this.down(event)],
      [document, "pointermove", (event) => this.moved(event)],
      [document, "pointerup", (event) => this.up(event)],
      [document, "pointercancel", () => this.release()],
      [document, "wheel", (event) => this.wheel(event)],
      [document, "click", leaveChosenOption],
    ];
    for (const button of root.querySelectorAll("button")) button.onclick = () => this.press(button);
  }

  start() {
    if (this.observer) return;
    for (const [target, name, listener] of this.listeners) {
      target.addEventListener(name, listener, { capture: true, passive: false });
    }
    this.observer = new MutationObserver(() => this.redrawSoon());
    this.observer.observe(document.body, { childList: true, subtree: true });
  }

  stop() {
    for (const [target, name, listener] of this.listeners) target.removeEventListener(name, listener, true);
    this.observer?.disconnect();
    this.observer = null;
    cancelAnimationFrame(this.frame);
    this.frame = null;
  }

  receive(data, send) {
    if (data.study !== this.data?.study) this.forget();
    this.data = data;
    this.setTrigger = send;
    this.pending = this.pending.filter(([number]) => number > data.handled);
    if (this.scroll !== undefined && data.scroll !== this.scroll) plots()[0]?.scrollIntoView({ block: "center" });
    this.scroll = data.scroll;
    this.redrawSoon();
  }

  // What was measured, begun and not carried out yet in one study is not for the next one.
  forget() {
    this.pending = [];
    this.setMode(MOVE);
  }

  send(...command) {
    this.pending.push([++this.number, ...command]);
    this.setTrigger("commands", this.pending.slice());
  }

  // -- keys -----------------------------------------------------------------------------------------------------------

  key(event) {
    if (event.key === "Tab") this.byMouse = false;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (isModal()) return keepFromPage(event);
    if (event.key === "Escape" && document.querySelector('[data-testid="stPopoverBody"]')) return; // which it closes
    if (isTyped(event)) return leaveGoto(event);
    const name = keyName(event);
    if (!this.byMouse && belongsToFocus(event, name)) return;
    const isHeld = event.repeat; // a key that is held moves on, and edits once
    if (this.mode !== MOVE && !(isHeld && name === "Enter") && this.moveCursor(name)) return taken(event);
    const command = this.data?.keys[name];
    if (!command) return;
    taken(event);
    if (isHeld && !MOVES.includes(command[0])) return;
    if (command[0] === "browser") this.do(...command.slice(1));
    else this.send(...command);
  }

  do(name, value) {
    if (name === "goto") {
      const field = document.querySelector(".st-key-goto input");
      field?.focus();
      field?.select();
    } else if (name === "march") this.march();
    else if (name === "keep") this.keep(value);
    else if (name === "clear") this.clear();
    else this.setMode(this.mode === name ? MOVE : name);
  }

  press(button) {
    if (button.name === "march") this.march();
    else if (button.name === "keep") this.keep(button.value);
    else this.setMode(button.name);
    button.blur();
  }

  setMode(mode) {
    this.mode = mode;
    this.points = [];
    this.cursor = this.anchor = null;
    this.marching = false;
    this.redrawSoon();
  }

  clear() {
    this.setMode(MOVE);
    if (this.data.chosen) this.send("range");
  }

  march() {
    this.marching = this.points.length === 2 && !this.marching;
    this.redrawSoon();
  }

  keep(interval) {
    if (this.points.length !== 2) return;
    const [left, right] = this.span();
    this.send("keep", interval, left, right);
    this.setMode(CALIPERS);
  }

  moveCursor(name) {
    const step = { ArrowLeft: -CURSOR_S, ArrowRight: CURSOR_S, "Shift+ArrowLeft": -CURSOR_FAST_S,
      "Shift+ArrowRight": CURSOR_FAST_S }[name];
    const all = plots();
    if (!all.length || (step === undefined && name !== "Enter")) return false;
    const [first, last] = [xaxis(all[0]).range[0], xaxis(all[all.length - 1]).range[1]];
    const at = this.cursor ?? (first + xaxis(all[0]).range[1]) / 2;
    this.cursor = Math.min(Math.max(at + (step ?? 0), first), last);
    const plot = all.find((one) => this.cursor < xaxis(one).range[1]) ?? all[all.length - 1];
    const place = { time: this.cursor, mv: signalAt(plot, this.cursor), plot };
    if (name === "Enter") this.place(place);
    else this.preview = place;
    this.redrawSoon();
    return true;
  }

  // -- mouse ----------------------------------------------------------------------------------------------------------

  down(event) {
    this.byMouse = true;
    const place = event.button === 0 ? placeAt(event) : null;
    if (!place) return;
    this.drag = { x: event.clientX, place, choosing: event.shiftKey || this.mode === RANGE, far: false };
    if (this.drag.choosing) event.preventDefault(); // no text is selected
  }

  moved(event) {
    if (this.drag) {
      const by = event.clientX - this.drag.x;
      this.drag.far ||= Math.abs(by) > DRAG_PX;
      if (!this.drag.far) return;
      if (this.drag.choosing) this.drag.to = placeAt(event, this.drag.place.plot) ?? this.drag.to;
      else if (this.mode === MOVE) this.shift(by);
      this.redrawSoon();
    } else if (this.mode === CALIPERS && this.points.length === 1) {
      this.preview = placeAt(event) ?? this.preview;
      this.redrawSoon();
    }
  }

  up(event) {
    const drag = this.drag;
    this.drag = null;
    if (!drag) return;
    const { place } = drag;
    if (drag.choosing && drag.far && drag.to) this.choose(place.time, drag.to.time);
    else if (drag.choosing && event.shiftKey && this.data.chosen) this.extend(place.time);
    else if (drag.choosing) return;
    else if (this.mode === MOVE && drag.far) {
      const axis = xaxis(place.plot);
      this.send("pan", ((drag.x - event.clientX) * (axis.range[1] - axis.range[0])) / axis._length);
      this.settling = setTimeout(() => this.shift(0), SETTLED_MS);
    } else if (!drag.far) this.place(place);
    this.redrawSoon();
  }

  release() {
    this.drag = null;
    this.shift(0);
  }

  wheel(event) {
    const place = event.ctrlKey || event.shiftKey ? null : placeAt(event);
    if (!place || !event.deltaY) return;
    event.preventDefault();
    if (event.timeStamp - (this.wheeled ?? -WHEEL_MS) < WHEEL_MS) return;
    this.wheeled = event.timeStamp;
    this.send("zoom", event.deltaY < 0 ? 1 : -1, place.time);
  }

  // A place was clicked, or chosen by Enter.
  place(place) {
    if (this.mode === MOVE) this.send("at", place.time);
    else if (this.mode === INSERT) {
      this.send("insert", place.time);
      this.setMode(MOVE);
    } else if (this.mode === CALIPERS) {
      this.points = this.points.length === 1 ? [...this.points, place] : [place];
      this.preview = null;
      this.marching = false;
    } else if (this.anchor === null) this.anchor = place.time;
    else this.choose(this.anchor, place.time);
  }

  choose(one, other) {
    this.setMode(MOVE);
    this.data.chosen = [Math.min(one, other), Math.max(one, other)];
    this.send("range", ...this.data.chosen);
  }

  extend(time) {
    this.choose(Math.min(this.data.chosen[0], time), Math.max(this.data.chosen[1], time));
  }

  // The strips follow the mouse until they are drawn again.
  shift(by) {
    clearTimeout(this.settling);
    for (const plot of plots()) plot.firstElementChild.style.transform = by ? `translateX(${by}px)` : "";
  }

  // -- what is drawn over the strips ------------------------------------------------------------------------------------

  span() {
    const times = this.points.map((point) => point.time);
    return [Math.min(...times), Math.max(...times)];
  }

  redrawSoon() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (this.observer && this.data) this.redraw();
    });
  }

  redraw() {
    const style = getComputedStyle(this.root.host ?? this.root);
    const ink = style.getPropertyValue("--st-primary-color") || "#0072B2";
    for (const plot of plots()) {
      if (!plot.gestures) {
        plot.gestures = true;
        plot.on("plotly_afterplot", () => {
          if (!this.drag) this.shift(0);
          this.redrawSoon();
        });
      }
      this.drawOver(plot, ink);
    }
    this.showModes();
    this.observer.takeRecords(); // what was drawn here is no change of the page, to be drawn over anew
  }

  drawOver(plot, ink) {
    const pen = new Pen(plot, ink);
    const chosen = this.drag?.to ? [this.drag.place.time, this.drag.to.time] : this.data.chosen;
    if (chosen) pen.band(Math.min(...chosen), Math.max(...chosen));
    this.data.measured.forEach(([left, right, text], index) => pen.interval(left, right, text, index % MEASURED_ROWS));
    const points = this.points.length === 1 && this.preview ? [...this.points, this.preview] : this.points;
    for (const point of points) pen.line(point.time);
    if (points.length === 2 && points[0].plot === points[1].plot && points[0].plot === plot) pen.levels(points);
    if (this.marching) {
      const [left, right] = this.span();
      for (let i = -MAX_MARCHED; i <= MAX_MARCHED; i++) {
        if (i) pen.line((i > 0 ? right : left) + i * (right - left), true);
      }
    }
    if (this.anchor !== null) pen.line(this.anchor);
    if (this.cursor !== null) pen.line(this.cursor, true);
    pen.done();
  }

  showModes() {
    for (const button of this.root.querySelectorAll(".modes button")) {
      button.setAttribute("aria-checked", String(button.name === this.mode));
    }
    const measured = this.points.length === 2;
    this.root.querySelector(".keep").hidden = !measured;
    this.root.querySelector("[name=march]").setAttribute("aria-pressed", String(Boolean(this.marching)));
    const points = this.points.length === 1 && this.preview ? [this.points[0], this.preview] : this.points;
    this.root.querySelector(".readout").textContent = points.length === 2 ? measure(points) : (HINTS[this.mode] ?? "");
  }
}

// Lines and bands over one strip, in its own pixels.
class Pen {
  constructor(plot, ink) {
    this.plot = plot;
    this.ink = ink;
    this.axis = xaxis(plot);
    const { yaxis, yaxis2 } = plot._fullLayout;
    this.top = yaxis2 ? yaxis2._offset : yaxis._offset;
    this.bottom = yaxis._offset + yaxis._length;
    this.level = yaxis;
    this.shapes = [];
  }

  x(time) {
    return this.axis._offset + this.axis.d2p(time);
  }

  reaches(left, right) {
    return right > this.axis.range[0] && left < this.axis.range[1];
  }

  add(name, attributes, text) {
    const shape = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) shape.setAttribute(key, value);
    if (text) shape.textContent = text;
    this.shapes.push(shape);
  }

  line(time, thin) {
    if (!this.reaches(time, time)) return;
    const x = this.x(time);
    this.add("line", { x1: x, x2: x, y1: this.top, y2: this.bottom, stroke: this.ink,
      "stroke-width": thin ? 1 : 1.5, "stroke-dasharray": thin ? "4 3" : "none" });
  }

  band(left, right) {
    if (!this.reaches(left, right)) return;
    const [from, to] = [Math.max(left, this.axis.range[0]), Math.min(right, this.axis.range[1])].map((at) => this.x(at));
    this.add("rect", { x: from, width: Math.max(1, to - from), y: this.top, height: this.bottom - this.top,
      fill: this.ink, "fill-opacity": 0.16, stroke: this.ink, "stroke-opacity": 0.7 });
  }

  interval(left, right, text, row) {
    if (!this.reaches(left, right)) return;
    const y = this.bottom - 8 - MEASURED_PX * row;
    this.add("line", { x1: this.x(left), x2: this.x(right), y1: y, y2: y, stroke: this.ink, "stroke-width": 2 });
    for (const at of [left, right]) {
      this.add("line", { x1: this.x(at), x2: this.x(at), y1: y - 5, y2: y + 5, stroke: this.ink, "stroke-width": 2 });
    }
    this.add("text", { x: (this.x(left) + this.x(right)) / 2, y: y - 6, "text-anchor": "middle", fill: this.ink,
      "font-size": 11, "font-weight": 600 }, text);
  }

  levels([one, other]) {
    const [x1, x2] = [this.x(one.time), this.x(other.time)];
    for (const { mv } of [one, other]) {
      const y = this.level._offset + this.level.d2p(mv);
      this.add("line", { x1, x2, y1: y, y2: y, stroke: this.ink, "stroke-width": 1, "stroke-dasharray": "2 2" });
    }
  }

  done() {
    let over = this.plot.querySelector(":scope > svg.gestures");
    if (!over) {
      over = document.createElementNS(SVG, "svg");
      over.setAttribute("class", "gestures");
      over.style.cssText = "position: absolute; inset: 0; width: 100%; height: 100%; pointer-events: none;";
      this.plot.style.position = "relative";
      this.plot.append(over);
    }
    over.replaceChildren(...this.shapes);
  }
}

// -- the page -----------------------------------------------------------------------------------------------------------

// The strips that are shown; Streamlit keeps the one before, hidden, until the page is drawn.
function plots() {
  return [...document.querySelectorAll(PLOTS)].filter((plot) => plot.offsetWidth && plot._fullLayout?.xaxis?._length);
}

function xaxis(plot) {
  return plot._fullLayout.xaxis;
}

// Time and mV below the mouse; with ``within``, the nearest place of that plot.
function placeAt(event, within) {
  for (const plot of within ? [within] : plots()) {
    const box = plot.getBoundingClientRect();
    const [axis, level] = [xaxis(plot), plot._fullLayout.yaxis];
    const scale = box.width / plot.offsetWidth || 1;
    const [x, y] = [(event.clientX - box.left) / scale - axis._offset, (event.clientY - box.top) / scale];
    const inside = x >= 0 && x <= axis._length && y >= 0 && y <= plot.offsetHeight;
    if (!inside && !within) continue;
    if (!within && !plot.contains(event.target)) return null; // something lies over the strip
    return { plot, time: axis.p2d(Math.min(Math.max(x, 0), axis._length)), mv: level.p2d(y - level._offset) };
  }
  return null;
}

function signalAt(plot, time) {
  const lead = plot._fullData.find((trace) => trace.mode === "lines" && trace.dx);
  return lead ? lead.y[Math.min(Math.max(Math.round((time - lead.x0) / lead.dx), 0), lead.y.length - 1)] : 0;
}

function measure([one, other]) {
  const seconds = Math.abs(other.time - one.time);
  const parts = [`${Math.round(1000 * seconds)} ms`];
  if (seconds > 0.1) parts.push(`${Math.round(60 / seconds)} bpm`);
  if (one.plot === other.plot) parts.push(`${Math.abs(other.mv - one.mv).toFixed(2)} mV`);
  return parts.join(", ");
}

// -- focus --------------------------------------------------------------------------------------------------------------

function keyName(event) {
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code);
  const name = digit ? digit[1] : event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const isNamed = digit || event.key.length > 1 || /[a-z]/i.test(event.key);
  return event.shiftKey && isNamed ? `Shift+${name}` : name;
}

function isModal() {
  return document.querySelector('[data-testid="stDialog"]') !== null;
}

// Keys for a dialog do nothing on the page behind it, whose buttons have shortcuts; a gallery in it sees to that itself.
function keepFromPage(event) {
  const isForDialog = ["Escape", "Tab", "Enter", " "].includes(event.key) || isTyped(event);
  const hasGallery = document.querySelector('[data-testid="stDialog"] .st-key-proposed') !== null;
  if (!isForDialog && !hasGallery) event.stopImmediatePropagation();
}

// Whether a text is being typed; a closed selectbox has a field too, in which nobody types.
function isTyped(event) {
  const element = event.composedPath()[0];
  if (!(element instanceof HTMLElement)) return false;
  if (element.getAttribute("role") === "combobox") return element.getAttribute("aria-expanded") === "true";
  const isField = element.tagName === "INPUT" && !["checkbox", "radio", "range", "button", "file"].includes(element.type);
  return isField || element.tagName === "TEXTAREA" || element.isContentEditable;
}

// Who came to a control by the Tab key uses it by the keys that it has; who clicked it wants to go on with the strip.
function belongsToFocus(event, name) {
  const element = event.composedPath()[0];
  if (!(element instanceof HTMLElement)) return false;
  if (["Enter", " "].includes(name)) return element.tagName === "BUTTON";
  return /Arrow|Home|End/.test(name) && ["radio", "slider", "tab", "option", "menuitem", "grid"].includes(element.role);
}

function leaveGoto(event) {
  const field = event.composedPath()[0];
  if (!field.closest(".st-key-goto")) return;
  if (event.key === "Enter" || event.key === "Escape") setTimeout(() => field.blur());
}

// Streamlit leaves the focus in a selectbox after a choice, where no key of the page works.
function leaveChosenOption(event) {
  if (event.target.closest?.('[role="option"]')) setTimeout(() => document.activeElement?.blur?.());
}

function taken(event) {
  event.preventDefault();
  event.stopImmediatePropagation();
}
