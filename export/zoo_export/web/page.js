// The page: what the model's tasks allow is shown, and every press of a button is a call to the worker.

import { COLOURS, controls, cover, fitting, floats, integers, opened, pixels, scalar, size, tokens } from "./controls.js";
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

/** Grey, colour, colour with alpha; of other numbers of channels the planes side by side, in grey, as in PNG files of zoo. */
function image({ channels, height, width }, data, label) {
  const planes = COLOURS.includes(channels) ? 1 : channels;
  const canvas = Object.assign(document.createElement("canvas"), { width: width * planes, height });
  const context = canvas.getContext("2d");
  const made = context.createImageData(width * planes, height);
  const step = channels >= 3 && planes === 1 ? height * width : 0; // from a colour to the next
  for (let plane = 0; plane < planes; plane++) {
    for (let place = 0; place < height * width; place++) {
      const [from, to] = [plane * height * width + place, 4 * ((Math.floor(place / width) * planes + plane) * width + (place % width))];
      for (let colour = 0; colour < 3; colour++) made.data[to + colour] = level(data[from + colour * step]);
      made.data[to + 3] = channels === 4 ? level(data[from + 3 * step]) : 255;
    }
  }
  context.putImageData(made, 0, 0);
  canvas.style.setProperty("--planes", planes);
  canvas.classList.toggle("alpha", channels === 4);
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

/** The frames one after the other, as long as they are on the page; the first alone where motion is not wanted. */
function video({ channels, frames, height, width }, data, label) {
  const each = channels * height * width;
  const canvas = image({ channels, height, width }, data.slice(0, each), label);
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return canvas;
  let frame = 0;
  const timer = setInterval(() => {
    if (frame && !canvas.isConnected) return clearInterval(timer);
    frame = (frame + 1) % frames;
    canvas.getContext("2d").drawImage(image({ channels, height, width }, data.slice(frame * each, (frame + 1) * each), label), 0, 0);
  }, 100);
  return canvas;
}

/** Numbers, at most a thousand, row by row. */
function numbers({ shape }, data, label) {
  const width = shape.at(-1) ?? 1;
  const cells = [...data.slice(0, 1000)].map((value) => Number(value.toPrecision(5)));
  const rows = Array.from({ length: Math.ceil(cells.length / width) }, (_, row) => cells.slice(row * width, (row + 1) * width).join("  "));
  const made = Object.assign(document.createElement("pre"), { className: "numbers", tabIndex: 0, textContent: rows.join("\n") });
  made.setAttribute("aria-label", label);
  return made;
}

function text({ vocabulary }, data, label) {
  const characters = [...vocabulary];
  const made = Object.assign(document.createElement("pre"), { className: "text", tabIndex: 0 });
  made.textContent = Array.from(data, (token) => characters[Number(token)]).join("");
  made.setAttribute("aria-label", label);
  return made;
}

const SHOW = { image, "log-mel": spectrogram, audio: clip, video, text, array: numbers };

/** The samples of a batch, in a group of the page. */
function show(group, x, { data, dims }, labels) {
  const each = data.length / dims[0];
  const made = Array.from({ length: dims[0] }, (_, index) =>
    SHOW[x.kind](x, data.subarray(index * each, (index + 1) * each), labels(index)));
  group.replaceChildren(...made);
}

// Sections

/** What was asked of the generation of a form, by the controls that it has. */
function asking(model, form) {
  const draws = (spec, data, label) => (SHOW[spec.kind] ?? numbers)(spec, data, label);
  return controls(form, model, draws, busy);
}

function generate(model) {
  const section = $("#generate");
  const form = $("form", section);
  if (model.options.some(({ name }) => name === "top_k")) form.elements.count.value = 4;
  const feeds = asking(model, form);
  const act = () => busy($("form > button", section), "Generating …", async () => {
    const [seed, first, count] = [seedOf(form), Number(form.elements.first.value), Number(form.elements.count.value)];
    const { samples } = await ask("run", {
      graph: model.manifest.generate, feeds: { seed: scalar(seed), first: scalar(first), ...feeds(count, first) },
    });
    show($(".made", section), model.x, samples, (index) => `Sample ${first + index} of seed ${seed}`);
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
        show($(".samples", section), model.x, results[made], () => "The sample of this latent");
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
  if (!model.reconstruct.length) return true;
  const tasks = model.manifest.tasks;
  const section = $("#reconstruct");
  const pad = $(".pad", section);
  const context = pad.getContext("2d", { willReadFrequently: true });
  const { channels, height, width } = model.x;
  const alpha = channels === 4;
  pad.classList.toggle("alpha", alpha);
  const sampled = model.manifest.generate ? ", or take a sample" : "";
  $(".hint", section).textContent = `Draw, drop an image here or choose a file${sampled}. ${fitting(model.x)}`;
  pad.height = Math.round((pad.width * height) / width);

  const act = () => busy(null, "Reconstructing …", async () => {
    let batch = floats(pixels(pad, model.x, model.background), [1, channels, height, width]);
    for (const name of model.reconstruct) {
      const [input] = Object.keys(tasks[name].inputs);
      const [output] = Object.keys(tasks[name].outputs);
      const results = await ask("run", { graph: tasks[name].graph, feeds: { [input]: batch } });
      batch = { type: results[output].data instanceof BigInt64Array ? "int64" : "float32", ...results[output] };
    }
    show($(".samples", section), model.x, batch, () => "The reconstruction of your image");
  });
  function clear() {
    context.clearRect(0, 0, pad.width, pad.height);
    if (alpha) return;
    context.fillStyle = "#000";
    context.fillRect(0, 0, pad.width, pad.height);
  }
  function place(image, smooth = true) {
    context.imageSmoothingEnabled = smooth;
    cover(context, image, alpha ? null : model.background);
    return act();
  }
  async function take(file) {
    let image;
    if (await busy(null, "Reading the image …", async () => { image = await opened(file); })) await place(image);
  }
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
  section.ondrop = (event) => {
    event.preventDefault();
    const [file] = event.dataTransfer.files;
    file ? take(file) : say("What was dropped is no file. Save the image first, and drop its file.", true);
  };
  const form = $("form", section);
  form.onsubmit = (event) => event.preventDefault();
  form.elements.file.onchange = () => { if (form.elements.file.files[0]) take(form.elements.file.files[0]); };
  form.elements.clear.onclick = () => { clear(); act(); };
  const samples = () => document.querySelectorAll("#generate .made canvas");
  form.elements.sample.onclick = () => place(samples()[Math.floor(Math.random() * samples().length)], false);
  form.elements.sample.hidden = !model.manifest.generate;
  clear();
  section.hidden = false;
  return samples().length ? place(samples()[0], false) : act();
}

function complete(model) {
  const section = $("#complete");
  const form = $("form", section);
  const feeds = asking(model, form);
  const act = () => {
    return busy($("form > button", section), "Writing …", async () => {
      const given = tokens(form.elements.prompt.value, { vocabulary: model.x.vocabulary });
      const { samples } = await ask("run", { graph: model.manifest.generate, feeds: {
        seed: scalar(seedOf(form)), first: scalar(0), prompt: integers(given, [given.length]), ...feeds(1, 0),
      } });
      $(".text", section).textContent = text(model.x, samples.data, "").textContent;
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
  let opened;
  if (!(await busy(null, "Loading the model …", async () => { opened = await ask("open"); }))) return false;
  const { manifest } = opened;
  const model = { ...opened, x: manifest.sample.x, task: manifest.generation && manifest.tasks[manifest.generation.task] };
  about(model);
  const sections = [reconstruct];
  if (manifest.generate && manifest.generation.kind === "autoregressive") sections.unshift(complete);
  else if (manifest.generate && SHOW[model.x.kind]) sections.unshift(generate, walk);
  for (const section of sections) if (!(await section(model))) return false;
  return true;
}

document.body.dataset.ready = (await start()) ? "yes" : "failed";
