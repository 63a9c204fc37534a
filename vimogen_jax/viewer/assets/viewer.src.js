/*!
 * The page's viewer: plays motions of one skinned mesh side by side on one clock.
 *
 * viewer.js is made of this file and of three.js, which is
 * Copyright © 2010-2026 three.js authors, under the MIT License:
 *
 * Permission is hereby granted, free of charge, to any person obtaining a copy of this software
 * and associated documentation files (the "Software"), to deal in the Software without
 * restriction, including without limitation the rights to use, copy, modify, merge, publish,
 * distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
 * Software is furnished to do so, subject to the following conditions:
 *
 * The above copyright notice and this permission notice shall be included in all copies or
 * substantial portions of the Software.
 *
 * THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING
 * BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
 * NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
 * DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
 * OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
 */

// Rebuild at the top of the repository, whose package-lock.json pins both: npm ci && npm run build

import {
  Bone,
  BufferAttribute,
  BufferGeometry,
  Color,
  DataTexture,
  DirectionalLight,
  Fog,
  Group,
  HemisphereLight,
  Line,
  LineBasicMaterial,
  LinearMipmapLinearFilter,
  Matrix4,
  Mesh,
  MeshLambertMaterial,
  MeshStandardMaterial,
  PerspectiveCamera,
  PlaneGeometry,
  Points,
  PointsMaterial,
  Quaternion,
  RepeatWrapping,
  SRGBColorSpace,
  Scene,
  Skeleton,
  SkeletonHelper,
  SkinnedMesh,
  VSMShadowMap,
  Vector3,
  WebGLRenderer,
} from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";

// Of all scenes at once, light or dark as the browser is.
const BACKGROUND = new Color(0xe8eef7);
const DARK = matchMedia("(prefers-color-scheme: dark)");
const SUN = new Vector3(-1.6, -1.8, 4); // where the light stands as the camera first looks along +y
const UP = new Vector3(0, 0, 1);
const [FROM, TO] = [new Quaternion(), new Quaternion()];
const FLESH = "#c8612f";
const COLOURS = ["#d1591f", "#2f6fd0", "#2a9d5c", "#8e44c9", "#c9a227", "#c2387a", "#1d9bb0", "#6b6f7a"];
const MARK = new LineBasicMaterial({ color: 0xc2187a });
const SPOT = new PointsMaterial({ color: 0xc2187a, size: 0.08 });

