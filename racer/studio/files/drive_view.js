// The view of a person's race: sends what is held over a websocket, and draws the states that come
// back 15 times a second, with poses between them, at the browser's own frame rate.
import { BoxMesh, CarMesh, ChaseCamera, makeRoad, makeStage } from "racer-drive-scene";
import { THREE } from "nicegui-scene";

const PERIOD_MS = 1000 / 15;
const KEYS = {
  ArrowLeft: "left", KeyA: "left", ArrowRight: "right", KeyD: "right",
  ArrowUp: "throttle", KeyW: "throttle", ArrowDown: "brake", KeyS: "brake", Space: "brake",
};
const STICK_DEAD = 0.08, TRIGGER_DEAD = 0.04;
const NOTICE_MS = 2500;
const SMOOTH_S = 1 / 60, SLOW_S = 1 / 40, LEAST_PIXELS = 0.4;  // time of a frame [s], pixels for each CSS pixel
const GHOSTS = [[[86, 180, 233], [245, 245, 245]], [[230, 159, 0], [40, 40, 40]],
  [[204, 121, 167], [245, 245, 245]], [[0, 158, 115], [245, 245, 245]]];

const seconds = (value) => (value === null || value === undefined ? "-" : value.toFixed(2));
const signed = (value) => `${value < 0 ? "-" : "+"}${Math.abs(value).toFixed(2)}`;

