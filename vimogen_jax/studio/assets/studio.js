// The studio's page: sends what is typed or dropped, and shows what comes of it by `viewer`.

const $ = (id) => document.getElementById(id);
const shown = new Map(); // figures by the names of their motions
let waiting = 0; // the timer of the next look

/** An element with properties and children; text is only ever text. */
function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** What the studio answers; a fault is shown, and nothing returned. */
async function call(method, path, body) {
  try {
    const answer = await fetch(path, { method, body });
    if (answer.status === 204) return null;
    const said = await answer.json();
    if (answer.ok) return said;
    $("fault").textContent = said.fault;
  } catch {
    $("fault").textContent = "The studio does not answer: was it ended?";
  }
}

/** The numbers of a field that takes several, with commas between. */
const numbers = (text) => {
  const parts = text.split(",").filter((each) => each.trim());
  return parts.map((each) => (isNaN(each) ? each : Number(each))); // the studio says what is wrong
};
const lines = () => $("sentences").value.split("\n").filter((line) => line.trim());

/** The seconds of each act of a row, as typed; the others last as "seconds" says. */
const typed = [];
const acts = () => ($("in_a_row").checked && lines().length > 1 ? lines() : []);
const usual = () => $("seconds").valueAsNumber || 5;
const lengths = () => acts().map((_, number) => typed[number] || usual());

const settings = () => {
  const boxes = [...document.querySelectorAll("#models input:checked")];
  const asked = { steps: numbers($("steps").value), models: boxes.map((box) => box.value) };
  asked.guidance_scale = numbers($("guidance_scale").value);
  for (const name of ["seconds", "samples", "seed"]) {
    if ($(name).value !== "") asked[name] = $(name).valueAsNumber;
  }
  return asked;
};

async function ask(what) {
  $("fault").textContent = "";
  await call("POST", "/jobs", JSON.stringify({ ...settings(), ...what }));
  look();
}

async function sendFilm(file) {
  $("fault").textContent = "";
  await call("POST", `/films?name=${encodeURIComponent(file.name)}`, file);
  look();
}

/** Ask what there is, show it, and ask again: soon while something is made. */
async function look() {
  clearTimeout(waiting);
  const state = await call("GET", "/state");
  if (state) await show(state);
  const busy = state?.jobs.some((job) => ["waiting", "running"].includes(job.state));
  clearTimeout(waiting);
  waiting = setTimeout(look, busy ? 500 : 10000);
}

async function show({ jobs, motions }) {
  $("jobs").replaceChildren(...jobs.filter((job) => job.state !== "done").map(jobLine));
  for (const [name, figure] of shown) {
    if (motions.includes(name)) continue;
    shown.delete(name);
    viewer.remove(figure);
  }
  for (const name of motions) {
    if (shown.has(name)) continue;
    shown.set(name, null); // so that nobody else begins with it
    const motion = await call("GET", `/motions/${name}`);
    if (!motion) {
      shown.delete(name);
      continue;
    }
    const figure = card(motion);
    shown.set(name, figure);
    document.querySelector("main").append(figure);
    viewer.add(figure, motion.scene);
  }
}

function jobLine(job) {
  const states = {
    waiting: `waits, ${job.ahead} before it`,
    running: `${job.done} of ${job.total} made`,
    cancelled: "cancelled",
    failed: job.fault,
  };
  const line = make("li", {}, make("span", {}, `${job.title}: ${states[job.state]}`));
  if (job.state === "running") {
    line.append(make("progress", { value: job.done, max: job.total, ariaLabel: job.title }));
  }
  if (["waiting", "running"].includes(job.state)) {
    const cancel = make("button", { type: "button", ariaLabel: `Cancel ${job.title}` }, "Cancel");
    cancel.onclick = async () => {
      await call("DELETE", `/jobs/${job.id}`);
      look();
    };
    line.append(cancel);
  }
  return line;
}

