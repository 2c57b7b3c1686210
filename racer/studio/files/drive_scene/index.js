// The road, the cars and what stands on the road as three.js meshes: x forward, y left, z up, in
// metres, as in racer. Nothing here knows of the network or of the person.
import { THREE } from "nicegui-scene";

const ASPHALT = [56, 58, 63], WHITE = [240, 240, 236], AMBER = [250, 170, 28];
const GRASS = [66, 122, 58], GRASS_STRIPE = [72, 131, 63], SKY = [158, 196, 230];
const RED = [206, 44, 40], BOX = [176, 128, 82];
const WALL_HEIGHT = 0.3, WALL_STRIPE = 0.5, KERB_WIDTH = 0.07, KERB_STRIPE = 0.14;
const KERB_BEND = 0.35;  // curvature from which a bend has a kerb [1/m]
// Widths of lines and lengths of dashes are shares of the road's width, as on the cars' cameras.
const BORDER_SHARE = 0.055, CENTRE_SHARE = 0.035, DASH_SHARE = 0.25, SQUARE_SHARE = 0.09;

function colourOf(rgb) {
  return new THREE.Color().setRGB(rgb[0] / 255, rgb[1] / 255, rgb[2] / 255, THREE.SRGBColorSpace);
}

// Collects coloured quadrilaterals and becomes one mesh.
class Quads {
  constructor() {
    this.places = [];
    this.colours = [];
  }

  add(corners, rgb) {
    const { r, g, b } = colourOf(rgb);
    for (const k of [0, 1, 2, 0, 2, 3]) {
      this.places.push(...corners[k]);
      this.colours.push(r, g, b);
    }
  }

  geometry() {
    const made = new THREE.BufferGeometry();
    made.setAttribute("position", new THREE.Float32BufferAttribute(this.places, 3));
    made.setAttribute("color", new THREE.Float32BufferAttribute(this.colours, 3));
    made.computeVertexNormals();
    return made;
  }

  // A mesh on the ground that light does not change. Layers are painted in their order, the first
  // below all: they lie in one plane, where depths would not tell them apart.
  flat(order) {
    const paint = new THREE.MeshBasicMaterial({
      vertexColors: true, side: THREE.DoubleSide, depthTest: false, depthWrite: false,
    });
    const mesh = new THREE.Mesh(this.geometry(), paint);
    mesh.renderOrder = order;
    return mesh;
  }
}

const mix = (a, b, share) => a.map((one, k) => one + (b[k] - one) * share);
const at = (ring, k) => ring[(k + ring.length) % ring.length];
const apart = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
const up = (point, z) => [point[0], point[1], z];

// Points of a ring at equal distances, each with the share of the ring that it stands for.
function resampled(rings, spacing) {
  const [first] = rings;
  const along = [0];
  first.forEach((point, k) => along.push(along[k] + apart(point, at(first, k + 1))));
  const length = along[along.length - 1], count = Math.max(2 * Math.round(length / spacing / 2), 8);
  const found = rings.map(() => []);
  let k = 0;
  for (let i = 0; i < count; i += 1) {
    const s = (i / count) * length;
    while (along[k + 1] <= s) k += 1;
    const share = (s - along[k]) / Math.max(along[k + 1] - along[k], 1e-9);
    rings.forEach((ring, j) => found[j].push(mix(ring[k], at(ring, k + 1), share)));
  }
  return found;
}

function bendAt(line, k, reach = 3) {
  const [a, b, c] = [at(line, k - reach), line[k], at(line, k + reach)];
  const turn = (b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0]);
  return (2 * turn) / Math.max(apart(a, b) * apart(b, c) * apart(a, c), 1e-9);
}

