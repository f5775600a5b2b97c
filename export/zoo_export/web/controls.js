// What a generation takes beside its seed, as parts of a form: labels, numbers, and what the user gives.

export const floats = (data, dims) => ({ type: "float32", data: Float32Array.from(data), dims });
export const integers = (data, dims) => ({ type: "int64", data: BigInt64Array.from(data, (value) => BigInt.asIntN(64, BigInt(value))), dims });
export const scalar = (value) => integers([value], []);
export const size = (spec) => spec.shape.reduce((product, length) => product * length, 1);

const element = (tag, fields = {}, children = []) => {
  const made = Object.assign(document.createElement(tag), fields);
  made.append(...children);
  return made;
};

const title = (name) => (name[0].toUpperCase() + name.slice(1)).replaceAll("_", " ");

/** A labelled input; its help is its tooltip. */
function field({ name, help }, input, also = []) {
  return element("label", { title: help ?? "" }, [`${title(name)} `, input, ...also]);
}

function number(option, step) {
  const { ge, le } = option.spec ?? {};
  const input = element("input", { type: "number", name: option.name, step, required: true, value: option.default ?? 1 });
  if (ge !== undefined && ge !== null) input.min = ge;
  if (le !== undefined && le !== null) input.max = le;
  if (option.most) Object.assign(input, { min: 1, max: option.most });
  return input;
}

/** An image as the numbers of a graph, (channels, h, w) in [0, 1]. */
export function pixels(source, { channels, height, width }) {
  const canvas = element("canvas", { width, height });
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  const scale = Math.max(width / source.width, height / source.height);
  const [w, h] = [source.width * scale, source.height * scale];
  context.drawImage(source, (width - w) / 2, (height - h) / 2, w, h);
  const { data } = context.getImageData(0, 0, width, height);
  const values = new Float32Array(channels * height * width);
  for (let place = 0; place < height * width; place++) {
    const [red, green, blue] = data.subarray(4 * place, 4 * place + 3);
    const colours = channels === 1 ? [0.299 * red + 0.587 * green + 0.114 * blue] : [red, green, blue];
    colours.forEach((value, channel) => { values[channel * height * width + place] = value / 255; });
  }
  return values;
}

/** Texts as indices into a vocabulary, padded with its first character. */
export function tokens(text, { vocabulary, length }) {
  const characters = [...vocabulary];
  const index = new Map(characters.map((character, place) => [character, place]));
  const given = [...text];
  const unknown = given.find((character) => !index.has(character));
  if (unknown !== undefined) {
    throw new Error(`The character ${JSON.stringify(unknown)} is not one of the ${characters.length} that this model was trained on.`);
  }
  if (length !== undefined && given.length > length) throw new Error(`The text has ${given.length} characters; at most ${length} are possible.`);
  const ids = given.map((character) => index.get(character));
  return length === undefined ? ids : [...ids, ...Array(length - ids.length).fill(0)];
}

/** What one option adds to the form, and the numbers that it stands for, of one sample of `count` from `first` on. */
const KINDS = {
  label: (option) => {
    const select = element("select", { name: option.name }, [new Option("each in turn", "")]);
    for (let value = 0; value < option.spec.classes; value++) select.add(new Option(value, value));
    return {
      parts: [field(option, select)],
      each: (index) => [select.value === "" ? index % option.spec.classes : Number(select.value)],
    };
  },
  number: (option) => {
    const input = number(option, "any");
    return { parts: [field(option, input)], each: () => [Number(input.value)], scalar: () => floats([input.value], []) };
  },
  integer: (option) => {
    const input = number(option, 1);
    if (!option.most) input.min = 0;
    return { parts: [field(option, input)], scalar: () => scalar(input.value) };
  },
  given: (option, examples, draw) => {
    const count = examples ? examples.length / size(option.spec) : 0;
    const at = (place) => examples.subarray((place % count) * size(option.spec), ((place % count) + 1) * size(option.spec));
    let own = null;
    const preview = element("div", { className: "samples" });
    const example = element("input", { type: "number", name: option.name, min: 0, max: Math.max(0, count - 1), value: 0, required: true });
    const shown = () => own ?? at(Number(example.value));
    const show = () => preview.replaceChildren(draw(option.spec, Array.from(shown(), Number), `The ${option.name}`));
    example.oninput = () => { own = null; if (example.validity.valid) show(); };
    const parts = [element("label", {}, [`${title(option.name)} from the test data `, example])];
    if (option.spec.kind === "text") {
      const text = element("input", { type: "text", name: `${option.name}-text`, className: "long" });
      const words = (ids) => Array.from(ids, (id) => [...option.spec.vocabulary][Number(id)]).join("").trimEnd();
      if (count) text.value = words(at(0));
      example.oninput = () => { if (example.validity.valid) text.value = words(at(Number(example.value))); };
      return { parts: [...parts, element("label", { className: "wide" }, [`${title(option.name)} `, text])], each: () => tokens(text.value, option.spec) };
    }
    if (option.spec.kind === "image" && [1, 3].includes(option.spec.channels)) {
      const file = element("input", { type: "file", accept: "image/*", name: `${option.name}-file` });
      file.onchange = async () => { own = file.files[0] ? pixels(await createImageBitmap(file.files[0]), option.spec) : null; show(); };
      parts.push(element("label", {}, [`or a file as ${option.name} `, file]));
    }
    if (count) show();
    return { parts: [...parts, preview], each: () => shown() };
  },
};

/** Add controls for options to a form, before its button; `examples` are given inputs by name, and `draw` shows one.
 *
 * Returns a function that gives the inputs of the graph, for `count` samples from index `first` on.
 */
export function controls(form, options, examples, draw) {
  const made = options.filter(({ what }) => what in KINDS).map((option) => [option, KINDS[option.what](option, examples[option.name], draw)]);
  for (const [, { parts }] of made) for (const part of parts) form.insertBefore(part, $button(form));
  return (count, first) => {
    const feeds = {};
    for (const [option, { each, scalar }] of made) {
      if (!option.each) { feeds[option.name] = scalar(); continue; }
      const rows = Array.from({ length: count }, (_, index) => [...each(first + index)]).flat();
      const dims = [count, ...(option.spec.shape ?? [])];
      feeds[option.name] = option.spec.dtype === "int64" ? integers(rows, dims) : floats(rows, dims);
    }
    return options.some(({ each }) => each) ? feeds : { ...feeds, count: scalar(count) };
  };
}

const $button = (form) => form.querySelector(":scope > button");
