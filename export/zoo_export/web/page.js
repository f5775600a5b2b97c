// The page: what the model's tasks allow is shown, and every press of a button is a call to the worker.

import { draw } from "./noise.js";

const worker = new Worker("worker.js", { type: "module" });
const waiting = new Map();
const $ = (selector, within = document) => within.querySelector(selector);
const status = $("#status");

worker.onmessage = ({ data: { id, result, error } }) => {
  const { resolve, reject } = waiting.get(id);
  waiting.delete(id);
  error === undefined ? resolve(result) : reject(new Error(error));
};
worker.onerror = () => say("This browser cannot run the model: it needs module workers and WebAssembly.", true);

function ask(call, given) {
  const id = crypto.getRandomValues(new Uint32Array(2)).join("-");
  worker.postMessage({ id, call, with: given });
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

function say(text, wrong = false) {
  status.textContent = text;
  status.classList.toggle("error", wrong);
}

/** Do something long: its button waits, and what goes wrong is one line. Says whether all went well. */
async function busy(button, words, act) {
  if (button) button.disabled = true;
  const later = setTimeout(() => say(words), 150);
  try {
    await act();
    clearTimeout(later);
    say("");
    return true;
  } catch (error) {
    clearTimeout(later);
    say(error.message, true);
    return false;
  } finally {
    if (button) button.disabled = false;
  }
}

// Tensors

const floats = (data, dims) => ({ type: "float32", data: Float32Array.from(data), dims });
const integers = (data, dims) => ({ type: "int64", data: BigInt64Array.from(data, (value) => BigInt.asIntN(64, BigInt(value))), dims });
const scalar = (value) => integers([value], []);
const size = (spec) => spec.shape.reduce((product, length) => product * length, 1);

function seedOf(form) {
  const seed = BigInt(form.elements.seed.value);
  if (seed >= 2n ** 64n) throw new Error(`The seed ${seed} is too large: it must be below 2^64.`);
  return seed;
}

/** round(255 · clip(v, 0, 1)) in float32, halves to even. */
function level(value) {
  const scaled = Math.fround(Math.min(Math.max(value, 0), 1) * 255);
  const below = Math.floor(scaled);
  return scaled - below === 0.5 ? below + (below % 2) : Math.round(scaled);
}

// Samples of each kind, as elements

function image({ channels, height, width }, data, label) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let place = 0; place < height * width; place++) {
    for (let channel = 0; channel < 3; channel++) {
      image.data[4 * place + channel] = level(data[(channels === 1 ? 0 : channel) * height * width + place]);
    }
    image.data[4 * place + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  return canvas;
}

/** A spectrogram with its low bands at the bottom. */
function spectrogram({ bands, samples, hop }, data, label) {
  const frames = Math.floor(samples / hop);
  const rows = Array.from({ length: bands }, (_, row) => [...data.slice((bands - 1 - row) * frames, (bands - row) * frames)]);
  return image({ channels: 1, height: bands, width: frames }, rows.flat(), label);
}

function clip({ rate }, data, label) {
  const header = new DataView(new ArrayBuffer(44));
  const text = (place, word) => [...word].forEach((letter, index) => header.setUint8(place + index, letter.charCodeAt(0)));
  text(0, "RIFF"); header.setUint32(4, 36 + 2 * data.length, true); text(8, "WAVEfmt ");
  header.setUint32(16, 16, true); header.setUint16(20, 1, true); header.setUint16(22, 1, true);
  header.setUint32(24, rate, true); header.setUint32(28, 2 * rate, true); header.setUint16(32, 2, true);
  header.setUint16(34, 16, true); text(36, "data"); header.setUint32(40, 2 * data.length, true);
  const levels = Int16Array.from(data, (value) => Math.max(-32768, Math.min(32767, Math.round(32768 * value))));
  const player = Object.assign(document.createElement("audio"), { controls: true });
  player.src = URL.createObjectURL(new Blob([header, levels], { type: "audio/wav" }));
  player.setAttribute("aria-label", label);
  return player;
}

const SHOW = { image: image, "log-mel": spectrogram, audio: clip };

/** The samples of a batch, in a group of the page. */
function show(group, x, { data, dims }, labels) {
  const each = data.length / dims[0];
  const made = Array.from({ length: dims[0] }, (_, index) =>
    SHOW[x.kind](x, data.subarray(index * each, (index + 1) * each), labels(index)));
  group.replaceChildren(...made);
}

// Sections

/** The inputs of a generation's tasks that are a class of the sample, by name. */
function labelsOf({ generation, tasks }) {
  const last = Object.entries(tasks[generation.task].inputs);
  const own = { chain: last[0][0], iterative: "time" }[generation.kind];
  const step = generation.kind === "chain" ? tasks[generation.tokens.task] : { inputs: {}, outputs: {} };
  const others = Object.entries(step.inputs).filter(([name]) => name !== "token" && !(`next_${name}` in step.outputs));
  return [...new Map([...others, ...last.filter(([name]) => name !== own)])].filter(([, spec]) => spec.kind === "label");
}

/** How tokens are picked, as a form says. */
function picking(form) {
  const number = (name) => Number(form.elements[name].value);
  return { temperature: floats([number("temperature")], []), top_k: scalar(number("top_k")), top_p: floats([number("top_p")], []) };
}

function generate(model) {
  const section = $("#generate");
  const { form, labels } = { form: $("form", section), labels: $(".labels", section) };
  const classes = labelsOf(model.manifest);
  const generation = model.manifest.generation;
  const [tokens, steps] = [generation.kind === "chain", generation.kind === "iterative"];
  if (classes.length) {
    labels.hidden = false;
    const most = Math.min(...classes.map(([, spec]) => spec.classes));
    for (let value = 0; value < most; value++) $("select", labels).add(new Option(value, value));
  }
  for (const part of form.querySelectorAll(".tokens")) part.hidden = !tokens;
  for (const part of form.querySelectorAll(".steps")) part.hidden = !steps;
  if (tokens) form.elements.count.value = 4;
  if (steps) {
    form.elements.steps.max = generation.alphas.length;
    form.elements.steps.value = generation.steps;
    form.elements.eta.value = generation.eta;
  }
  const act = () => busy($("button", form), "Generating …", async () => {
    const [seed, first, count] = [seedOf(form), Number(form.elements.first.value), Number(form.elements.count.value)];
    const feeds = { seed: scalar(seed), first: scalar(first) };
    const chosen = form.elements.label.value;
    for (const [name, spec] of classes) {
      const values = Array.from({ length: count }, (_, index) => (chosen === "" ? (first + index) % spec.classes : Number(chosen)));
      feeds[name] = integers(values, [count]);
    }
    if (!classes.length) feeds.count = scalar(count);
    if (tokens) Object.assign(feeds, picking(form));
    if (steps) Object.assign(feeds, { steps: scalar(form.elements.steps.value), eta: floats([form.elements.eta.value], []) });
    const { samples } = await ask("run", { graph: model.manifest.generate, feeds });
    show($(".samples", section), model.x, samples, (index) => `Sample ${first + index} of seed ${seed}`);
  });
  form.onsubmit = (event) => { event.preventDefault(); act(); };
  section.hidden = false;
  return act();
}

/** Sliders for the first numbers of the noise that the generation starts from. */
async function walk(model) {
  const noises = Object.entries(model.task.inputs);
  if (model.manifest.generation.kind !== "one-shot" || noises.length !== 1 || noises[0][1].kind !== "noise") return true;
  const [name, spec] = noises[0];
  const [made] = Object.keys(model.task.outputs);
  const section = $("#walk");
  const form = $("form", section);
  const normal = spec.distribution === "normal";
  const table = normal ? await ask("tensor", { name: "zoo.normal" }) : null;
  const middle = normal ? 0 : 0.5;
  const code = new Float32Array(size(spec)).fill(middle);
  const sliders = [...code.subarray(0, 32)].map((_, index) => {
    const slider = Object.assign(document.createElement("input"), {
      type: "range", min: normal ? -3.5 : 0, max: normal ? 3.5 : 1, step: 0.01, value: middle,
    });
    const label = document.createElement("label");
    const value = Object.assign(document.createElement("span"), { textContent: middle.toFixed(2) });
    value.setAttribute("aria-hidden", "true"); // a slider says its own value
    slider.oninput = () => { code[index] = slider.value; tell(); render(); };
    slider.setAttribute("aria-label", `Number ${index + 1}`);
    label.append(`Number ${index + 1} `, value, slider);
    const tell = () => { value.textContent = Number(code[index]).toFixed(2); };
    return { label, slider, tell };
  });
  $(".sliders", section).replaceChildren(...sliders.map(({ label }) => label));
  let [running, again] = [false, false];
  async function render() {
    if (running) { again = true; return true; }
    running = true;
    let well;
    do {
      again = false;
      well = await busy(null, "Decoding …", async () => {
        const results = await ask("run", { graph: model.task.graph, feeds: { [name]: floats(code, [1, ...spec.shape]) } });
        show($(".samples", section), model.x, results[made], () => "The image of the code");
      });
    } while (again);
    running = false;
    return well;
  }
  function start(values) {
    code.set(values);
    sliders.forEach(({ slider, tell }, index) => { slider.value = code[index]; tell(); });
    return render();
  }
  form.onsubmit = (event) => {
    event.preventDefault();
    busy(null, "", () => start(draw(spec.distribution, code.length, seedOf($("#generate form")), form.elements.index.value, 0, table)));
  };
  form.elements.middle.onclick = () => start(new Float32Array(code.length).fill(middle));
  section.hidden = false;
  return start(code.slice());
}

function reconstruct(model) {
  const tasks = model.manifest.tasks;
  const way = tasks.reconstruct ? ["reconstruct"] : tasks.encode && tasks.decode ? ["encode", "decode"] : [];
  if (!way.length || way.some((name) => Object.keys(tasks[name].inputs).length > 1) || model.x.kind !== "image") return true;
  const section = $("#reconstruct");
  const pad = $(".pad", section);
  const context = pad.getContext("2d", { willReadFrequently: true });
  const { channels, height, width } = model.x;
  pad.height = Math.round((pad.width * height) / width);

  /** The pad, made as small as the model's images, as (1, channels, h, w) in [0, 1]. */
  function small() {
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const shrunk = canvas.getContext("2d");
    shrunk.imageSmoothingQuality = "high";
    shrunk.drawImage(pad, 0, 0, width, height);
    const { data } = shrunk.getImageData(0, 0, width, height);
    const values = new Float32Array(channels * height * width);
    for (let place = 0; place < height * width; place++) {
      const [red, green, blue] = data.subarray(4 * place, 4 * place + 3);
      const colours = channels === 1 ? [0.299 * red + 0.587 * green + 0.114 * blue] : [red, green, blue];
      colours.forEach((value, channel) => { values[channel * height * width + place] = value / 255; });
    }
    return values;
  }
  const act = () => busy(null, "Reconstructing …", async () => {
    let batch = { type: "float32", data: small(), dims: [1, channels, height, width] };
    for (const name of way) {
      const [input] = Object.keys(tasks[name].inputs);
      const [output] = Object.keys(tasks[name].outputs);
      const results = await ask("run", { graph: tasks[name].graph, feeds: { [input]: batch } });
      batch = { type: results[output].data instanceof BigInt64Array ? "int64" : "float32", ...results[output] };
    }
    show($(".samples", section), model.x, batch, () => "The reconstruction of your image");
  });
  function clear() {
    context.fillStyle = "#000";
    context.fillRect(0, 0, pad.width, pad.height);
  }
  function place(image, smooth = true) {
    clear();
    context.imageSmoothingEnabled = smooth;
    const scale = Math.max(pad.width / image.width, pad.height / image.height);
    const [w, h] = [image.width * scale, image.height * scale];
    context.drawImage(image, (pad.width - w) / 2, (pad.height - h) / 2, w, h);
    return act();
  }
  const take = (file) => busy(null, "Reading the image …", async () => {
    if (!file) return;
    let image;
    try {
      image = await createImageBitmap(file);
    } catch {
      throw new Error(`${file.name} is no image that this browser can read.`);
    }
    await place(image);
  });
  context.lineWidth = pad.width / 12;
  let last = null;
  const point = ({ clientX, clientY }) => {
    const box = pad.getBoundingClientRect();
    return [((clientX - box.left) * pad.width) / box.width, ((clientY - box.top) * pad.height) / box.height];
  };
  pad.onpointerdown = (event) => { pad.setPointerCapture(event.pointerId); last = point(event); };
  pad.onpointermove = (event) => {
    if (!last) return;
    const next = point(event);
    Object.assign(context, { strokeStyle: "#fff", lineWidth: pad.width / 12, lineCap: "round" });
    context.beginPath(); context.moveTo(...last); context.lineTo(...next); context.stroke();
    last = next;
  };
  pad.onpointerup = pad.onpointercancel = () => { if (last) { last = null; act(); } };
  section.ondragover = (event) => event.preventDefault();
  section.ondrop = (event) => { event.preventDefault(); take(event.dataTransfer.files[0]); };
  const form = $("form", section);
  form.onsubmit = (event) => event.preventDefault();
  form.elements.file.onchange = () => take(form.elements.file.files[0]);
  form.elements.clear.onclick = () => { clear(); act(); };
  const samples = () => document.querySelectorAll("#generate canvas");
  form.elements.sample.onclick = () => place(samples()[Math.floor(Math.random() * samples().length)], false);
  form.elements.sample.hidden = !model.manifest.generate;
  clear();
  section.hidden = false;
  return samples().length ? place(samples()[0], false) : act();
}

function complete(model) {
  const section = $("#complete");
  const form = $("form", section);
  const characters = [...model.x.vocabulary];
  const index = new Map(characters.map((character, place) => [character, place]));
  const act = () => {
    return busy($("button", form), "Writing …", async () => {
      const given = [...form.elements.prompt.value];
      const unknown = given.find((character) => !index.has(character));
      if (unknown !== undefined) {
        throw new Error(`The character ${JSON.stringify(unknown)} is not one of the ${characters.length} that this model was trained on.`);
      }
      const fields = new FormData(form);
      const number = (name) => Number(fields.get(name));
      const { samples } = await ask("run", { graph: model.manifest.generate, feeds: {
        seed: scalar(seedOf(form)), first: scalar(0), count: scalar(1), length: scalar(number("length")),
        prompt: integers(given.map((character) => index.get(character)), [given.length]),
        ...picking(form),
      } });
      $(".text", section).textContent = [...samples.data].map((token) => characters[Number(token)]).join("");
    });
  };
  form.onsubmit = (event) => { event.preventDefault(); act(); };
  section.hidden = false;
  return act();
}

function about({ manifest }) {
  const rows = manifest.metrics.map(({ name, value, unit, protocol }) => {
    const row = document.createElement("tr");
    row.append(...[name, Number(value.toPrecision(4)), unit, protocol].map((text) => Object.assign(document.createElement("td"), { textContent: text })));
    return row;
  });
  $("#about tbody").replaceChildren(...rows);
  $("#about table").hidden = !rows.length;
}

/** Show what the model can do, until something goes wrong. */
async function start() {
  let manifest;
  if (!(await busy(null, "Loading the model …", async () => { manifest = await ask("open"); }))) return false;
  const model = { manifest, x: manifest.sample.x, task: manifest.generation && manifest.tasks[manifest.generation.task] };
  about(model);
  const sections = [reconstruct];
  if (manifest.generate && manifest.generation.kind === "autoregressive") sections.unshift(complete);
  else if (manifest.generate && SHOW[model.x.kind]) sections.unshift(generate, walk);
  for (const section of sections) if (!(await section(model))) return false;
  return true;
}

document.body.dataset.ready = (await start()) ? "yes" : "failed";