export function makeRoad(road) {
  const group = new THREE.Group();
  const { left, right, centre, width } = road;
  const ground = new Quads(), reach = 400, step = 1.6;
  const asphalt = new Quads(), lines = new Quads(), kerbs = new Quads();
  ground.add([[-reach, -reach, 0], [reach, -reach, 0], [reach, reach, 0], [-reach, reach, 0]], GRASS);
  const xs = [...left, ...right].map((one) => one[0]), ys = [...left, ...right].map((one) => one[1]);
  const [x0, x1] = [Math.min(...xs) - 6, Math.max(...xs) + 6], [y0, y1] = [Math.min(...ys) - 6, Math.max(...ys) + 6];
  for (let x = x0; x < x1; x += 2 * step) {
    ground.add([[x, y0, 0], [x + step, y0, 0], [x + step, y1, 0], [x, y1, 0]], GRASS_STRIPE);
  }
  const line = BORDER_SHARE * width;
  left.forEach((point, k) => {
    const [a, b, c, d] = [point, at(left, k + 1), at(right, k + 1), right[k]];
    asphalt.add([up(a, 0), up(b, 0), up(c, 0), up(d, 0)], ASPHALT);
    const [wide, far] = [line / Math.max(apart(a, d), 1e-9), line / Math.max(apart(b, c), 1e-9)];
    lines.add([up(a, 0), up(b, 0), up(mix(b, c, far), 0), up(mix(a, d, wide), 0)], WHITE);
    lines.add([up(d, 0), up(c, 0), up(mix(c, b, far), 0), up(mix(d, a, wide), 0)], WHITE);
  });
  const dash = DASH_SHARE * width;
  const [middle, beside] = resampled([centre, left], dash / 3);
  middle.forEach((point, k) => {
    if (k % 6 > 2) return;
    const [next, there] = [at(middle, k + 1), at(beside, k + 1)];
    const half = (CENTRE_SHARE * width) / 2;
    const [a, b] = [half / Math.max(apart(point, beside[k]), 1e-9), half / Math.max(apart(next, there), 1e-9)];
    lines.add([up(mix(point, beside[k], a), 0), up(mix(next, there, b), 0),
      up(mix(next, there, -b), 0), up(mix(point, beside[k], -a), 0)], AMBER);
  });
  for (const [near, far, side] of [[left, right, 1], [right, left, -1]]) {
    const [mine, other, spine] = resampled([near, far, centre], KERB_STRIPE);
    mine.forEach((point, k) => {
      if (road.walls || side * bendAt(spine, k) < KERB_BEND) return;
      const [next, across, there] = [at(mine, k + 1), other[k], at(other, k + 1)];
      const [a, b] = [-KERB_WIDTH / Math.max(apart(point, across), 1e-9), -KERB_WIDTH / Math.max(apart(next, there), 1e-9)];
      kerbs.add([up(point, 0), up(next, 0), up(mix(next, there, b), 0), up(mix(point, across, a), 0)],
        k % 2 ? RED : WHITE);
    });
  }
  addStart(lines, left[0], right[0], centre, width);
  group.add(ground.flat(-4), kerbs.flat(-3), asphalt.flat(-2), lines.flat(-1));
  if (road.walls) group.add(makeWalls([left, right]));
  return group;
}

function addStart(lines, left, right, centre, width) {
  const square = SQUARE_SHARE * width, count = Math.max(2 * Math.round(apart(left, right) / square / 2), 4);
  const ahead = [centre[1][0] - centre[0][0], centre[1][1] - centre[0][1]];
  const far = Math.hypot(...ahead), way = ahead.map((one) => (one / far) * square);
  for (let row = -1; row < 1; row += 1) {
    for (let k = 0; k < count; k += 1) {
      const [a, b] = [mix(left, right, k / count), mix(left, right, (k + 1) / count)];
      const lift = ([x, y], n) => [x + n * way[0], y + n * way[1], 0];
      lines.add([lift(a, row), lift(b, row), lift(b, row + 1), lift(a, row + 1)],
        (k + row) % 2 ? [24, 26, 30] : WHITE);
    }
  }
}

function makeWalls(rings) {
  const quads = new Quads();
  for (const ring of rings) {
    const [points] = resampled([ring], WALL_STRIPE);
    points.forEach((point, k) => {
      const next = at(points, k + 1);
      quads.add([up(point, 0), up(next, 0), up(next, WALL_HEIGHT), up(point, WALL_HEIGHT)], k % 2 ? RED : WHITE);
    });
  }
  const paint = new THREE.MeshLambertMaterial({ vertexColors: true, side: THREE.DoubleSide });
  return new THREE.Mesh(quads.geometry(), paint);
}

