// Templates of beats as cards: they are selected by click or arrow keys, and edited by key, button or a dragged box.

const RR_HEIGHT = 30, WAVE_HEIGHT = 96, GAP = 6;
const DRAG_PX = 6; // a shorter movement is a click
const LEVELS = 255;
const FAINT = 0.3; // opacity of single beats
const KEYS = { 1: "N", 2: "S", 3: "V", 4: "F", 5: "Q" };

export default function ({ data, parentElement, setTriggerValue }) {
  const cards = (parentElement.cards ??= new Cards(parentElement));
  cards.send = (act) => setTriggerValue("act", act);
  cards.receive(data);
  cards.listen();
  return () => cards.unlisten();
}

class Cards {
  constructor(root) {
    this.root = root;
    this.grid = root.querySelector(".grid");
    this.readout = root.querySelector(".readout");
    this.parts = root.querySelector("select");
    this.parts.onchange = () => this.parts.blur(); // so that the next key is one of the cards
    this.selected = new Set();
    this.at = 0;
    this.key = this.key.bind(this);
    this.resized = new ResizeObserver(() => this.draw());
    for (const button of root.querySelectorAll("button")) button.onclick = () => this.act(button.name);
  }

  listen() {
    document.addEventListener("keydown", this.key);
    this.resized.observe(this.grid);
  }

  unlisten() {
    document.removeEventListener("keydown", this.key);
    this.resized.disconnect();
  }

  receive(data) {
    const before = this.cards?.[this.at]?.name;
    this.data = data;
    this.cards = data.cards;
    const names = this.cards.map((card) => card.name);
    if (data.id !== this.id) this.selected.clear(), (this.at = 0);
    this.id = data.id;
    for (const name of this.selected) if (!names.includes(name)) this.selected.delete(name);
    if (this.selected.size && names.includes(before)) this.at = names.indexOf(before);
    this.at = Math.max(0, Math.min(this.at, names.length - 1));
    this.build();
  }

  build() {
    this.grid.replaceChildren(...this.cards.map((card, at) => this.element(card, at)));
    this.draw();
    this.mark();
  }

  element(card, at) {
    const element = document.createElement("div");
    element.className = "card";
    element.setAttribute("role", "option");
    const colour = this.data.letters[card.label];
    element.innerHTML = `<div class="head"><b></b><span class="class"></span><span class="n"></span></div>
      <canvas></canvas><div class="foot"><span class="share"></span><span class="doubt"></span></div>`;
    const put = (name, text) => (element.querySelector(name).textContent = text);
    put("b", card.name);
    put(".class", card.was ? `now ${card.label}, was ${card.was}` : card.mixed);
    put(".n", `${card.n.toLocaleString("en")}`);
    put(".share", `${card.share}; ${card.of_class}`);
    put(".doubt", card.hidden ? "hidden" : `doubt ${card.doubt.toLocaleString("en")}`);
    element.querySelector("b").style.color = colour;
    element.title = card.mixed ? `${card.name}: ${card.mixed}` : `${card.name}: ${card.n} beats`;
    element.setAttribute("aria-label", `${card.name}, ${card.n} beats, now ${card.label}, doubt ${card.doubt}`);
    if (card.hidden) element.classList.add("hidden");
    this.draggable(element, element.querySelector("canvas"), card, at);
    return element;
  }

