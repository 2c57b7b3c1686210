"use strict";
// Replays the races of a season on one road; every car starts at the start or at the chosen lap.

const LOADED = {}, WAITING = {};
const INKS = ["#ef7d2d", "#3f8fd2", "#4fae5c", "#c65bcf", "#c9981a", "#e0566f", "#27a5a5", "#8a7ae0"];
const RAMP = [[13, 8, 135], [126, 3, 168], [204, 71, 120], [248, 149, 64], [232, 192, 36]];
const ANGLE = 1e-4, SPEED = 1e-3;

/** Called by each file in data/. */
function racerData(key, content) {
  LOADED[key] = content;
  (WAITING[key] || []).forEach((go) => go(content));
  delete WAITING[key];
}

function load(key) {
  if (LOADED[key]) return Promise.resolve(LOADED[key]);
  return new Promise((go, fail) => {
    if (WAITING[key]) { WAITING[key].push(go); return; }
    WAITING[key] = [go];
    const script = document.createElement("script");
    script.src = `../data/${key}.js`;
    script.onerror = () => { delete WAITING[key]; fail(new Error(`data/${key}.js is missing`)); };
    document.head.append(script);
  });
}

function numbers(text) {
  const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  return new Int16Array(bytes.buffer);
}

/** Return a race with the time of each step [s] and its highest speed. */
function unpacked(film) {
  if (film.times) return film;
  const waits = new Map(film.waits);
  film.raw = numbers(film.place);
  film.things = numbers(film.objects.place);
  film.times = new Float64Array(film.steps);
  for (let k = 1; k < film.steps; k++)
    film.times[k] = film.times[k - 1] + film.period + (waits.get(k) || 0);
  film.fastest = 0;
  for (let k = 3; k < film.raw.length; k += 4) film.fastest = Math.max(film.fastest, film.raw[k] * SPEED);
  return film;
}

/** Return the last step at or before a time. */
function stepAt(film, time) {
  let low = 0, high = film.steps - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (film.times[middle] <= time) low = middle; else high = middle - 1;
  }
  return low;
}

function place(film, k) {
  const at = 4 * k, raw = film.raw;
  return { x: raw[at] * film.unit, y: raw[at + 1] * film.unit, yaw: raw[at + 2] * ANGLE, speed: raw[at + 3] * SPEED };
}

/** Return the pose of a car at a time; a car that waits to be put back stands still. */
function poseAt(film, time) {
  const k = stepAt(film, time), here = place(film, k);
  if (k + 1 >= film.steps) return { ...here, step: k, isOver: time >= film.times[k] };
  const span = film.times[k + 1] - film.times[k], next = place(film, k + 1);
  if (span > 1.5 * film.period) return { ...here, speed: 0, step: k, isWaiting: true };
  const share = Math.min(Math.max((time - film.times[k]) / span, 0), 1);
  let turn = next.yaw - here.yaw;
  turn -= 2 * Math.PI * Math.round(turn / (2 * Math.PI));
  return {
    x: here.x + share * (next.x - here.x), y: here.y + share * (next.y - here.y),
    yaw: here.yaw + share * turn, speed: here.speed + share * (next.speed - here.speed), step: k,
  };
}

function ramp(share) {
  const at = Math.min(Math.max(share, 0), 1) * (RAMP.length - 1), low = Math.min(Math.floor(at), RAMP.length - 2);
  return `rgb(${RAMP[low].map((one, i) => Math.round(one + (at - low) * (RAMP[low + 1][i] - one))).join(",")})`;
}

class Screen {
  constructor(data) {
    this.data = data;
    this.part = Object.fromEntries(["run", "lap", "rate", "stage", "road", "note", "play", "scrub", "clock",
      "chart", "slow", "fast", "cars"].map((id) => [id, document.getElementById(id)]));
    this.shown = data.shown.slice();
    this.films = new Map();
    this.inks = new Map();
    this.time = 0; this.length = 1; this.rate = 1; this.isPlaying = false; this.turn = 0;
    const asked = new URLSearchParams(location.hash.slice(1));
    const run = Number(asked.get("run") || 0);
    this.run = data.runs[run] && data.runs[run].road ? run : Math.max(0, data.runs.findIndex((one) => one.road));
    this.list();
    this.listen();
    this.reload();
  }