export default {
  template: `
    <div class="drive-view">
      <div ref="stage" class="drive-stage" tabindex="0" role="application"
           aria-label="race: arrow keys or WASD drive, space brakes, P pauses, R restarts">
        <canvas ref="canvas"></canvas>
        <div class="drive-hud" v-show="scene">
          <div class="drive-times">
            <div class="drive-lap"><b>{{ lapText }}</b><span v-if="placeText">{{ placeText }}</span></div>
            <div class="drive-clock">{{ clock }}</div>
            <div>last {{ last }}</div><div>best {{ best }}</div>
            <div v-if="limit">limit {{ limit }}</div>
            <div v-if="resets">put back {{ resets }}</div>
            <ol v-if="standing.length" class="drive-standing">
              <li v-for="one in standing" :key="one.number">
                <button type="button" :class="{ 'is-me': one.isMe }" @click="follow(one.number)">
                  <i :style="{ background: one.colour }"></i>{{ one.name }} <small>{{ one.laps }}</small>
                </button>
              </li>
            </ol>
          </div>
          <div v-if="delta" class="drive-delta" :class="deltaClass">{{ delta }}</div>
          <div class="drive-speed"><b>{{ speed }}</b> m/s</div>
          <canvas ref="map" class="drive-map" width="220" height="220"></canvas>
        </div>
        <div class="drive-notice" role="status" v-show="notice">{{ notice }}</div>
        <div class="drive-touch" v-show="scene && isTouch">
          <button v-for="pad in pads" :key="pad.key" type="button" :aria-label="pad.key"
                  @pointerdown.prevent="touch(pad.key, true)" @pointerup="touch(pad.key, false)"
                  @pointerleave="touch(pad.key, false)" @contextmenu.prevent>{{ pad.sign }}</button>
        </div>
      </div>
    </div>`,
  props: { watches: { type: Boolean, default: false } },
  data() {
    return {
      scene: null, lapText: "", placeText: "", clock: "", last: "-", best: "-", limit: "", resets: 0,
      standing: [], delta: "", deltaClass: "", speed: "0.0", notice: "", isTouch: false,
      pads: [{ key: "left", sign: "\u25C0" }, { key: "right", sign: "\u25B6" },
        { key: "brake", sign: "\u25BC" }, { key: "throttle", sign: "\u25B2" }],
    };
  },
  mounted() {
    this.held = new Set();
    this.sent = "";
    // What tests and measurements ask for: `drawn` is x, y and steering in the last picture.
    this.stats = window.driveStats = { frames: 0, states: 0, state: null, drawn: null };
    const canvas = this.$refs.canvas;
    try {
      this.renderer = Vue.markRaw(new THREE.WebGLRenderer({ canvas, antialias: true }));
    } catch {
      this.notice = "this browser has no WebGL, which draws the race";
      return;
    }
    this.pixels = Math.min(window.devicePixelRatio || 1, 2);
    this.chase = Vue.markRaw(new ChaseCamera());
    this.isTouch = window.matchMedia("(pointer: coarse)").matches;
    const stage = this.$refs.stage;
    stage.addEventListener("keydown", (event) => this.key(event, true));
    stage.addEventListener("keyup", (event) => this.key(event, false));
    stage.addEventListener("blur", () => { this.held.clear(); this.tell(); });
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(stage);
    this.resize();
    this.frame = requestAnimationFrame((now) => this.draw(now));
  },
  unmounted() {
    cancelAnimationFrame(this.frame);
    this.observer?.disconnect();
    this.socket?.close();
    this.renderer?.dispose();
  },
  methods: {
    start(token) {
      this.socket?.close();
      const url = new URL(`${window.path_prefix || ""}/drive/socket/${token}`, window.location.href);
      url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
      const socket = new WebSocket(url);
      this.socket = Vue.markRaw(socket);
      this.sent = "";
      this.over = false;
      this.notice = "getting ready ...";
      socket.onmessage = (event) => this.take(JSON.parse(event.data), socket);
      socket.onclose = () => {
        if (this.socket !== socket) return;
        if (!this.over && this.scene) this.notice = "the connection is lost; completed laps are stored";
        this.$emit("left", {});
      };
      this.$refs.stage.focus({ preventScroll: true });
      this.$refs.stage.scrollIntoView({ block: "nearest" });
    },
    ask(what) {
      if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ ask: what }));
      this.$refs.stage.focus({ preventScroll: true });
    },
    follow(car) {
      if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ ask: "follow", car }));
    },
    take(message, socket) {
      if (this.socket !== socket) return;
      const now = performance.now();
      if (message.type === "state") {
        this.show(message, now);
      } else if (message.type === "scene") {
        this.build(message);
        this.notice = this.watches ? "" : "press \u2191 or W to start";
        this.tell(true);
      } else if (message.type === "wait") {
        this.notice = message.text;
      } else if (message.type === "paused") {
        this.notice = message.is_paused ? "paused: P goes on" : "press \u2191 or W to go on";
        this.isPaused = message.is_paused;
      } else if (message.type === "error") {
        this.notice = message.text;
        this.over = true;
      } else if (message.type === "end") {
        this.over = true;
        this.notice = [message.ending, message.summary, this.watches ? "" : message.file ? "stored" : "not stored: no lap",
          message.verdict && `simulated again: ${message.verdict}`, this.watches ? "R races again" : "R drives again"].filter(Boolean).join(" \u00B7 ");
        this.$emit("ended", message);
      }
    },
    build(scene) {
      const stage = makeStage();
      stage.add(makeRoad(scene.road));
      const { own } = scene;
      const car = (colours, isGhost) => {
        const made = new CarMesh(scene.car, own, colours, isGhost);
        made.addTo(stage);
        return made;
      };
      const bodies = {
        cars: scene.cars.map((one) => car(one.livery)),
        ghosts: scene.ghosts.map((_, k) => car(GHOSTS[k % GHOSTS.length], true)),
        boxes: scene.boxes.sizes.map((size, k) => {
          if (scene.boxes.liveries) return car(scene.boxes.liveries[k]);
          const box = new BoxMesh(size);
          box.addTo(stage);
          return box;
        }),
      };
      this.world = Vue.markRaw({ stage, bodies, ghosts: scene.ghosts, road: scene.road });
      this.scene = { laps: scene.laps, cars: scene.cars };
      this.limit = scene.limit ? seconds(scene.limit) : "";
      this.from = this.to = null;
      this.over = false;
      this.bestShown = null;
      this.chase.jump();
      this.mapView = Vue.markRaw(mapOf(scene.road, this.$refs.map));
      this.show(scene.state, performance.now());
    },
    show(state, now) {
      const isJump = !this.to || Boolean(state.fault) || state.step < this.to.step || state.me !== this.to.me;
      this.from = Vue.markRaw(isJump ? state : this.to);
      this.to = Vue.markRaw(state);
      this.arrived = now;
      this.stats.states += 1;
      this.stats.state = state;
      if (isJump) this.chase.jump();
      this.lapText = `lap ${Math.min(state.lap + 1, this.scene.laps)}/${this.scene.laps}`;
      const { cars } = this.scene, isRace = cars.length > 1;
      this.placeText = isRace ? `P${state.order.indexOf(state.me) + 1}/${cars.length}` : "";
      this.standing = isRace ? state.order.map((k) => ({
        number: k, name: cars[k].name, colour: cars[k].colour, laps: state.laps[k], isMe: k === state.me })) : [];
      this.last = seconds(state.lap_times.at(-1));
      this.best = state.lap_times.length ? seconds(Math.min(...state.lap_times)) : "-";
      this.resets = state.resets;
      this.speed = state.speed.toFixed(1);
      this.delta = state.delta === null ? "" : signed(state.delta);
      this.deltaClass = state.delta < 0 ? "is-ahead" : "is-behind";
      if (state.fault) this.tellFor(`${state.fault}: put back with a penalty`, now);
      else if (state.waits) this.tellFor("waiting for the penalty to end", now);
      else if (state.step > 0 && state.lap > (this.lapsSeen || 0)) this.tellFor(`lap ${state.lap}: ${this.last} s`, now);
      else if (this.noticeUntil && now > this.noticeUntil) { this.notice = ""; this.noticeUntil = 0; }
      else if (state.step === 1 || (state.step > 0 && /^press/.test(this.notice))) this.notice = "";
      this.lapsSeen = state.lap;
    },
    tellFor(text, now) {
      this.notice = text;
      this.noticeUntil = now + NOTICE_MS;
    },
    draw(now) {
      this.frame = requestAnimationFrame((next) => this.draw(next));
      const passed = Math.min((now - (this.drawnAt || now)) / 1000, 0.1);
      this.drawnAt = now;
      this.pad();
      if (!this.world) return;
      const { stage, bodies, ghosts } = this.world, { from, to } = this;
      const share = Math.min(Math.max((performance.now() - this.arrived) / PERIOD_MS, 0), 1);
      const me = bodies.cars[to.me];
      bodies.cars.forEach((mesh, k) => {
        if (to.cars[k]) mesh.place(near(from.cars[k], to.cars[k]), to.cars[k], share);
        else mesh.hide();
      });
      bodies.boxes.forEach((mesh, k) => mesh.place(from.boxes[k], to.boxes[k], share));
      const time = from.time + (to.time - from.time) * share;
      ghosts.forEach((ghost, k) => placeGhost(bodies.ghosts[k], ghost, time));
      const lapTime = to.lap === from.lap ? from.lap_time + (to.lap_time - from.lap_time) * share : to.lap_time;
      this.clock = this.over && to.lap >= this.scene.laps ? seconds(to.lap_times.reduce((a, b) => a + b, 0)) : seconds(Math.max(lapTime, 0));
      this.chase.follow(me, passed);
      this.renderer.render(stage, this.chase.camera);
      this.mapView.draw(bodies, to.me, this.scene.cars);
      this.stats.frames += 1;
      this.stats.drawn = [me.group.position.x, me.group.position.y, me.wheels[0].rotation.z];
      this.adapt(passed);
    },
    // Draw fewer pixels where the machine cannot keep up, as without a graphics card.
    adapt(passed) {
      this.slow = 0.95 * (this.slow ?? SMOOTH_S) + 0.05 * passed;
      this.framesAsNow = (this.framesAsNow || 0) + 1;
      if (this.framesAsNow < 30 || this.slow < SLOW_S || this.pixels <= LEAST_PIXELS) return;
      this.pixels = Math.max(this.pixels * 0.75, LEAST_PIXELS);
      this.framesAsNow = 0;
      this.resize();
    },
    resize() {
      const { clientWidth, clientHeight } = this.$refs.stage;
      if (!clientWidth || !this.renderer) return;
      this.renderer.setPixelRatio(this.pixels);
      this.renderer.setSize(clientWidth, clientHeight, false);
      this.chase.resize(clientWidth, clientHeight);
    },
    key(event, isDown) {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      const name = KEYS[event.code];
      if (name) {
        event.preventDefault();
        if (event.repeat) return;
        this.touch(name, isDown, event.code);
      } else if (isDown && !event.repeat && event.code === "KeyR") this.ask("restart");
      else if (isDown && !event.repeat && event.code === "KeyP") this.ask("pause");
    },
    touch(name, isDown, code = "touch") {
      const word = `${name} ${code}`;
      if (isDown) this.held.add(word);
      else this.held.delete(word);
      this.tell();
    },
    // Read a gamepad: the left stick steers, the right trigger drives, the left one brakes.
    pad() {
      const pad = [...(navigator.getGamepads?.() || [])].find((one) => one && one.connected);
      if (!pad) {
        if (this.stick) { this.stick = null; this.tell(); }
        return;
      }
      const clear = (value, dead) => (Math.abs(value) < dead ? 0 : value);
      const axis = clear(pad.axes[0] || 0, STICK_DEAD);
      this.stick = {
        wheel: -Math.sign(axis) * Math.abs(axis) ** 1.4,
        throttle: clear(pad.buttons[7]?.value || Number(pad.buttons[0]?.pressed), TRIGGER_DEAD),
        brake: clear(pad.buttons[6]?.value || Number(pad.buttons[1]?.pressed), TRIGGER_DEAD),
      };
      const isMenu = Boolean(pad.buttons[9]?.pressed);
      if (isMenu && !this.wasMenu) this.ask(this.over ? "restart" : "pause");
      this.wasMenu = isMenu;
      this.tell();
    },
    tell(isForced = false) {
      if (this.socket?.readyState !== WebSocket.OPEN) return;
      const has = (name) => [...this.held].some((one) => one.startsWith(`${name} `));
      const { stick } = this, [left, right] = [has("left"), has("right")];
      const held = {
        left, right,
        gas: has("throttle"),
        throttle: stick?.throttle || 0,
        brake: has("brake") ? 1 : stick?.brake || 0,
        wheel: stick && !left && !right ? Number(stick.wheel.toFixed(3)) : null,
      };
      const text = JSON.stringify({ held });
      if (text === this.sent && !isForced) return;
      this.sent = text;
      this.socket.send(text);
    },
  },
};

