// A moving strip on paper: 25 mm/s, 10 mm/mV. Samples come a few times a second; the paper moves with every frame.

const PX_PER_MM = 96 / 25.4;
const PX_PER_S = 25 * PX_PER_MM;
const PX_PER_MV = 10 * PX_PER_MM;
const SMALL_S = 0.04;
const DELAY_S = 0.4; // behind the newest sample, so that the paper never has to wait for the next ones
const FAR_S = 2; // further from where it should be, the paper jumps
const HEIGHT = 340, LABELS = 30, FOOT = 22;
const MISSING = -32768;
const STEP_S = 2; // of the arrow keys
const FONT = "12px system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";

export default function ({ data, parentElement, setTriggerValue }) {
  const live = (parentElement.live ??= new Paper(parentElement));
  live.tell = setTriggerValue;
  live.take(data);
  live.start();
  return () => live.stop();
}

class Paper {
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

  take(data) {
    if (data.id !== this.id) this.forget(data);
    this.data = data;
    this.updates += 1;
    this.put(data.first, decode(data.samples), data.step_mv);
    for (const [at, label, usable, weights] of data.beats) this.beats.set(at, { label, usable, weights });
    for (const at of this.beats.keys()) if (at < data.end - data.kept) this.beats.delete(at);
    const now = performance.now() / 1000;
    if (this.came && data.end > this.end && now > this.came) {
      this.rate += 0.1 * ((data.end - this.end) / (now - this.came) - this.rate);
    }
    if (data.end > this.end) this.came = now;
    this.end = data.end;
  }

  forget(data) {
    this.id = data.id;
    this.size = Math.ceil(data.kept * data.fs);
    this.ring = new Float32Array(this.size).fill(NaN);
    this.newest = data.first;
    this.beats = new Map();
    this.end = this.head = data.end;
    this.rate = data.speed;
    this.came = this.held = null;
    this.centre = 0;
  }

  put(first, counts, stepMv) {
    for (let i = this.newest; i < first; i++) this.ring[i % this.size] = NaN;
    for (let i = 0; i < counts.length; i++) {
      this.ring[(first + i) % this.size] = counts[i] === MISSING ? NaN : counts[i] * stepMv;
    }
    this.newest = Math.max(this.newest, first + counts.length);
  }

  get shown() {
    return this.held ?? this.head;
  }

  pause() {
    this.held = this.held === null ? this.head : null;
    this.say();
  }

  step(seconds) {
    const oldest = Math.max(0, this.end - this.data.kept) + this.width / PX_PER_S;
    const at = Math.max(Math.min(oldest, this.end), this.shown + seconds);
    this.held = at >= this.head ? null : at;
    this.say();
  }

  mark() {
    this.tell("mark", Math.round(100 * this.shown) / 100);
  }

  key(event) {
    const act = { " ": () => this.pause(), m: () => this.mark(), M: () => this.mark() }[event.key];
    const way = { ArrowLeft: -STEP_S, ArrowRight: STEP_S }[event.key];
    if (!act && !way) return;
    event.preventDefault();
    act ? act() : this.step(way);
  }

  say() {
    this.buttons.pause.textContent = this.held === null ? "Pause" : "Go on";
    this.buttons.forward.disabled = this.held === null;
  }

  // Follow the newest sample evenly: at the stream's own pace, drawn gently to where it should be.
  move(now) {
    const passed = Math.min(0.25, (now - (this.before ?? now)) / 1000);
    this.before = now;
    if (this.data.state !== "running") {
      this.head = this.end;
      return;
    }
    const aim = this.end - DELAY_S * Math.max(1, this.rate);
    this.head += passed * this.rate;
    const off = aim - this.head;
    this.head = Math.abs(off) > FAR_S * Math.max(1, this.rate) ? aim : this.head + off * passed;
    this.head = Math.max(0, Math.min(this.head, this.end));
  }