function card(motion) {
  const title = motion.title || "a motion";
  const canvas = make("canvas", { tabIndex: 0, role: "img", ariaLabel: title });
  const links = motion.endings.map((ending) =>
    make("a", { href: `/motions/${motion.id}/${ending}`, download: "" }, ending.toUpperCase()),
  );
  const keep = make("button", { type: "button", ariaPressed: String(motion.kept) }, "Keep");
  keep.onclick = () => {
    keep.ariaPressed = String(keep.ariaPressed !== "true");
    call("PUT", `/motions/${motion.id}`, JSON.stringify({ kept: keep.ariaPressed === "true" }));
  };
  const refine = make("button", { type: "button" }, "Refine");
  refine.onclick = () => ask({ reference: motion.id });
  const compare = make("button", { type: "button" }, "Compare");
  compare.title = "with the sentence above: by the text, by this as a reference, and by the gate";
  compare.onclick = () => ask({ reference: motion.id, sentence: lines().pop() ?? "" });
  const pose = make("button", { type: "button" }, "Take pose");
  pose.title = "the pose shown now, for the timeline";
  pose.onclick = () => takePose(motion.id);
  const remove = make("button", { type: "button" }, "Remove");
  remove.onclick = () => letGo(motion.id);
  const figure = make(
    "figure",
    {},
    canvas,
    make(
      "figcaption",
      {},
      title,
      make("p", {}, motion.facts),
      make("p", {}, ...links),
      keep,
      refine,
      compare,
      pose,
      remove,
      make("details", {}, make("summary", {}, "Command"), make("code", {}, motion.command)),
    ),
  );
  figure.keep = keep;
  if (motion.film) {
    const [width, height] = motion.film;
    const video = make("video", { muted: true, playsInline: true, preload: "auto" });
    video.src = `/motions/${motion.id}/film`;
    video.setAttribute("aria-label", `${title}, filmed`);
    const film = make("div", { className: "film" }, video, make("canvas"));
    film.style.setProperty("--ratio", width / height);
    figure.classList.add("filmed");
    figure.prepend(film);
  }
  return figure;
}

async function letGo(name) {
  await call("DELETE", `/motions/${name}`);
  look();
}

let typing = 0;
$("sentences").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(hint, 700);
});

/** Where the last sentence is like none that was learnt, the nearest captions. */
async function hint() {
  const sentence = $("sentences").value.trim().split("\n").pop().trim();
  const near = sentence ? await call("GET", `/near?sentence=${encodeURIComponent(sentence)}`) : [];
  $("hint").textContent = near?.length
    ? `The model learnt nothing like this and may show something else. Nearest to it: ${near.map((caption) => `“${caption}”`).join(", ")}`
    : "";
}

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const constraints = wanted();
  const row = acts().length ? { in_a_row: true, lengths: lengths() } : {};
  if (constraints) ask({ sentences: lines(), ...row, constraints });
});
$("sentences").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("ask").requestSubmit();
});
$("examples").addEventListener("click", (event) => {
  if (event.target.tagName !== "BUTTON") return;
  const before = $("in_a_row").checked && lines().length ? `${lines().join("\n")}\n` : "";
  $("sentences").value = before + event.target.textContent; // in a row, one more act
  drawActs();
  drawTimeline();
  hint();
});
$("clear").addEventListener("click", async () => {
  for (const [name, figure] of [...shown]) {
    if (figure?.keep.ariaPressed === "false") await call("DELETE", `/motions/${name}`);
  }
  look();
});
$("film").addEventListener("change", () => {
  const [file] = $("film").files;
  if (file) sendFilm(file);
  $("film").value = "";
});
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", () => document.body.classList.remove("dropping"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  for (const file of event.dataTransfer.files) {
    if (file.name.toLowerCase().endsWith(".json")) openWanted(file);
    else sendFilm(file);
  }
});

// The timeline: what is to be met stands in a text field as the JSON that launch.sample reads.

const METRES = 8; // that the ground shows, in each direction, the start in the middle

/** The constraints that are asked for; none where the field is empty, null where it is no such JSON. */
function wanted() {
  const text = $("wanted").value.trim();
  if (!text) return [];
  try {
    const { constraints } = JSON.parse(text);
    if (Array.isArray(constraints)) return constraints;
  } catch {}
  $("timeline").open = true;
  $("fault").textContent = "What is to be met is not JSON with a list of constraints.";
  return null;
}

function want(constraints) {
  const rows = constraints.map((each) => `  ${JSON.stringify(each)}`).join(",\n");
  $("wanted").value = rows && `{"constraints": [\n${rows}\n]}`;
  $("fault").textContent = "";
  $("timeline").open = true;
  drawTimeline();
}

async function openWanted(file) {
  $("wanted").value = await file.text();
  $("timeline").open = true;
  drawTimeline();
}

async function takePose(name) {
  const time = $("pose_time").value;
  const pose = await call("GET", `/motions/${name}/pose?at=${viewer.seconds()}&time=${time}`);
  const others = pose && wanted();
  if (others) want([...others, pose]);
}

/** A row for each act, with its sentence and its seconds. */
function drawActs() {
  const rows = acts().map((sentence, number) => {
    const properties = { type: "number", min: 2, max: 10, step: 0.1, value: lengths()[number] };
    const field = make("input", properties);
    field.oninput = () => {
      typed[number] = field.valueAsNumber;
      drawTimeline();
    };
    field.ariaLabel = `Seconds of act ${number + 1}`;
    const seconds = make("label", {}, field, " s");
    return make("li", {}, make("div", { className: "row" }, make("span", {}, sentence), seconds));
  });
  $("acts").replaceChildren(...rows);
  $("acts").hidden = !rows.length;
}

