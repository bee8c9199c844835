// A moving ECG strip at 25 mm/s and 10 mm/mV. Samples arrive a few times a second; the strip moves with every frame.

const PX_PER_MM = 96 / 25.4;
const PX_PER_S = 25 * PX_PER_MM;
const PX_PER_MV = 10 * PX_PER_MM;
const SMALL_BOX_S = 0.04;
const DELAY_S = 0.4; // behind the newest sample, so that the strip never has to wait for the next ones
const JUMP_S = 2; // further from where it should be, the strip jumps
const HEIGHT = 340, LABELS = 30, FOOT = 22;
const MISSING = -32768;
const STEP_S = 2; // for each press of an arrow key
const RATE_WEIGHT = 0.1; // of the latest update in the running mean of the pace of the stream
const FONT = "12px system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";

// Drawn once. The data come from live_feed.js, which is all that is sent with each update.
export default function ({ parentElement }) {
  const live = (parentElement.live ??= new Strip(parentElement));
  window.ecgStrip = live;
  if (window.ecgFeed) live.take(window.ecgFeed);
  live.start();
  return () => {
    live.stop();
    if (window.ecgStrip === live) window.ecgStrip = null;
  };
}

class Strip {
  constructor(root) {
    this.canvas = root.querySelector("canvas");
    this.readout = root.querySelector(".readout");
    this.buttons = Object.fromEntries([...root.querySelectorAll("button")].map((button) => [button.name, button]));
    this.buttons.pause.onclick = () => this.pause();
    this.buttons.mark.onclick = () => this.mark();
    this.buttons.back.onclick = () => this.step(-STEP_S);
    this.buttons.forward.onclick = () => this.step(STEP_S);
    root.querySelector(".live").onkeydown = (event) => this.key(event);
    this.frames = this.updates = 0;
    this.draw = this.draw.bind(this);
  }

  start() {
    this.request ??= requestAnimationFrame(this.draw);
  }

  stop() {
    cancelAnimationFrame(this.request);
    this.request = null;
  }

  take({ data, send }) {
    this.send = send;
    this.receive(data);
  }

  receive(data) {
    if (data.id !== this.id) this.reset(data);
    this.data = data;
    this.updates += 1;
    this.store(data.first, decode(data.samples), data.step_mv);
    for (const [at, label, usable, weights] of data.beats) this.beats.set(at, { label, usable, weights });
    for (const at of this.beats.keys()) if (at < data.end - data.kept) this.beats.delete(at);
    const now = performance.now() / 1000;
    if (this.updated && data.end > this.end && now > this.updated) {
      this.rate += RATE_WEIGHT * ((data.end - this.end) / (now - this.updated) - this.rate);
    }
    if (data.end > this.end) this.updated = now;
    this.end = data.end;
  }

  reset(data) {
    this.id = data.id;
    this.size = Math.ceil(data.kept * data.fs);
    this.ring = new Float32Array(this.size).fill(NaN);
    this.newest = data.first;
    this.beats = new Map();
    this.end = this.head = data.end;
    this.rate = data.speed;
    this.updated = this.paused = null;
    this.centre = 0;
  }

  store(first, counts, stepMv) {
    for (let i = Math.max(this.newest, first - this.size); i < first; i++) this.ring[i % this.size] = NaN;
    for (let i = 0; i < counts.length; i++) {
      this.ring[(first + i) % this.size] = counts[i] === MISSING ? NaN : counts[i] * stepMv;
    }
    this.newest = Math.max(this.newest, first + counts.length);
  }

  get shown() {
    return this.paused ?? this.head;
  }

  pause() {
    this.paused = this.paused === null ? this.head : null;
    this.updateButtons();
  }

  step(seconds) {
    if (!this.data) return;
    const oldest = Math.max(0, this.end - this.data.kept) + this.width / PX_PER_S;
    const at = Math.max(Math.min(oldest, this.end), this.shown + seconds);
    this.paused = at >= this.head ? null : at;
    this.updateButtons();
  }