// The pose before, unless the car was put elsewhere since.
function near(from, to) {
  return from && Math.hypot(from[0] - to[0], from[1] - to[1]) < 0.6 ? from : to;
}

function placeGhost(mesh, ghost, time) {
  const { time: times, pose } = ghost, last = times.length - 1;
  if (time >= times[last]) {
    mesh.hide();
    return;
  }
  let k = Math.min(mesh.step || 0, last - 1);
  if (times[k] > time) k = 0;
  while (k < last - 1 && times[k + 1] <= time) k += 1;
  mesh.step = k;
  // A penalty makes the clock jump, and the car with it: the last period of the jump is driven.
  const gap = times[k + 1] - times[k], drives = Math.min(gap, PERIOD_MS / 1000);
  const share = Math.max((time - (times[k + 1] - drives)) / Math.max(drives, 1e-6), 0);
  const far = Math.hypot(pose[k + 1][0] - pose[k][0], pose[k + 1][1] - pose[k][1]) > 0.6;
  mesh.place(pose[k], pose[k + 1], far ? Math.round(share) : share);
}

// The road from above in a corner, with a dot for each car.
function mapOf(road, canvas) {
  const points = [...road.left, ...road.right];
  const [xs, ys] = [points.map((one) => one[0]), points.map((one) => one[1])];
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const scale = (canvas.width - 24) / Math.max(x1 - x0, y1 - y0);
  const place = ([x, y]) => [
    canvas.width / 2 + (x - (x0 + x1) / 2) * scale, canvas.height / 2 - (y - (y0 + y1) / 2) * scale];
  const path = new Path2D();
  road.centre.forEach((one, k) => path[k ? "lineTo" : "moveTo"](...place(one)));
  path.closePath();
  const brush = canvas.getContext("2d");
  const dot = (mesh, colour, size) => {
    if (!mesh.group.visible) return;
    const { x, y } = mesh.group.position;
    brush.fillStyle = colour;
    brush.beginPath();
    brush.arc(...place([x, y]), size, 0, 7);
    brush.fill();
  };
  return {
    draw(bodies, me, cars) {
      brush.clearRect(0, 0, canvas.width, canvas.height);
      brush.lineJoin = "round";
      brush.strokeStyle = "rgba(15, 20, 28, 0.75)";
      brush.lineWidth = Math.max(road.width * scale, 9);
      brush.stroke(path);
      brush.strokeStyle = "rgba(255, 255, 255, 0.85)";
      brush.lineWidth = 2;
      brush.stroke(path);
      bodies.boxes.forEach((mesh) => dot(mesh, "#c89a6a", 5));
      bodies.ghosts.forEach((mesh) => dot(mesh, "#8fd0ff", 6));
      bodies.cars.forEach((mesh, k) => { if (k !== me) dot(mesh, cars[k].colour, 6); });
      dot(bodies.cars[me], cars[me].colour, 8);
    },
  };
}