  list() {
    const { run, cars } = this.part;
    this.data.runs.forEach((one, i) => {
      if (one.road) run.append(new Option(one.name, i, false, i === this.run));
    });
    run.parentElement.hidden = run.options.length < 2;
    this.lines = this.data.cars.map((car) => {
      const label = document.createElement("label"), box = document.createElement("input");
      const ink = document.createElement("i"), name = document.createElement("span");
      const told = document.createElement("output");
      box.type = "checkbox";
      box.checked = this.shown.includes(car.id);
      box.addEventListener("change", () => {
        this.shown = this.shown.filter((id) => id !== car.id);
        if (box.checked) this.shown.push(car.id);
        this.reload(true);
      });
      name.textContent = (car.rank ? `${car.rank}  ` : "") + car.name;
      label.title = car.name;
      label.append(box, ink, name, told);
      cars.append(label);
      return { car, label, ink, told };
    });
  }

  listen() {
    const { run, lap, rate, play, scrub, stage, chart } = this.part;
    run.addEventListener("change", () => { this.run = Number(run.value); this.reload(); });
    lap.addEventListener("change", () => { this.time = 0; this.measure(); });
    rate.addEventListener("change", () => { this.rate = Number(rate.value); });
    play.addEventListener("click", () => this.toggle());
    scrub.addEventListener("input", () => this.seek(Number(scrub.value)));
    document.addEventListener("keydown", (event) => this.key(event));
    stage.addEventListener("click", () => this.toggle());
    const point = (event) => {
      const box = chart.getBoundingClientRect();
      this.seek((event.clientX - box.left) / box.width * this.length);
    };
    chart.addEventListener("pointerdown", point);
    chart.addEventListener("pointermove", (event) => { if (event.buttons) point(event); });
    window.addEventListener("hashchange", () => {
      const asked = Number(new URLSearchParams(location.hash.slice(1)).get("run"));
      if (!this.data.runs[asked] || !this.data.runs[asked].road) return;
      this.run = asked;
      run.value = String(asked);
      stage.scrollIntoView({ block: "center" });
      this.reload();
    });
    new ResizeObserver(() => this.fit()).observe(stage);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.fit());
  }

  key(event) {
    const tag = event.target.tagName;
    if (event.ctrlKey || event.metaKey || event.altKey || tag === "SELECT") return;
    if (tag === "INPUT" && event.target.type !== "range") return;
    const isHere = this.part.stage.contains(event.target), { rate } = this.part;
    const jump = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const pace = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (event.key === " " && tag !== "BUTTON" && tag !== "A") this.toggle();
    else if (jump) this.seek(this.time + jump * (event.shiftKey ? 0.1 : 1));
    else if (pace && isHere) {
      rate.selectedIndex = Math.min(Math.max(rate.selectedIndex + pace, 0), rate.options.length - 1);
      this.rate = Number(rate.value);
    } else return;
    event.preventDefault();
  }

  /** Load the chosen races; with `isSame` the clock is not reset. */
  async reload(isSame = false) {
    const turn = ++this.turn, wanted = [];
    for (const id of this.shown) {
      const car = this.data.cars.find((one) => one.id === id), key = car && car.films[this.run];
      if (key) wanted.push([id, key]);
    }
    try {
      const road = await load(this.data.runs[this.run].road);
      const films = await Promise.all(wanted.map(async ([id, key]) => [id, unpacked(await load(key))]));
      if (turn !== this.turn) return;
      this.ground = road;
      this.films = new Map(films);
      this.say("");
    } catch (problem) {
      this.say(problem.message);
      return;
    }
    this.paintKeys();
    if (!isSame) { this.time = 0; this.listLaps(); }
    this.measure();
  }

  say(text) { this.part.note.textContent = text; }

  paintKeys() {
    for (const id of [...this.inks.keys()]) if (!this.films.has(id)) this.inks.delete(id);
    for (const id of this.films.keys()) {
      if (this.inks.has(id)) continue;
      const used = new Set(this.inks.values());
      this.inks.set(id, INKS.find((ink) => !used.has(ink)) || INKS[this.inks.size % INKS.length]);
    }
    for (const { car, label, ink, told } of this.lines) {
      const isOn = this.films.has(car.id);
      label.classList.toggle("on", isOn);
      ink.style.background = isOn ? this.inks.get(car.id) : "";
      told.textContent = isOn ? "" : car.films[this.run] ? "" : "no replay";
    }
  }

  listLaps() {
    const { lap } = this.part, most = Math.max(0, ...[...this.films.values()].map((film) => film.laps.length));
    lap.replaceChildren(new Option("the start", 0));
    for (let k = 1; k < most; k++) lap.append(new Option(`lap ${k + 1}`, k));
    if (most > 1) lap.append(new Option("each one's best lap", -1));
    lap.parentElement.hidden = most < 2;
  }

  /** Return the race times at which the shown part of a car's race begins and ends [s]. */
  span(film) {
    const laps = film.laps, all = film.times[film.steps - 1];
    let k = Number(this.part.lap.value);
    if (k < 0) {
      const each = laps.map((end, i) => end - (i ? laps[i - 1] : 0));
      k = each.indexOf(Math.min(...each));
      return k < 0 ? [0, all] : [k ? laps[k - 1] : 0, laps[k]];
    }
    return k === 0 ? [0, all] : k <= laps.length ? [laps[k - 1], all] : [all, all];
  }

  measure() {
    const spans = [...this.films.values()].map((film) => this.span(film));
    this.length = Math.max(0.1, ...spans.map(([from, to]) => to - from));
    const fastest = Math.max(0.5, ...[...this.films.values()].map((film) => film.fastest));
    this.fastest = Math.ceil(fastest * 10) / 10;
    this.part.slow.textContent = "0 m/s";
    this.part.fast.textContent = `${this.fastest.toFixed(1)} m/s`;
    this.part.scrub.max = this.length;
    this.seek(Math.min(this.time, this.length));
    this.fit();
  }

  toggle() {
    if (!this.isPlaying && this.time >= this.length) this.time = 0;
    this.isPlaying = !this.isPlaying;
    this.part.play.textContent = this.isPlaying ? "❚❚" : "▶";
    this.part.play.setAttribute("aria-label", this.isPlaying ? "pause" : "play");
    if (!this.isPlaying) return;
    this.last = performance.now();
    requestAnimationFrame((now) => this.tick(now));
  }

  tick(now) {
    if (!this.isPlaying) return;
    const past = Math.min(Math.max(now - this.last, 0), 250) / 1000;
    this.last = now;
    this.seek(this.time + past * this.rate);
    if (this.time >= this.length) this.toggle();
    else requestAnimationFrame((next) => this.tick(next));
  }

  seek(time) {
    this.time = Math.min(Math.max(time, 0), this.length);
    this.part.scrub.value = this.time;
    this.part.clock.textContent = `${this.time.toFixed(2)} s`;
    this.draw();
  }

  /** Set the sizes of the canvases and paint what does not move. */
  fit() {
    if (!this.ground) return;
    const style = getComputedStyle(document.documentElement);
    const ink = (name) => style.getPropertyValue(name).trim();
    this.ink = { ink: ink("--ink"), soft: ink("--soft"), rule: ink("--rule"), road: ink("--road") };
    for (const canvas of [this.part.road, this.part.chart]) {
      const ratio = Math.min(devicePixelRatio || 1, 3);
      canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
      canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
      canvas.ratio = ratio;
    }
    const { left, right } = this.ground, xs = [], ys = [];
    for (const ring of [left, right]) ring.forEach((one, i) => (i % 2 ? ys : xs).push(one));
    const { road } = this.part, edge = 26 * road.ratio;
    const [west, east, south, north] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    // Turn a tall road on a wide canvas, and a wide road on a tall canvas.
    this.isTurned = (east - west > north - south) !== (road.width > road.height);
    const wide = this.isTurned ? north - south : east - west, high = this.isTurned ? east - west : north - south;
    this.scale = Math.min((road.width - 2 * edge) / wide, (road.height - 2 * edge) / high);
    this.middle = [(west + east) / 2, (south + north) / 2];
    this.paintGround();
    this.paintChart();
    this.draw();
  }

  at(x, y) {
    const [dx, dy] = [(x - this.middle[0]) * this.scale, (y - this.middle[1]) * this.scale];
    const { width, height } = this.part.road;
    return this.isTurned ? [width / 2 - dy, height / 2 - dx] : [width / 2 + dx, height / 2 - dy];
  }

  paintGround() {
    const { road } = this.part;
    this.base = document.createElement("canvas");
    [this.base.width, this.base.height] = [road.width, road.height];
    const pen = this.base.getContext("2d"), unit = road.ratio, rings = new Path2D();
    for (const ring of [this.ground.left, this.ground.right]) {
      for (let i = 0; i < ring.length; i += 2) rings[i ? "lineTo" : "moveTo"](...this.at(ring[i], ring[i + 1]));
      rings.closePath();
    }
    pen.fillStyle = this.ink.road;
    pen.fill(rings, "evenodd");
    pen.strokeStyle = this.ink.soft;
    pen.lineWidth = 1.5 * unit;
    pen.stroke(rings);
    const [a, b, c, d] = this.ground.start;
    this.stroke(pen, [[a, b], [c, d]], this.ink.ink, 4 * unit);
    const first = this.films.values().next().value;
    if (!first) return;
    const [from, to] = this.span(first);
    pen.lineCap = "round";
    for (let k = stepAt(first, from) + 1; k < first.steps && first.times[k] <= to + first.period; k++) {
      if (first.times[k] - first.times[k - 1] > 1.5 * first.period) continue;
      const [one, two] = [place(first, k - 1), place(first, k)];
      this.stroke(pen, [[one.x, one.y], [two.x, two.y]], ramp(two.speed / this.fastest), 3.2 * unit);
    }
  }

  stroke(pen, points, ink, width) {
    pen.strokeStyle = ink;
    pen.lineWidth = width;
    pen.beginPath();
    points.forEach(([x, y], i) => pen[i ? "lineTo" : "moveTo"](...this.at(x, y)));
    pen.stroke();
  }

  draw() {
    if (!this.base) return;
    const { road } = this.part, pen = road.getContext("2d");
    pen.clearRect(0, 0, road.width, road.height);
    pen.drawImage(this.base, 0, 0);
    const cars = [...this.films].map(([id, film]) => {
      const [from, to] = this.span(film), time = from + Math.min(this.time, to - from);
      return { id, film, time, from, pose: poseAt(film, time), isDone: this.time >= to - from };
    });
    if (cars.length) this.drawThings(pen, cars[0]);
    for (const one of cars.slice().reverse()) this.drawTrail(pen, one);
    for (const one of cars.slice().reverse()) this.drawCar(pen, one, cars.length);
    this.drawClock(cars);
  }

  drawThings(pen, { film, pose }) {
    const { sizes, colours, is_moving: isMoving } = film.objects;
    const base = isMoving ? 3 * sizes.length * pose.step : 0;
    sizes.forEach(([length, width], k) => {
      const at = base + 3 * k, raw = film.things;
      const [x, y, yaw] = [raw[at] * film.unit, raw[at + 1] * film.unit, raw[at + 2] * ANGLE];
      this.block(pen, x, y, yaw, length, width, colours[k] || this.ink.soft);
    });
  }

  drawTrail(pen, { id, film, time, from, pose }) {
    pen.globalAlpha = 0.55;
    for (let k = pose.step; k > 0 && film.times[k] > Math.max(time - 1.2, from); k--) {
      if (film.times[k] - film.times[k - 1] > 1.5 * film.period) break;
      const [one, two] = [place(film, k - 1), k === pose.step ? pose : place(film, k)];
      this.stroke(pen, [[one.x, one.y], [two.x, two.y]], this.inks.get(id), 2 * this.part.road.ratio);
    }
    pen.globalAlpha = 1;
  }

  block(pen, x, y, yaw, length, width, ink, least = 0) {
    const grow = Math.max(1, least / (length * this.scale));
    const [long, wide] = [length * this.scale * grow, width * this.scale * grow];
    pen.save();
    pen.translate(...this.at(x, y));
    pen.rotate(-yaw - (this.isTurned ? Math.PI / 2 : 0));
    pen.fillStyle = ink;
    pen.strokeStyle = this.ink.ink;
    pen.lineWidth = this.part.road.ratio;
    pen.beginPath();
    pen.roundRect(-long / 2, -wide / 2, long, wide, wide / 4);
    pen.fill();
    pen.stroke();
    pen.restore();
    return [long, wide];
  }

  drawCar(pen, { id, pose }, count) {
    const [length, width] = this.data.size, unit = this.part.road.ratio;
    if (pose.isWaiting) pen.globalAlpha = 0.4;
    const [long, wide] = this.block(pen, pose.x, pose.y, pose.yaw, length, width, this.inks.get(id), 20 * unit);
    pen.save();
    pen.translate(...this.at(pose.x, pose.y));
    pen.rotate(-pose.yaw - (this.isTurned ? Math.PI / 2 : 0));
    pen.fillStyle = "rgba(0,0,0,.55)";
    pen.fillRect(long * 0.08, -wide * 0.32, long * 0.2, wide * 0.64);
    pen.restore();
    pen.globalAlpha = 1;
    if (count > 6) return;
    const car = this.data.cars.find((one) => one.id === id), [x, y] = this.at(pose.x, pose.y);
    const name = car.name.length > 16 ? `${car.name.slice(0, 15)}…` : car.name;
    pen.font = `600 ${11 * unit}px system-ui, sans-serif`;
    const room = pen.measureText(name).width;
    const left = Math.min(Math.max(x - room / 2, 4 * unit), this.part.road.width - room - 4 * unit);
    pen.lineWidth = 3 * unit;
    pen.strokeStyle = this.ink.road;
    pen.lineJoin = "round";
    pen.strokeText(name, left, y - wide * 0.5 - 8 * unit);
    pen.fillStyle = this.ink.ink;
    pen.fillText(name, left, y - wide * 0.5 - 8 * unit);
  }

  drawClock(cars) {
    for (const { id, film, time, pose, isDone } of cars) {
      const line = this.lines.find((one) => one.car.id === id);
      const lap = film.laps.filter((end) => end <= time).length + 1;
      const end = film.ending === "laps_complete" ? "finished" : film.ending.replaceAll("_", " ");
      line.told.textContent = isDone ? (pose.isOver ? end : "lap done")
        : pose.isWaiting ? "put back" : `lap ${lap} · ${pose.speed.toFixed(1)} m/s`;
    }
    const { chart } = this.part, pen = chart.getContext("2d");
    pen.clearRect(0, 0, chart.width, chart.height);
    if (this.curves) pen.drawImage(this.curves, 0, 0);
    const x = this.time / this.length * chart.width;
    pen.fillStyle = this.ink.ink;
    pen.fillRect(Math.min(x, chart.width - 1.5 * chart.ratio), 0, 1.5 * chart.ratio, chart.height);
  }

  paintChart() {
    const { chart } = this.part, unit = chart.ratio;
    this.curves = document.createElement("canvas");
    [this.curves.width, this.curves.height] = [chart.width, chart.height];
    const pen = this.curves.getContext("2d");
    const up = (speed) => chart.height - 3 * unit - speed / this.fastest * (chart.height - 8 * unit);
    pen.fillStyle = this.ink.rule;
    for (let speed = 0; speed <= this.fastest; speed++) pen.fillRect(0, up(speed), chart.width, unit);
    for (const [id, film] of [...this.films].reverse()) {
      const [from, to] = this.span(film);
      pen.strokeStyle = this.inks.get(id);
      pen.lineWidth = 1.7 * unit;
      pen.lineJoin = "round";
      pen.beginPath();
      for (let k = stepAt(film, from); k < film.steps && film.times[k] <= to; k++) {
        const x = (film.times[k] - from) / this.length * chart.width;
        const isGap = k && film.times[k] - film.times[k - 1] > 1.5 * film.period;
        pen[isGap ? "moveTo" : "lineTo"](x, up(place(film, k).speed));
      }
      pen.stroke();
    }
    pen.fillStyle = this.ink.soft;
    pen.font = `${10 * unit}px system-ui, sans-serif`;
    pen.textAlign = "right";
    pen.fillText("m/s", chart.width - 3 * unit, chart.height - 6 * unit);
  }
}

const races = document.getElementById("races");
if (races) window.racerScreen = new Screen(JSON.parse(races.textContent));