  mark() {
    this.send?.("mark", [Math.round(100 * this.shown) / 100, Date.now()]); // the latter tells one press from the next
  }

  key(event) {
    const action = { " ": () => this.pause(), m: () => this.mark(), M: () => this.mark() }[event.key];
    const seconds = { ArrowLeft: -STEP_S, ArrowRight: STEP_S }[event.key];
    if (!action && !seconds) return;
    event.preventDefault();
    action ? action() : this.step(seconds);
  }

  updateButtons() {
    this.buttons.pause.textContent = this.paused === null ? "Pause" : "Resume";
    this.buttons.forward.disabled = this.paused === null;
  }

  // Follow the newest sample evenly: at the pace of the stream, with a slow correction towards the target.
  move(now) {
    const passed = Math.min(0.25, (now - (this.before ?? now)) / 1000);
    this.before = now;
    if (this.data.state !== "running") {
      this.head = this.end;
      return;
    }
    const target = this.end - DELAY_S * Math.max(1, this.rate);
    this.head += passed * this.rate;
    const error = target - this.head;
    this.head = Math.abs(error) > JUMP_S * Math.max(1, this.rate) ? target : this.head + error * passed;
    this.head = Math.max(0, Math.min(this.head, this.end));
  }

  draw(now) {
    this.request = requestAnimationFrame(this.draw);
    if (!this.data) return; // nothing has come yet
    this.move(now);
    this.frames += 1;
    this.canvas.dataset.frames = this.frames;
    this.canvas.dataset.updates = this.updates;
    this.canvas.dataset.beats = this.beats.size;
    this.canvas.dataset.marks = this.data.marks.length;
    const context = this.fitCanvas();
    context.clearRect(0, 0, this.width, HEIGHT);
    context.font = FONT;
    const right = this.shown, left = right - this.width / PX_PER_S;
    const x = (at) => (at - left) * PX_PER_S;
    this.drawGrid(context, left, right, x);
    this.drawAttention(context, left, right, x);
    this.drawTrace(context, left, right, x);
    this.drawLabels(context, left, right, x);
    this.drawFoot(context, left, right, x);
    this.readout.textContent = clock(right) + (this.paused === null ? "" : `, ${(this.head - right).toFixed(0)} s behind live`);
  }

  // A canvas has whole pixels of the screen; its own scales keep a CSS pixel a CSS pixel at every width and zoom.
  fitCanvas() {
    this.width = this.canvas.getBoundingClientRect().width;
    const zoom = devicePixelRatio || 1;
    const [width, height] = [Math.round(this.width * zoom), Math.round(HEIGHT * zoom)];
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    const context = this.canvas.getContext("2d");
    context.setTransform(width / this.width, 0, 0, height / HEIGHT, 0, 0);
    return context;
  }

  drawGrid(context, left, right, x) {
    const { theme } = this.data;
    for (const [squares, colour] of [[1, theme.small_box], [5, theme.large_box]]) {
      context.strokeStyle = colour;
      context.beginPath();
      const step = squares * SMALL_BOX_S;
      for (let k = Math.ceil(left / step); k * step <= right; k++) {
        context.moveTo(Math.round(x(k * step)) + 0.5, LABELS);
        context.lineTo(Math.round(x(k * step)) + 0.5, HEIGHT - FOOT);
      }
      for (let y = LABELS; y <= HEIGHT - FOOT; y += squares * PX_PER_MM) {
        context.moveTo(0, Math.round(y) + 0.5);
        context.lineTo(this.width, Math.round(y) + 0.5);
      }
      context.stroke();
    }
  }

  drawAttention(context, left, right, x) {
    const { colours, offset_s: first, offset_step_s: step } = this.data;
    for (const [at, { label, weights }] of this.beats) {
      if (at < left - 1 || at > right + 1) continue;
      const most = Math.max(...weights);
      context.fillStyle = colours[label];
      weights.forEach((weight, i) => {
        context.globalAlpha = (0.3 * weight) / most;
        context.fillRect(x(at + first + (i - 0.5) * step), LABELS, step * PX_PER_S + 0.5, HEIGHT - LABELS - FOOT);
      });
    }
    context.globalAlpha = 1;
  }

