// Runs the graphs, away from the page: loads ONNX Runtime, the one weights file and each graph when it is first used.

const RELEASE = "model/";
const WEIGHTS = "model.safetensors";
const GIVEN = "given.safetensors";

let opened;

/** What to do about a file that is not there, or is another one. */
function next(url, trouble) {
  const here = new URL(url, self.location.href).origin === self.location.origin;
  if (here) return trouble === "damaged" ? "Export the model again." : "Is the whole folder there, and the server running?";
  return "The page loads ONNX Runtime from there: check the network, or bring it along with zoo export --format web --runtime DIR.";
}

/** The bytes of a file, which must have the hash that was said of it. */
async function bytes(url, integrity) {
  let answer;
  try {
    answer = await fetch(url, { integrity, cache: "no-cache" });
  } catch (error) {
    const there = integrity && (await fetch(url, { cache: "no-cache" }).then((again) => again.ok, () => false));
    throw new Error(there ? `${url} is damaged or altered: it has another hash. ${next(url, "damaged")}`
      : `${url} cannot be fetched (${error.message}). ${next(url, "missing")}`);
  }
  if (!answer.ok) throw new Error(`${url} cannot be fetched: ${answer.status} ${answer.statusText}. ${next(url, "missing")}`);
  return new Uint8Array(await answer.arrayBuffer());
}

async function json(url) {
  const text = new TextDecoder().decode(await bytes(url));
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${url} is damaged: it is no JSON. Export the model again.`);
  }
}

/** A SHA-256 in hexadecimal as fetch wants it. */
function integrity(hex) {
  const digest = hex.match(/../g).map((pair) => String.fromCharCode(parseInt(pair, 16))).join("");
  return `sha256-${btoa(digest)}`;
}

async function runtime() {
  const about = await json("runtime.json");
  const base = new URL(about.base, self.location.href);
  const files = await Promise.all(about.files.map(({ name, integrity }) => bytes(new URL(name, base).href, integrity)));
  const [module, threads, wasm] = files;
  const address = (content) => URL.createObjectURL(new Blob([content], { type: "text/javascript" }));
  const ort = await import(address(module));
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = wasm;
  ort.env.wasm.wasmPaths = { mjs: address(threads) };
  ort.env.logLevel = "error";
  return ort;
}

async function open() {
  const [manifest, offered] = await Promise.all([json(`${RELEASE}manifest.json`), json("options.json")]);
  const file = (name) => bytes(RELEASE + name, integrity(manifest.files[name].sha256));
  const given = GIVEN in manifest.files ? file(GIVEN) : null;
  const [ort, weights, held] = await Promise.all([runtime(), file(WEIGHTS), given]);
  const examples = Object.fromEntries(offered.options.filter(({ what }) => what === "given").map(({ name }) => [name, tensor(held, name)]));
  return { ort, manifest, offered, examples, file, weights, sessions: new Map() };
}

function session(model, graph) {
  if (!model.sessions.has(graph)) {
    const made = model.file(graph).then((content) =>
      model.ort.InferenceSession.create(content, { logSeverityLevel: 3, externalData: [{ path: WEIGHTS, data: model.weights }] }),
    );
    model.sessions.set(graph, made);
  }
  return model.sessions.get(graph);
}

/** A tensor of a safetensors file: float32, or int64. */
function tensor(weights, name) {
  const view = new DataView(weights.buffer, weights.byteOffset);
  const size = Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(weights.subarray(8, 8 + size)));
  const { data_offsets: [start, end], dtype } = header[name];
  return new (dtype === "I64" ? BigInt64Array : Float32Array)(weights.slice(8 + size + start, 8 + size + end).buffer);
}

const CALLS = {
  open: ({ manifest, offered, examples }) => ({ manifest, ...offered, examples }),
  tensor: (model, { name }) => tensor(model.weights, name),
  run: async (model, { graph, feeds }) => {
    const opened = await session(model, graph);
    const given = Object.entries(feeds).map(([name, { type, data, dims }]) => [name, new model.ort.Tensor(type, data, dims)]);
    const results = await opened.run(Object.fromEntries(given));
    return Object.fromEntries(Object.entries(results).map(([name, { data, dims }]) => [name, { data, dims }]));
  },
};

self.onmessage = async ({ data: { id, call, with: given } }) => {
  try {
    opened ??= open();
    self.postMessage({ id, result: await CALLS[call](await opened, given) });
  } catch (error) {
    self.postMessage({ id, error: String(error.message ?? error) });
  }
};
