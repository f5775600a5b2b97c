// Generates from a release with ONNX Runtime for Node, and with the one for browsers, also in Node; prints JSON.
//   node node.mjs RELEASE JSON      JSON: the inputs of generate.onnx, by name: [type, dims, values as strings]

import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as node from "onnxruntime-node";
import * as web from "onnxruntime-web/wasm";

const [folder, given] = process.argv.slice(2);
const inputs = Object.entries(JSON.parse(given));

async function run(ort, session) {
  const feeds = inputs.map(([name, [type, dims, values]]) => {
    const data = type === "int64" ? BigInt64Array.from(values, (value) => BigInt.asIntN(64, BigInt(value))) : Float32Array.from(values, Number);
    return [name, new ort.Tensor(type, data, dims)];
  });
  const { samples } = await session.run(Object.fromEntries(feeds));
  return { dims: samples.dims, data: [...samples.data].map(Number) };
}

web.env.wasm.numThreads = 1;
const options = { externalData: [{ path: "model.safetensors", data: readFileSync(join(folder, "model.safetensors")) }] };
const graph = join(folder, "generate.onnx");
const results = {
  node: await run(node, await node.InferenceSession.create(graph)),
  web: await run(web, await web.InferenceSession.create(readFileSync(graph), options)),
};
console.log(JSON.stringify(results));