  drawTrace(context, left, right, x) {
    const { fs, theme, until } = this.data;
    const first = Math.max(Math.ceil(left * fs), this.newest - this.size, 0);
    const last = Math.min(Math.floor(right * fs), this.newest - 1);
    this.centreTrace(first, last);
    const middle = LABELS + 0.58 * (HEIGHT - LABELS - FOOT);
    context.save();
    context.beginPath();
    context.rect(0, LABELS, this.width, HEIGHT - LABELS - FOOT);
    context.clip();
    context.lineWidth = 1.4;
    context.lineJoin = "round";
    context.strokeStyle = theme.trace;
    for (const [from, to, alpha] of [[first, Math.min(last, until * fs), 1], [Math.max(first, until * fs - 1), last, 0.45]]) {
      context.globalAlpha = alpha;
      context.beginPath();
      let drawn = false;
      for (let i = Math.floor(from); i <= to; i++) {
        const value = this.ring[i % this.size];
        if (Number.isNaN(value)) drawn = false;
        else {
          const y = middle - (value - this.centre) * PX_PER_MV;
          drawn ? context.lineTo(x(i / fs), y) : context.moveTo(x(i / fs), y);
          drawn = true;
        }
      }
      context.stroke();
    }
    context.restore();
    if (until < right) {
      context.fillStyle = theme.unusable;
      context.globalAlpha = 0.25;
      context.fillRect(x(until), LABELS, this.width - x(until), HEIGHT - LABELS - FOOT);
      context.globalAlpha = 1;
      context.fillStyle = theme.faint;
      context.textAlign = "right";
      const words = "pending";
      const fits = context.measureText(words).width + 12 < this.width - x(until); // else it would cover a label
      if (fits) context.fillText(words, this.width - 6, LABELS - 10);
    }
  }

  // Keep the trace in the middle whatever its offset; slowly, so that it does not jump.
  centreTrace(first, last) {
    const values = [];
    for (let i = first; i <= last; i += 8) {
      const value = this.ring[i % this.size];
      if (!Number.isNaN(value)) values.push(value);
    }
    if (!values.length) return;
    values.sort((a, b) => a - b);
    const median = values[values.length >> 1];
    this.centre += (Math.abs(median - this.centre) > 3 ? 1 : 0.05) * (median - this.centre);
  }

  drawLabels(context, left, right, x) {
    const { theme, marks } = this.data;
    context.textAlign = "center";
    for (const [at, { label, usable }] of this.beats) {
      if (at < left || at > right) continue;
      context.font = label === "N" ? FONT : `bold 15px${FONT.slice(4)}`;
      context.fillStyle = usable ? theme.letter[label] : theme.faint;
      context.fillText(label, x(at), LABELS - 10);
    }
    context.font = FONT;
    for (const [at, text] of marks) {
      if (at < left || at > right) continue;
      context.strokeStyle = context.fillStyle = theme.text;
      context.setLineDash([4, 3]);
      context.beginPath();
      context.moveTo(x(at), LABELS);
      context.lineTo(x(at), HEIGHT - FOOT);
      context.stroke();
      context.setLineDash([]);
      context.fillText(text || "mark", x(at), LABELS + 12);
    }
  }

  drawFoot(context, left, right, x) {
    const { theme, scale } = this.data;
    context.fillStyle = theme.faint;
    context.textAlign = "center";
    for (let at = Math.ceil(left); at <= right; at++) {
      if (at >= 0 && x(at) > 210 && x(at) < this.width - 20) context.fillText(clock(at), x(at), HEIGHT - 7);
    }
    context.textAlign = "left";
    context.fillText(scale, 2, HEIGHT - 7);
  }
}

function decode(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Int16Array(bytes.buffer);
}

function clock(seconds) {
  const whole = Math.floor(Math.max(0, seconds));
  const two = (number) => String(number).padStart(2, "0");
  return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}
