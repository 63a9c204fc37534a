/*!
 * The page's viewer: plays skinned GLB motions side by side on one clock.
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

// Rebuild, in any folder with `npm install three@0.187.0 esbuild@0.28.2`:
//   NODE_PATH=node_modules npx esbuild PATH/viewer.src.js --bundle --minify --format=iife \
//     --target=es2020 --legal-comments=inline --outfile=PATH/viewer.js

import {
  AnimationMixer,
  Color,
  DataTexture,
  DirectionalLight,
  Fog,
  HemisphereLight,
  LinearMipmapLinearFilter,
  LoopOnce,
  Mesh,
  MeshLambertMaterial,
  PerspectiveCamera,
  PlaneGeometry,
  RepeatWrapping,
  SRGBColorSpace,
  Scene,
  VSMShadowMap,
  Vector3,
  WebGLRenderer,
} from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";

const BACKGROUND = new Color(0xe8eef7);
const SUN = new Vector3(-1.6, 4, 1.8); // where the light stands as the camera first looks along -z
const UP = new Vector3(0, 1, 0);

// One WebGL context draws every card in turn: browsers allow only a few.
const renderer = new WebGLRenderer({ antialias: true, preserveDrawingBuffer: true });
renderer.shadowMap.enabled = true;
renderer.shadowMap.type = VSMShadowMap;

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

class Card {
  /** A canvas that shows one motion: `item` holds its glb (base64), fps, path and floor. */
  constructor(canvas, item) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.item = item;
    this.seconds = (item.path.length - 1) / item.fps;
    this.target = new Vector3();

    this.scene = new Scene();
    this.scene.background = BACKGROUND;
    this.scene.fog = new Fog(BACKGROUND, 9, 22);
    this.scene.add(new HemisphereLight(0xffffff, 0xb9c0cc, 1.9));
    this.sun = new DirectionalLight(0xffffff, 2.2);
    this.sun.castShadow = true;
    this.sun.shadow.mapSize.set(1024, 1024);
    this.sun.shadow.radius = 5;
    this.sun.shadow.bias = -0.002;
    Object.assign(this.sun.shadow.camera, { left: -2, right: 2, top: 2, bottom: -2, far: 12 });
    this.towardsSun = SUN.clone().applyAxisAngle(UP, Math.atan2(item.eye[0], item.eye[2]));
    this.scene.add(this.sun, this.sun.target);

    const ground = new Mesh(new PlaneGeometry(60, 60), new MeshLambertMaterial({ map: checker() }));
    ground.rotation.x = -Math.PI / 2;
    ground.position.y = item.floor;
    ground.receiveShadow = true;
    this.scene.add(ground);

    this.camera = new PerspectiveCamera(28, 1, 0.1, 60);
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.enablePan = false;
    this.controls.minDistance = 1.5;
    this.controls.maxDistance = 12;
    this.controls.maxPolarAngle = 0.52 * Math.PI;
    this.controls.target.set(...item.path[0]);
    this.camera.position.set(...item.eye).add(this.controls.target);
  }

  async load() {
    const bytes = Uint8Array.from(atob(this.item.glb), (c) => c.charCodeAt(0));
    const model = await new GLTFLoader().parseAsync(bytes.buffer, "");
    model.scene.traverse((node) => {
      node.castShadow = Boolean(node.isMesh);
      node.frustumCulled = false; // its bounds are those of the rest pose
    });
    this.scene.add(model.scene);
    this.mixer = new AnimationMixer(model.scene);
    const action = this.mixer.clipAction(model.animations[0]);
    action.setLoop(LoopOnce);
    action.clampWhenFinished = true;
    action.play();
    this.action = action;
  }

  /** Show the motion at `seconds`; the camera keeps its place beside the body's path. */
  show(seconds) {
    const time = Math.min(seconds, this.seconds);
    this.action.paused = false;
    this.action.enabled = true;
    this.action.time = time;
    this.mixer.update(0);

    const { path, fps } = this.item;
    const frame = Math.min(Math.floor(time * fps), path.length - 1);
    const next = Math.min(frame + 1, path.length - 1);
    this.target
      .set(...path[frame])
      .lerp(new Vector3(...path[next]), Math.min(time * fps - frame, 1))
      .sub(this.controls.target);
    this.controls.target.add(this.target);
    this.camera.position.add(this.target);
    this.controls.update();
    this.sun.target.position.copy(this.controls.target);
    this.sun.position.copy(this.controls.target).add(this.towardsSun);
  }

  draw() {
    const box = this.canvas.getBoundingClientRect();
    if (box.bottom < 0 || box.top > innerHeight) return;
    const ratio = Math.min(devicePixelRatio, 2);
    const [width, height] = [box.width, box.height].map((x) => Math.max(1, Math.round(x * ratio)));
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    renderer.setSize(width, height, false);
    this.camera.aspect = width / height;
    this.camera.updateProjectionMatrix();
    renderer.render(this.scene, this.camera);
    this.context.drawImage(renderer.domElement, 0, 0);
  }
}

async function main() {
  const items = JSON.parse(document.getElementById("items").textContent);
  const canvases = [...document.querySelectorAll("figure canvas")];
  const cards = items.map((item, i) => new Card(canvases[i], item));
  await Promise.all(cards.map((card) => card.load()));

  const button = document.getElementById("play");
  const scrubber = document.getElementById("scrubber");
  const clock = document.getElementById("clock");
  const end = Math.max(...cards.map((card) => card.seconds), 1e-3);
  const wanted = new URLSearchParams(location.hash.slice(1));
  let now = Math.min(Number(wanted.get("t")) || 0, end);
  let playing = !wanted.has("t");
  let last = performance.now();

  const setPlaying = (value) => {
    playing = value;
    button.dataset.playing = playing;
    button.setAttribute("aria-label", playing ? "Pause" : "Play");
  };
  button.addEventListener("click", () => setPlaying(!playing));
  scrubber.addEventListener("input", () => {
    setPlaying(false);
    now = scrubber.valueAsNumber * end;
    refresh();
  });
  addEventListener("keydown", (event) => {
    if (event.code !== "Space" || event.target === button) return;
    event.preventDefault();
    setPlaying(!playing);
  });

  let stale = true; // a page at rest draws nothing
  const refresh = () => (stale = true);
  for (const kind of ["resize", "scroll"]) addEventListener(kind, refresh);
  for (const card of cards) card.controls.addEventListener("change", refresh);

  setPlaying(playing);
  renderer.setAnimationLoop((time) => {
    if (playing) now = (now + Math.min(Math.max(time - last, 0), 100) / 1000) % (end + 0.5);
    last = time;
    if (!playing && !stale) return;
    stale = false;
    const shown = Math.min(now, end);
    scrubber.value = shown / end;
    clock.textContent = `${shown.toFixed(1)} / ${end.toFixed(1)} s`;
    for (const card of cards) {
      card.show(shown);
      card.draw();
    }
    document.body.dataset.ready = "true";
  });
}

main().catch((fault) => {
  document.getElementById("clock").textContent = `This page needs WebGL: ${fault.message}`;
});