/** The acts one after the other, and when what is wanted of them is. */
function drawTimeline() {
  $("wanted_link").href = `data:application/json,${encodeURIComponent($("wanted").value)}`;
  let constraints = [];
  try {
    constraints = [].concat(JSON.parse($("wanted").value || "{}").constraints ?? []);
  } catch {} // it is being typed
  const shares = lengths();
  const whole = shares.reduce((sum, seconds) => sum + seconds, 0) || usual();
  const marks = constraints.map((each) => {
    const times = each?.times?.length ? each.times : each?.kind === "path" ? [0, whole] : [each?.time];
    const [from, until] = [Math.min(...times), Math.max(...times)].map((x) => (100 * x) / whole);
    const mark = make("i", { title: `${each?.kind} ${times[0] ?? ""}` });
    mark.style.left = `${from}%`;
    if (from < until) mark.style.width = `${until - from}%`;
    else mark.className = "point";
    return mark;
  });
  const parts = (shares.length ? acts() : lines().slice(-1)).map((act, number) => {
    const part = make("span", {}, act);
    part.style.flexGrow = shares[number] ?? 1;
    return part;
  });
  $("bar").replaceChildren(...parts, ...marks);
  const said = constraints.map((each) => `${each?.kind} at ${each?.time ?? each?.times ?? "all times"}`);
  $("bar").ariaLabel = said.join(", ") || "Nothing is to be met";
  drawGround(constraints);
}

function drawGround(constraints) {
  const canvas = $("ground");
  const pen = canvas.getContext("2d");
  const step = canvas.width / METRES;
  const at = ([x, y]) => [canvas.width / 2 + x * step, canvas.height / 2 - y * step];
  pen.fillStyle = "#c8d0db";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.fillStyle = "#b0bac8";
  for (let k = 0; k < METRES ** 2; k++) {
    const [column, row] = [k % METRES, Math.floor(k / METRES)];
    if ((column + row) % 2) pen.fillRect(column * step, row * step, step, step);
  }
  pen.fillStyle = "#1e2430"; // where the person stands at first, and faces
  pen.beginPath();
  for (const corner of [[0, 0.3], [0.18, -0.15], [-0.18, -0.15]]) pen.lineTo(...at(corner));
  pen.fill();
  pen.strokeStyle = pen.fillStyle = "#c2187a";
  pen.lineWidth = 5;
  for (const each of constraints) {
    if (each?.kind === "path" && Array.isArray(each.points)) {
      pen.beginPath();
      for (const point of each.points) pen.lineTo(...at(point));
      pen.stroke();
    } else if (Array.isArray(each?.place)) {
      pen.beginPath();
      pen.arc(...at(each.place), 8, 0, 7);
      pen.fill();
    }
  }
}

/** A path drawn by a pointer takes the place of the one that was there. */
let drawn = null;
function goOn(event) {
  const { left, top, width, height } = $("ground").getBoundingClientRect();
  const metres = (share) => Math.round(100 * METRES * share) / 100;
  const point = [
    metres((event.clientX - left) / width - 0.5),
    metres(0.5 - (event.clientY - top) / height),
  ];
  const [x, y] = drawn.at(-1);
  if (Math.hypot(point[0] - x, point[1] - y) < 0.3) return;
  drawn.push(point);
  const others = wanted()?.filter((each) => each?.kind !== "path");
  if (others) want([...others, { kind: "path", points: drawn }]);
}
$("ground").addEventListener("pointerdown", (event) => {
  $("ground").setPointerCapture(event.pointerId);
  drawn = [[0, 0]]; // where every motion starts
  goOn(event);
});
$("ground").addEventListener("pointermove", (event) => drawn && goOn(event));
for (const kind of ["pointerup", "pointercancel"]) {
  $("ground").addEventListener(kind, () => (drawn = null));
}
for (const name of ["sentences", "seconds", "in_a_row"]) $(name).addEventListener("input", drawActs);
for (const name of ["wanted", "sentences", "seconds", "in_a_row"]) {
  $(name).addEventListener("input", drawTimeline);
}
$("wanted_file").addEventListener("change", () => {
  const [file] = $("wanted_file").files;
  if (file) openWanted(file);
  $("wanted_file").value = "";
});
$("forget").addEventListener("click", () => want([]));

document.querySelector("#models input").checked = true;
if (document.querySelectorAll("#models input").length === 1) $("models").hidden = true;
drawTimeline();

look();