  // A click selects; a drag across the overlay takes the beats through the box out of the template.
  draggable(element, canvas, card, at) {
    let from = null;
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, Math.min(event.clientY - box.top, WAVE_HEIGHT)];
    };
    element.onpointerdown = (event) => {
      from = event.target === canvas && this.data.may_edit ? place(event) : null;
      if (from) canvas.setPointerCapture(event.pointerId);
    };
    canvas.onpointermove = (event) => {
      if (!from) return;
      const to = place(event);
      if (Math.hypot(to[0] - from[0], to[1] - from[1]) > DRAG_PX) this.paint(canvas, card, [from, to]);
    };
    element.onpointerup = (event) => {
      const to = from && place(event);
      const dragged = from && Math.hypot(to[0] - from[0], to[1] - from[1]) > DRAG_PX;
      if (dragged) this.box(canvas, card, from, to);
      else this.choose(at, event.ctrlKey || event.metaKey || event.shiftKey);
      from = null;
    };
  }

  box(canvas, card, from, to) {
    const { leads, first_s, step_s, points, low_mv, high_mv } = this.data;
    const width = canvas.clientWidth / leads.length;
    const lead = Math.min(leads.length - 1, Math.max(0, Math.floor(from[0] / width)));
    const time = (x) => first_s + ((x - lead * width) / (width - GAP)) * (points - 1) * step_s;
    const mv = (y) => high_mv[lead] - (y / WAVE_HEIGHT) * (high_mv[lead] - low_mv[lead]);
    this.send({
      action: "box", names: [card.name], lead: leads[lead],
      offset_s: [time(from[0]), time(to[0])].sort((a, b) => a - b), mv: [mv(to[1]), mv(from[1])].sort((a, b) => a - b),
    });
  }

  choose(at, adds) {
    const name = this.cards[at].name;
    if (!adds) this.selected.clear();
    if (adds && this.selected.has(name)) this.selected.delete(name);
    else this.selected.add(name);
    this.at = at;
    this.mark();
  }

  move(step, adds) {
    const to = Math.max(0, Math.min(this.at + step, this.cards.length - 1));
    if (!adds) this.selected.clear();
    this.selected.add(this.cards[to].name);
    this.at = to;
    this.mark();
    this.grid.children[to].scrollIntoView({ block: "nearest" });
  }

  columns() {
    const tops = [...this.grid.children].map((card) => card.offsetTop);
    return Math.max(1, tops.filter((top) => top === tops[0]).length);
  }

  mark() {
    [...this.grid.children].forEach((element, at) => {
      const is = this.selected.has(this.cards[at].name);
      element.classList.toggle("selected", is);
      element.classList.toggle("at", at === this.at);
      element.setAttribute("aria-selected", is);
    });
    const chosen = this.cards.filter((card) => this.selected.has(card.name));
    const n = chosen.reduce((sum, card) => sum + card.n, 0).toLocaleString("en");
    const names = chosen.length > 4 ? `${chosen.length} templates` : chosen.map((card) => card.name).join(", ");
    this.readout.textContent = chosen.length ? `${names}: ${n} beats` : "Click a card, or use the arrow keys";
    for (const button of this.root.querySelectorAll("button")) {
      const few = button.name === "merge" ? chosen.length < 2 : button.name === "split" ? chosen.length !== 1 : !chosen.length;
      button.disabled = few || (!this.data.may_edit && button.name !== "step");
    }
    const hides = this.root.querySelector('button[name="hide"]');
    hides.firstChild.textContent = chosen.length && chosen.every((card) => card.hidden) ? "Show " : "Hide ";
  }

  key(event) {
    const target = event.composedPath()[0];
    if (event.ctrlKey || event.metaKey || event.altKey || !this.cards.length) return;
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || target.isContentEditable) return;
    if (document.querySelector('[role="dialog"]')) return;
    const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns(), ArrowDown: this.columns() };
    const acts = { 0: "none", m: "merge", s: "split", h: "hide", g: "step", Escape: "escape" };
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (name in moves) this.move(this.selected.size ? moves[name] : 0, event.shiftKey);
    else if (!(name in KEYS) && !(name in acts)) return;
    else if (!event.repeat) this.act(KEYS[name] ?? acts[name]); // a key that is held edits once
    event.preventDefault();
    event.stopPropagation();
  }

  act(name) {
    if (name === "escape") return this.selected.clear(), this.mark();
    const button = this.root.querySelector(`button[name="${name}"]`);
    if (button.disabled) return;
    const names = [...this.selected];
    const chosen = this.cards.filter((card) => this.selected.has(card.name));
    const shows = name === "hide" && chosen.every((card) => card.hidden);
    if (name !== "step" && name !== "split") this.selected.clear(); // done: the next one is chosen by an arrow key
    if (name in this.data.colours) this.send({ action: "label", names, label: name });
    else this.send({ action: shows ? "show" : name, names, n_parts: Number(this.parts.value) });
    this.mark();
  }

  draw() {
    [...this.grid.children].forEach((element, at) => this.paint(element.querySelector("canvas"), this.cards[at], null));
  }

  paint(canvas, card, box) {
    const width = canvas.clientWidth, ratio = window.devicePixelRatio || 1;
    if (!width) return;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round((WAVE_HEIGHT + RR_HEIGHT) * ratio);
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    context.font = "10px system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
    this.paintWaves(context, card, width);
    this.paintIntervals(context, card, width);
    if (!box) return;
    const [[x0, y0], [x1, y1]] = box;
    context.strokeStyle = this.data.theme.text;
    context.setLineDash([4, 3]);
    context.strokeRect(x0, y0, x1 - x0, y1 - y0);
  }

  paintWaves(context, card, width) {
    const { leads, points, low_mv, high_mv, first_s, step_s, theme, colours } = this.data;
    const each = width / leads.length, stride = leads.length * points;
    card.bytes ??= { lines: decode(card.lines), mean: decode(card.mean) };
    leads.forEach((lead, number) => {
      const left = number * each, wide = each - GAP;
      const x = (point) => left + (point / (points - 1)) * wide;
      const beat = x(-first_s / step_s);
      context.strokeStyle = theme.line;
      context.lineWidth = 1;
      line(context, [[beat, 0], [beat, WAVE_HEIGHT]]);
      const mv = WAVE_HEIGHT / (high_mv[number] - low_mv[number]);
      context.strokeStyle = theme.faint;
      line(context, [[left + 1, WAVE_HEIGHT - 2], [left + 1, WAVE_HEIGHT - 2 - mv]]);
      context.fillStyle = theme.faint;
      context.fillText(`1 mV`, left + 4, WAVE_HEIGHT - 3);
      context.fillText(lead, left + 2, 9);
      const trace = (bytes, start) => {
        for (let i = 0; i < points; i++) {
          const y = WAVE_HEIGHT * (1 - bytes[start + number * points + i] / LEVELS);
          i ? context.lineTo(x(i), y) : context.moveTo(x(i), y);
        }
      };
      context.strokeStyle = colours[card.label];
      context.globalAlpha = FAINT;
      context.beginPath();
      for (let start = 0; start < card.bytes.lines.length; start += stride) trace(card.bytes.lines, start);
      context.stroke();
      context.globalAlpha = 1;
      context.lineWidth = 2;
      context.beginPath();
      if (card.bytes.mean.length) trace(card.bytes.mean, 0);
      context.stroke();
    });
  }

  paintIntervals(context, card, width) {
    const { rr_s, theme, colours } = this.data;
    const foot = WAVE_HEIGHT + RR_HEIGHT - 0.5, high = RR_HEIGHT - 8;
    const each = (width - GAP) / card.rr.length;
    context.fillStyle = colours[card.label];
    card.rr.forEach((value, bar) => {
      if (value) context.fillRect(bar * each, foot - Math.max(1, (value / 100) * high), Math.max(1, each - 1), Math.max(1, (value / 100) * high));
    });
    context.strokeStyle = theme.line;
    context.lineWidth = 1;
    line(context, [[0, foot], [width - GAP, foot]]);
    context.fillStyle = theme.faint;
    context.textAlign = "right";
    context.fillText(`RR ${Math.round(rr_s[0] * 1000)}–${Math.round(rr_s[1] * 1000)} ms`, width - GAP, WAVE_HEIGHT + 9);
    context.textAlign = "left";
  }
}

function line(context, places) {
  context.beginPath();
  places.forEach(([x, y], at) => (at ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.stroke();
}

function decode(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}