// A car of the model's faces; the model's own livery is replaced by the given one.
export class CarMesh {
  constructor(model, own, livery, isGhost = false) {
    const paint = new Map([[String(own[0]), livery[0]], [String(own[1]), livery[1]]]);
    this.group = new THREE.Group();
    const material = new THREE.MeshLambertMaterial({
      vertexColors: true, side: THREE.DoubleSide, transparent: isGhost, opacity: isGhost ? 0.4 : 1,
    });
    const parts = [new Quads(), ...model.steered.map(() => new Quads())];
    model.faces.forEach((corners, k) => {
      const wheel = model.steered.findIndex(([first, last]) => k >= first && k < last);
      const hub = wheel < 0 ? [0, 0, 0] : model.hubs[wheel];
      const moved = corners.map((one) => one.map((value, axis) => value - hub[axis]));
      parts[wheel + 1].add(moved, paint.get(String(model.colours[k])) || model.colours[k]);
    });
    const meshes = parts.map((quads) => new THREE.Mesh(quads.geometry(), material));
    this.wheels = meshes.slice(1);
    this.wheels.forEach((mesh, k) => mesh.position.set(...model.hubs[k]));
    this.group.add(...meshes);
    this.shadow = new THREE.Mesh(
      new THREE.PlaneGeometry(model.length * 1.05, model.length * 0.66),
      new THREE.MeshBasicMaterial({ color: 0, transparent: true, opacity: 0.35, depthWrite: false }),
    );
    this.hasShadow = !isGhost;
  }

  addTo(scene) {
    scene.add(this.group, this.shadow);
  }

  // Put the car between two poses: x y z, quaternion x y z w, angle of the front wheels.
  place(from, to, share) {
    this.group.visible = true;
    this.shadow.visible = this.hasShadow;
    const values = mix(from, to, share);
    this.group.position.set(...values.slice(0, 3));
    this.group.quaternion.fromArray(from, 3).slerp(new THREE.Quaternion().fromArray(to, 3), share);
    this.wheels.forEach((mesh) => { mesh.rotation.z = values[7] || 0; });
    this.shadow.position.set(values[0], values[1], 0.006);
    this.shadow.rotation.z = yawOf(this.group.quaternion);
  }

  hide() {
    this.group.visible = this.shadow.visible = false;
  }
}

export function yawOf(q) {
  return Math.atan2(2 * (q.x * q.y + q.z * q.w), 1 - 2 * (q.y * q.y + q.z * q.z));
}

export class BoxMesh {
  constructor(size) {
    this.group = new THREE.Mesh(
      new THREE.BoxGeometry(...size), new THREE.MeshLambertMaterial({ color: colourOf(BOX) }),
    );
  }

  addTo(scene) {
    scene.add(this.group);
  }

  place(from, to, share) {
    this.group.position.set(...mix(from, to, share).slice(0, 3));
    this.group.quaternion.fromArray(to, 3);
  }
}

export function makeStage() {
  const scene = new THREE.Scene();
  scene.background = colourOf(SKY);
  scene.fog = new THREE.Fog(colourOf(SKY), 18, 70);
  const sun = new THREE.DirectionalLight(0xffffff, 1.7);
  sun.position.set(3.5, 4.5, 8.2);
  scene.add(new THREE.HemisphereLight(0xffffff, 0xb8c0b0, 2.3), sun);
  return scene;
}

// Follows a car from behind and above; its heading lags a little behind the car's.
export class ChaseCamera {
  constructor() {
    this.camera = new THREE.PerspectiveCamera(52, 1, 0.05, 500);
    this.camera.up.set(0, 0, 1);
    this.yaw = null;
  }

  jump() {
    this.yaw = null;
  }

  follow(car, seconds) {
    const heading = yawOf(car.group.quaternion), { x, y } = car.group.position;
    if (this.yaw === null) this.yaw = heading;
    const away = Math.atan2(Math.sin(heading - this.yaw), Math.cos(heading - this.yaw));
    this.yaw += away * (1 - Math.exp(-seconds / 0.12));
    const [cos, sin] = [Math.cos(this.yaw), Math.sin(this.yaw)];
    this.camera.position.set(x - 0.85 * cos, y - 0.85 * sin, 0.43);
    this.camera.lookAt(x + 0.9 * cos, y + 0.9 * sin, 0);
  }

  resize(width, height) {
    this.camera.aspect = width / height;
    this.camera.fov = width < height ? 68 : 52;
    this.camera.updateProjectionMatrix();
  }
}
