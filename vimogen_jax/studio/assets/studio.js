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

const settings = () => {
  const asked = { model: $("model").value };
  for (const name of ["seconds", "samples", "seed", "steps", "guidance_scale"]) {
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
  const lines = $("sentences").value.split("\n").filter((line) => line.trim());
  ask({ sentences: lines, in_a_row: $("in_a_row").checked });
});
$("sentences").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("ask").requestSubmit();
});
$("examples").addEventListener("click", (event) => {
  if (event.target.tagName !== "BUTTON") return;
  $("sentences").value = event.target.textContent;
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
  for (const file of event.dataTransfer.files) sendFilm(file);
});

look();