  draw(now) {
    this.request = requestAnimationFrame(this.draw);
    this.move(now);
    this.frames += 1;
    this.canvas.dataset.frames = this.frames;
    this.canvas.dataset.updates = this.updates;
    this.canvas.dataset.beats = this.beats.size;
    const scale = devicePixelRatio || 1;
    this.width = this.canvas.clientWidth;
    if (this.canvas.width !== Math.round(this.width * scale)) {
      this.canvas.width = Math.round(this.width * scale);
      this.canvas.height = HEIGHT * scale;
    }
    const pen = this.canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, this.width, HEIGHT);
    pen.font = FONT;
    const right = this.shown, left = right - this.width / PX_PER_S;
    const x = (at) => (at - left) * PX_PER_S;
    this.drawGrid(pen, left, right, x);
    this.drawAttention(pen, left, right, x);
    this.drawTrace(pen, left, right, x);
    this.drawLabels(pen, left, right, x);
    this.drawFoot(pen, left, right, x);
    this.readout.textContent = clock(right) + (this.held === null ? "" : `, ${(this.head - right).toFixed(0)} s back`);
  }

  drawGrid(pen, left, right, x) {
    const { theme } = this.data;
    for (const [squares, colour] of [[1, theme.small_box], [5, theme.large_box]]) {
      pen.strokeStyle = colour;
      pen.beginPath();
      const step = squares * SMALL_S;
      for (let k = Math.ceil(left / step); k * step <= right; k++) {
        pen.moveTo(Math.round(x(k * step)) + 0.5, LABELS);
        pen.lineTo(Math.round(x(k * step)) + 0.5, HEIGHT - FOOT);
      }
      for (let y = LABELS; y <= HEIGHT - FOOT; y += squares * PX_PER_MM) {
        pen.moveTo(0, Math.round(y) + 0.5);
        pen.lineTo(this.width, Math.round(y) + 0.5);
      }
      pen.stroke();
    }
  }

  drawAttention(pen, left, right, x) {
    const { colours, offset_s: first, offset_step_s: step } = this.data;
    for (const [at, { label, weights }] of this.beats) {
      if (at < left - 1 || at > right + 1) continue;
      const most = Math.max(...weights);
      pen.fillStyle = colours[label];
      weights.forEach((weight, i) => {
        pen.globalAlpha = (0.3 * weight) / most;
        pen.fillRect(x(at + first + (i - 0.5) * step), LABELS, step * PX_PER_S + 0.5, HEIGHT - LABELS - FOOT);
      });
    }
    pen.globalAlpha = 1;
  }

  drawTrace(pen, left, right, x) {
    const { fs, theme, until } = this.data;
    const first = Math.max(Math.ceil(left * fs), this.newest - this.size, 0);
    const last = Math.min(Math.floor(right * fs), this.newest - 1);
    this.level(first, last);
    const middle = LABELS + 0.58 * (HEIGHT - LABELS - FOOT);
    pen.save();
    pen.beginPath();
    pen.rect(0, LABELS, this.width, HEIGHT - LABELS - FOOT);
    pen.clip();
    pen.lineWidth = 1.4;
    pen.lineJoin = "round";
    pen.strokeStyle = theme.trace;
    for (const [from, to, alpha] of [[first, Math.min(last, until * fs), 1], [Math.max(first, until * fs - 1), last, 0.45]]) {
      pen.globalAlpha = alpha;
      pen.beginPath();
      let drawn = false;
      for (let i = Math.floor(from); i <= to; i++) {
        const value = this.ring[i % this.size];
        if (Number.isNaN(value)) drawn = false;
        else {
          const y = middle - (value - this.centre) * PX_PER_MV;
          drawn ? pen.lineTo(x(i / fs), y) : pen.moveTo(x(i / fs), y);
          drawn = true;
        }
      }
      pen.stroke();
    }
    pen.restore();
    if (until < right) {
      pen.fillStyle = theme.unusable;
      pen.globalAlpha = 0.25;
      pen.fillRect(x(until), LABELS, this.width - x(until), HEIGHT - LABELS - FOOT);
      pen.globalAlpha = 1;
      pen.fillStyle = theme.faint;
      pen.textAlign = "right";
      pen.fillText("not decided yet", this.width - 6, LABELS - 10);
    }
  }

  // The trace stays in the middle, whatever its offset; slowly, so that it does not jump.
  level(first, last) {
    const some = [];
    for (let i = first; i <= last; i += 8) {
      const value = this.ring[i % this.size];
      if (!Number.isNaN(value)) some.push(value);
    }
    if (!some.length) return;
    some.sort((a, b) => a - b);
    const median = some[some.length >> 1];
    this.centre += (Math.abs(median - this.centre) > 3 ? 1 : 0.05) * (median - this.centre);
  }

  drawLabels(pen, left, right, x) {
    const { colours, theme, marks } = this.data;
    pen.textAlign = "center";
    for (const [at, { label, usable }] of this.beats) {
      if (at < left || at > right) continue;
      pen.font = label === "N" ? FONT : `bold 15px${FONT.slice(4)}`;
      pen.fillStyle = usable ? colours[label] : theme.faint;
      pen.fillText(label, x(at), LABELS - 10);
    }
    pen.font = FONT;
    for (const [at, text] of marks) {
      if (at < left || at > right) continue;
      pen.strokeStyle = pen.fillStyle = theme.text;
      pen.setLineDash([4, 3]);
      pen.beginPath();
      pen.moveTo(x(at), LABELS);
      pen.lineTo(x(at), HEIGHT - FOOT);
      pen.stroke();
      pen.setLineDash([]);
      pen.fillText(text || "mark", x(at), LABELS + 12);
    }
  }

  drawFoot(pen, left, right, x) {
    const { theme, scale } = this.data;
    pen.fillStyle = theme.faint;
    pen.textAlign = "center";
    for (let at = Math.ceil(left); at <= right; at++) {
      if (at >= 0 && x(at) > 210 && x(at) < this.width - 20) pen.fillText(clock(at), x(at), HEIGHT - 7);
    }
    pen.textAlign = "left";
    pen.fillText(scale, 2, HEIGHT - 7);
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