/** Numbers of a typed array that the page holds in base64. */
function decode(type, text) {
  return new type(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
}

/** Quaternions from 16-bit integers. */
function unpack(text) {
  return Float32Array.from(decode(Int16Array, text), (x) => x / 32767);
}

/** The one mesh of all cards, at rest: see `pack` in body/mesh.py. */
function makeGeometry({ box: [low, high], vertices, faces, joints, shares }) {
  const steps = decode(Uint16Array, vertices);
  const position = Float32Array.from(steps, (x, i) => {
    return low[i % 3] + (x / 65535) * (high[i % 3] - low[i % 3]);
  });
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", new BufferAttribute(position, 3));
  geometry.setAttribute("skinIndex", new BufferAttribute(decode(Uint8Array, joints), 4));
  geometry.setAttribute("skinWeight", new BufferAttribute(decode(Uint16Array, shares), 4, true));
  geometry.setIndex(new BufferAttribute(decode(Uint16Array, faces), 1));
  geometry.computeVertexNormals();
  return geometry;
}

/** The body's joints at rest, the root first. */
function makeSkeleton({ rest, parents, held }) {
  const bones = rest.map(() => new Bone());
  bones.forEach((bone, j) => {
    bone.position.set(...rest[j]);
    if (j === 0) return;
    bone.position.sub(new Vector3(...rest[parents[j]]));
    bones[parents[j]].add(bone);
  });
  const first = bones.length - held.length;
  held.forEach((turn, j) => bones[first + j].quaternion.set(...turn));
  return new Skeleton(bones, rest.map(([x, y, z]) => new Matrix4().makeTranslation(-x, -y, -z)));
}

/** Tiles of half a metre over the 60 metres of the ground. */
function checker() {
  const [light, dark] = [[200, 208, 219, 255], [176, 186, 200, 255]];
  const texture = new DataTexture(new Uint8Array([light, dark, dark, light].flat()), 2, 2);
  texture.colorSpace = SRGBColorSpace;
  texture.wrapS = texture.wrapT = RepeatWrapping;
  texture.repeat.set(60, 60);
  texture.minFilter = LinearMipmapLinearFilter;
  texture.generateMipmaps = true;
  texture.anisotropy = 8;
  texture.needsUpdate = true;
  return texture;
}

/** A body that moves as `motion` says, which is what page.py's `_motion` makes. */
class Person {
  constructor(motion, body, shared) {
    this.fps = motion.fps;
    this.floor = motion.floor;
    this.rotations = unpack(motion.rotations); // [t 22 4]
    this.pelvis = decode(Float32Array, motion.pelvis); // [t 3]
    this.path = decode(Float32Array, motion.path); // [t 3]: what the camera follows
    this.frames = this.pelvis.length / 3;
    this.seconds = (this.frames - 1) / this.fps;
    this.place = new Vector3().fromArray(this.path);

    this.skeleton = makeSkeleton(body);
    this.flesh = shared.flesh.clone();
    this.mesh = new SkinnedMesh(shared.person, this.flesh);
    this.mesh.castShadow = true;
    this.mesh.frustumCulled = false; // its bounds are those of the rest pose
    this.mesh.add(this.skeleton.bones[0]);
    this.mesh.bind(this.skeleton, new Matrix4());
    this.bones = new SkeletonHelper(this.skeleton.bones[0]);
    this.group = new Group().add(this.mesh, ...makeMarks(motion.marks, motion.floor));
  }

  /** Its colour, and whether the bones are seen in it. */
  look(colour, bones) {
    this.flesh.color.set(colour);
    Object.assign(this.flesh, { transparent: bones, opacity: bones ? 0.35 : 1, needsUpdate: true });
    if (bones) this.group.add(this.bones);
    else this.group.remove(this.bones); // else they are brought up to date in every frame
  }

  /** Take the pose at `seconds`, and know its `place` then. */
  show(seconds) {
    const time = Math.min(Math.max(seconds, 0), this.seconds) * this.fps;
    const frame = Math.min(Math.floor(time + 1e-6), this.frames - 1);
    const next = Math.min(frame + 1, this.frames - 1);
    const share = Math.max(time - frame, 0);

    const { bones } = this.skeleton;
    const joints = this.rotations.length / this.frames / 4;
    for (let j = 0; j < joints; j++) {
      FROM.fromArray(this.rotations, 4 * (joints * frame + j));
      TO.fromArray(this.rotations, 4 * (joints * next + j));
      bones[j].quaternion.slerpQuaternions(FROM, TO, share);
    }
    between(bones[0].position, this.pelvis, frame, next, share);
    between(this.place, this.path, frame, next, share);
  }

  dispose() {
    this.skeleton.dispose();
    this.bones.dispose();
    this.flesh.dispose();
    for (const mark of this.group.children) if (mark !== this.mesh) mark.geometry.dispose();
  }
}

/** Set `point` between two rows of `points`. */
function between(point, points, frame, next, share) {
  const at = (row, k) => points[3 * row + k];
  const mix = (k) => at(frame, k) + share * (at(next, k) - at(frame, k));
  return point.set(mix(0), mix(1), mix(2));
}

/** What a motion was asked to meet: its path on the ground, and places in the air. */
function makeMarks(marks, floor) {
  if (!marks) return [];
  const geometry = (points) => new BufferGeometry().setFromPoints(points);
  const places = marks.places.map((place) => new Vector3(...place));
  return [
    ...marks.paths.map((path) => {
      const points = path.map(([x, y]) => new Vector3(x, y, floor + 0.01));
      return new Line(geometry(points), MARK);
    }),
    ...(places.length ? [new Points(geometry(places), SPOT)] : []),
  ];
}

/** A canvas with ground, light and a camera, before which people move. */
class Stage {
  /** `eye` is where the camera stands as seen from what it looks at; `reach` how far people go. */
  constructor(canvas, { eye, target, floor, reach = 0 }, shared) {
    this.canvas = canvas;
    this.context = canvas.getContext("bitmaprenderer");
    this.moved = new Vector3();
    this.eye = eye;

    const far = Math.max(1, eye.length() / 5);
    this.scene = new Scene();
    this.scene.background = BACKGROUND;
    this.scene.fog = new Fog(BACKGROUND, 9 * far, 22 * far);
    this.scene.fog.color = BACKGROUND;
    const sky = new HemisphereLight(0xffffff, 0xb9c0cc, 1.9);
    sky.position.copy(UP);
    this.sun = new DirectionalLight(0xffffff, 2.2);
    this.sun.castShadow = true;
    this.sun.shadow.mapSize.setScalar(512);
    this.sun.shadow.radius = 3;
    this.sun.shadow.bias = -0.002;
    const wide = 2 + reach;
    const box = { left: -wide, right: wide, top: wide, bottom: -wide, far: 12 + 2 * reach };
    Object.assign(this.sun.shadow.camera, box);
    this.towardsSun = SUN.clone().applyAxisAngle(UP, Math.atan2(eye.x, -eye.y));
    this.towardsSun.setLength(this.towardsSun.length() + reach);
    const ground = new Mesh(shared.ground, shared.tiles);
    ground.position.z = floor;
    ground.receiveShadow = true;
    this.scene.add(sky, this.sun, this.sun.target, ground);

    this.camera = new PerspectiveCamera(28, 1, 0.1, 60 * far);
    this.camera.up.copy(UP);
    this.controls = this.makeControls();
    this.controls.maxDistance = 12 * far;
    this.controls.target.copy(target);
    this.camera.position.copy(this.eye).add(target);
  }

  /** Look from where the view is at first, `turn` radians to the left of that, or from above. */
  lookFrom(turn, above) {
    const away = this.eye.clone().applyAxisAngle(UP, turn);
    if (above) away.setZ(0).setLength(0.001).setZ(this.eye.length());
    this.camera.position.copy(this.controls.target).add(away);
    this.controls.update();
  }

  /** Give back what the browser keeps for it. */
  dispose() {
    this.controls.dispose();
    this.sun.dispose();
  }

  /** Drag, pinch, arrow keys and ctrl + wheel turn the view; all else scrolls the page. */
  makeControls() {
    const { canvas, camera } = this;
    const scroll = (event) => event.ctrlKey || event.stopImmediatePropagation();
    canvas.addEventListener("wheel", scroll); // before the controls' own listener
    const controls = new OrbitControls(camera, canvas);
    canvas.style.touchAction = "pan-y"; // the controls set "none"
    controls.enablePan = false;
    controls.minDistance = 1.5;
    controls.maxPolarAngle = 0.52 * Math.PI;
    canvas.addEventListener("keydown", (event) => {
      const turn = { ArrowLeft: -0.1, ArrowRight: 0.1 }[event.code];
      if (!turn) return;
      event.preventDefault();
      camera.position.sub(controls.target).applyAxisAngle(UP, turn).add(controls.target);
      controls.update();
    });
    return controls;
  }

  /** Look at `place`; the camera keeps its own beside it. */
  follow(place) {
    this.moved.copy(place).sub(this.controls.target);
    this.controls.target.add(this.moved);
    this.camera.position.add(this.moved);
    this.controls.update();
    this.sun.target.position.copy(this.controls.target);
    this.sun.position.copy(this.controls.target).add(this.towardsSun);
  }

  draw(renderer, box) {
    const ratio = Math.min(devicePixelRatio, 2);
    const [width, height] = [box.width, box.height].map((x) => Math.max(1, Math.round(x * ratio)));
    const drawn = renderer.domElement;
    if (drawn.width !== width || drawn.height !== height) renderer.setSize(width, height, false);
    if (this.canvas.width !== width || this.canvas.height !== height) {
      Object.assign(this.canvas, { width, height });
    }
    this.camera.aspect = width / height;
    this.camera.updateProjectionMatrix();
    renderer.render(this.scene, this.camera);
    this.context.transferFromImageBitmap(drawn.transferToImageBitmap());
  }
}

/** A figure of the page: a person on a stage of their own, with the film that they were read from. */
class Card {
  constructor(figure, motion, body, shared) {
    this.figure = figure;
    this.person = new Person(motion, body, shared);
    const { floor, place, frames, fps } = this.person;
    this.eye = new Vector3(...motion.eye);
    this.stage = new Stage(canvasOf(figure), { eye: this.eye, target: place, floor }, shared);
    const film = figure.querySelector(".film");
    this.film = film && new Film(film, motion.film, frames, fps);
    this.enter();
  }

  /** Let the person onto the card's own stage. */
  enter() {
    this.stage.scene.add(this.person.group);
  }

  show(seconds, running, speed) {
    const { person } = this;
    this.film?.show(Math.min(seconds, person.seconds), running && seconds < person.seconds, speed);
    person.show(seconds);
    this.stage.follow(person.place);
  }

  dispose() {
    this.person.dispose();
    this.stage.dispose();
  }
}

/** All cards' people in one scene, where they are: each in a colour, to be left out by a box. */
class Together {
  constructor(cards, shared) {
    const [figure, canvas, legend] = ["figure", "canvas", "figcaption"].map((tag) =>
      document.createElement(tag),
    );
    figure.id = "together";
    Object.assign(canvas, { tabIndex: 0, role: "img", ariaLabel: "All motions in one scene" });
    figure.append(canvas, legend);
    document.querySelector("main").prepend(figure);
    this.figure = figure;
    this.cards = cards;
    this.middle = new Vector3();
    this.stage = new Stage(canvas, this.measure(), shared);
    this.boxes = cards.map((card, i) => legend.appendChild(this.entry(card, i)).firstChild);
    for (const { person } of cards) this.stage.scene.add(person.group);
  }

  static colour = (i) => COLOURS[i % COLOURS.length];

  entry({ figure, person }, i) {
    const [label, box] = ["label", "input"].map((tag) => document.createElement(tag));
    Object.assign(box, { type: "checkbox", checked: true });
    box.addEventListener("change", () => (person.group.visible = box.checked));
    const facts = figure.querySelector("figcaption p")?.textContent ?? "";
    label.style.setProperty("--of", Together.colour(i));
    label.append(box, `${canvasOf(figure).getAttribute("aria-label")} (${facts})`);
    return label;
  }

  /** Where the camera stands so that all are seen, wherever they go. */
  measure() {
    const people = this.cards.map((card) => card.person);
    const [first] = this.cards;
    let reach = 0;
    for (let t = 0; t < Math.max(...people.map((person) => person.seconds)); t += 0.25) {
      people.forEach((person) => person.show(t));
      this.middle.copy(this.among(people));
      reach = Math.max(reach, ...people.map(({ place }) => place.distanceTo(this.middle)));
    }
    const eye = first.eye.clone();
    eye.setLength(Math.max(eye.length(), (reach + 0.8) / 0.3));
    const floor = Math.min(...people.map((person) => person.floor));
    return { eye, target: this.middle, floor, reach };
  }

  /** The middle of people's places. */
  among(people) {
    const sum = new Vector3();
    people.forEach(({ place }) => sum.add(place));
    return sum.divideScalar(people.length || 1);
  }

  show(seconds) {
    const people = this.cards.map((card) => card.person);
    people.forEach((person) => person.show(seconds));
    this.stage.follow(this.among(people));
  }

  /** Everybody goes back to their own card. */
  dispose() {
    for (const card of this.cards) {
      card.person.group.visible = true;
      card.enter();
    }
    this.stage.dispose();
    this.figure.remove();
  }
}

/** The film that a motion was read from, and the landmarks found in it, at the card's time. */
class Film {
  constructor(place, { start, marks, lines }, frames, fps) {
    [this.video, this.canvas] = place.children;
    this.context = this.canvas.getContext("2d");
    this.marks = decode(Uint16Array, marks); // [t n 2]
    Object.assign(this, { start, lines, frames, fps });
  }

  /** The video runs by its own clock and is set right where it strays; at rest it stands. */
  show(seconds, running, speed) {
    const { video } = this;
    const wanted = this.start + seconds + 0.25 / this.fps; // safely inside of the frame
    const strayed = Math.abs(video.currentTime - wanted);
    if (!running && !video.paused) video.pause();
    if (strayed > (running ? 0.15 : 0.01) && !video.seeking) video.currentTime = wanted;
    if (!running || video.seeking) return this.draw(seconds);
    video.playbackRate = speed;
    if (video.paused) video.play().catch(() => {}); // one that cannot play stands
    this.draw(seconds);
  }

  draw(seconds) {
    const frame = Math.min(Math.floor(seconds * this.fps + 1e-3), this.frames - 1);
    const { canvas, context, marks, lines } = this;
    const ratio = Math.min(devicePixelRatio, 2);
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((x) => x * ratio);
    if (canvas.width !== Math.round(width)) {
      Object.assign(canvas, { width: Math.round(width), height: Math.round(height) });
    }
    const count = marks.length / this.frames / 2;
    const at = (k) => {
      const [x, y] = [0, 1].map((i) => marks[2 * (count * frame + k) + i]);
      return x === 65535 ? null : [(x / 65534) * width, (y / 65534) * height];
    };
    context.clearRect(0, 0, canvas.width, canvas.height);
    canvas.dataset.frame = frame;
    if (!count || !at(0)) return;
    context.strokeStyle = context.fillStyle = "#ffb000";
    context.lineWidth = 2 * ratio;
    context.beginPath();
    for (const [a, b] of lines) {
      context.moveTo(...at(a));
      context.lineTo(...at(b));
    }
    context.stroke();
    for (let k = 0; k < count; k++) {
      context.beginPath();
      context.arc(...at(k), 2.5 * ratio, 0, 7);
      context.fill();
    }
  }
}

/** Without WebGL: in place of a canvas the motion's video, where the page has one beside it. */
function showVideo(canvas) {
  const link = canvas.parentElement.querySelector('a[href$=".mp4"]');
  if (!link) return canvas.remove();
  const video = document.createElement("video");
  Object.assign(video, { src: link.href, controls: true, loop: true, muted: true });
  video.playsInline = true;
  video.setAttribute("aria-label", canvas.getAttribute("aria-label"));
  canvas.replaceWith(video);
}

function showVideos(fault) {
  document.getElementById("no-webgl").hidden = false;
  document.body.dataset.fault = fault.message;
  for (const video of document.querySelectorAll(".film video")) video.controls = true;
  document.querySelectorAll("figure > canvas").forEach(showVideo);
  document.querySelector("footer").remove();
}

/** The canvas of a card's figure. */
const canvasOf = (figure) => figure.querySelector(":scope > canvas");

/**
 * Shows the page's motions. What it returns lets others come and go: `add(figure, motion)`, of a
 * figure that is in the page, and `remove(figure)`; `seconds()` is what the clock shows, and `info`
 * how many frames were drawn, the last by how many calls, and how much the renderer holds.
 */
function main() {
  const { body, motions } = JSON.parse(document.getElementById("motions").textContent);
  // One WebGL context draws every card in turn: browsers allow only a few.
  let renderer;
  try {
    renderer = new WebGLRenderer({ canvas: new OffscreenCanvas(1, 1), antialias: true });
  } catch (fault) {
    showVideos(fault);
    return { add: (figure) => showVideo(canvasOf(figure)), remove: (figure) => figure.remove() };
  }
  renderer.shadowMap.enabled = true;
  renderer.shadowMap.type = VSMShadowMap;
  renderer.info.autoReset = false; // it counts a frame of all cards
  const shared = {
    person: makeGeometry(body),
    flesh: new MeshStandardMaterial({ color: FLESH, roughness: 0.65 }),
    ground: new PlaneGeometry(60, 60),
    tiles: new MeshLambertMaterial({ map: checker() }),
  };
  const cards = new Map(); // by figure
  const player = control(cards, renderer, shared);
  const add = (figure, motion) => {
    const card = new Card(figure, motion, body, shared);
    cards.set(figure, card);
    player.added(card);
  };
  const remove = (figure) => {
    player.part();
    cards.get(figure)?.dispose();
    cards.delete(figure);
    figure.remove();
    player.arrange();
  };
  const figures = [...document.querySelectorAll("main > figure")];
  motions.forEach((motion, i) => add(figures[i], motion));
  player.start();
  return { add, remove, seconds: player.seconds, info: player.info };
}

/** Let the buttons, the scrubber and the keys play all cards on one clock. */
function control(cards, renderer, shared) {
  const [play, back, forth, loop, bones, together, view, speed, scrubber, clock] = [
    "play", "back", "forth", "loop", "bones", "one-scene", "view", "speed", "scrubber", "clock",
  ].map((id) => document.getElementById(id));
  const wanted = new URLSearchParams(location.hash.slice(1));
  let end = 1e-3;
  let fps = 1;
  let now = 0;
  let playing = !wanted.has("t") && !matchMedia("(prefers-reduced-motion: reduce)").matches;
  let last = performance.now();
  let stale = true; // a page at rest draws nothing
  let scene = null; // of all together
  const info = { frames: 0, calls: 0, held: renderer.info.memory };

  const refresh = () => (stale = true);
  const setPlaying = (value) => {
    playing = value;
    play.dataset.playing = playing;
    play.setAttribute("aria-label", playing ? "Pause" : "Play");
    if (playing && now >= end) now = 0;
  };
  const stop = (seconds) => {
    setPlaying(false);
    now = Math.min(Math.max(seconds, 0), end);
    refresh();
  };
  const step = (frames) => stop((Math.round(Math.min(now, end) * fps) + frames) / fps);
  const pressed = (button) => button.getAttribute("aria-pressed") === "true";
  const toggle = (button) => button.setAttribute("aria-pressed", !pressed(button));

  /** How long the clock runs, and in which steps. */
  const measure = () => {
    const people = [...cards.values()].map((card) => card.person);
    end = Math.max(...people.map((person) => person.seconds), 1e-3);
    fps = Math.max(...people.map((person) => person.fps), 1);
    scrubber.max = end;
    scrubber.step = 1 / fps;
    refresh();
  };
  /** Let everybody back onto their own cards. */
  const part = () => {
    scene?.dispose();
    scene = null;
  };
  /** Look at everybody as the buttons say: on their own cards, or all in one scene. */
  const arrange = () => {
    part();
    measure();
    const all = [...cards.values()];
    scene = pressed(together) && all.length ? new Together(all, shared) : null;
    document.querySelector("main").classList.toggle("together", scene !== null);
    all.forEach(({ person }, i) => person.look(scene ? Together.colour(i) : FLESH, pressed(bones)));
    if (scene) begin(scene.stage);
    scene?.figure.addEventListener("change", refresh);
  };
  const begin = (stage) => {
    stage.controls.addEventListener("change", refresh);
    if (view.value) turn(stage);
  };
  const added = (card) => {
    begin(card.stage);
    arrange();
  };
  const turn = (stage) => {
    stage.lookFrom((Number(view.value) || 0) * (Math.PI / 180), view.value === "above");
  };
  const paint = () => {
    BACKGROUND.setHex(DARK.matches ? 0x1d232d : 0xe8eef7);
    shared.tiles.color.setScalar(DARK.matches ? 0.3 : 1);
    refresh();
  };

  play.addEventListener("click", () => setPlaying(!playing));
  back.addEventListener("click", () => step(-1));
  forth.addEventListener("click", () => step(1));
  loop.addEventListener("click", () => toggle(loop));
  for (const button of [bones, together]) {
    button.addEventListener("click", () => {
      toggle(button);
      arrange();
    });
  }
  view.addEventListener("change", () => {
    for (const { stage } of [...cards.values(), ...(scene ? [scene] : [])]) turn(stage);
    refresh();
  });
  scrubber.addEventListener("input", () => stop(scrubber.valueAsNumber));
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = { " ": () => setPlaying(!playing), ",": () => step(-1), ".": () => step(1) };
    const busy = "button, select, a, summary, video, textarea, input:not(#scrubber)";
    if (!act[event.key] || event.target.closest(busy)) return;
    event.preventDefault();
    act[event.key]();
  });
  for (const kind of ["resize", "scroll"]) addEventListener(kind, refresh);
  DARK.addEventListener("change", paint);
  paint();

  const drawAll = (everywhere) => {
    const shown = Math.min(now, end);
    const drawn = scene ? [scene] : [...cards.values()];
    const boxes = drawn.map(({ stage }) => stage.canvas.getBoundingClientRect()); // before writing
    scrubber.value = shown;
    clock.textContent = `${shown.toFixed(2)} / ${end.toFixed(2)} s`;
    renderer.info.reset();
    drawn.forEach((each, i) => {
      each.show(shown, playing, Number(speed.value));
      if (!everywhere && (boxes[i].bottom < 0 || boxes[i].top > innerHeight)) return;
      each.stage.draw(renderer, boxes[i]);
    });
    info.frames += 1;
    info.calls = renderer.info.render.calls;
  };
  addEventListener("beforeprint", () => drawAll(true));

  const frame = (time) => {
    const passed = (Math.min(Math.max(time - last, 0), 100) / 1000) * Number(speed.value);
    last = time;
    if (playing) {
      now += passed;
      if (pressed(loop) && now > end + 0.5) now = 0;
      if (!pressed(loop) && now >= end) stop(end);
    }
    if (!playing && !stale) return;
    stale = false;
    drawAll(false);
    document.body.dataset.ready = "true";
  };
  const start = () => {
    now = Math.min(Number(wanted.get("t")) || 0, end);
    setPlaying(playing);
    renderer.setAnimationLoop(frame);
  };
  const seconds = () => Math.min(now, end);
  return { added, arrange, part, start, seconds, info };
}

window.viewer = main();
