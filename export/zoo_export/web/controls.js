// What a generation takes beside its seed, as parts of a form: labels, numbers, and what the user gives.

/** The numbers of channels that image files and canvases have: grey, colour, and colour with alpha. */
export const COLOURS = [1, 3, 4];

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
function field({ name, help, above }, input) {
  const words = [help, above === undefined ? "" : `above ${above}`].filter(Boolean);
  return element("label", { title: words.join("; ") }, [`${title(name)} `, input]);
}

/** An input for a number in its range: from `ge`, or above `above`, to `le`. */
function number(option, step) {
  const { above, spec } = option;
  const { ge, le } = spec ?? {};
  const input = element("input", { type: "number", name: option.name, step, required: true, value: option.default ?? 1 });
  if (above !== undefined) {
    const rule = `${title(option.name)} must be above ${above}.`;
    input.oninput = () => input.setCustomValidity(input.value === "" || Math.fround(input.value) > above ? "" : rule);
  } else if (ge !== undefined && ge !== null) {
    input.min = ge;
  }
  if (le !== undefined && le !== null) input.max = le;
  if (option.most) Object.assign(input, { min: 1, max: option.most });
  return input;
}

// Files

/** An image file, as a canvas can draw it. */
export async function opened(file) {
  try {
    return await createImageBitmap(file);
  } catch {
    throw new Error(`${file.name} is no image that this browser can read. Choose another file.`);
  }
}

/** Fill a canvas with the middle of an image; what is transparent is on `ground`, or stays so where that is null. */
export function cover(context, source, ground) {
  const { width, height } = context.canvas;
  context.clearRect(0, 0, width, height);
  if (ground !== null) {
    context.fillStyle = ground;
    context.fillRect(0, 0, width, height);
  }
  const scale = Math.max(width / source.width, height / source.height);
  const [w, h] = [source.width * scale, source.height * scale];
  context.drawImage(source, (width - w) / 2, (height - h) / 2, w, h);
}

/** An image as the numbers of a graph, (channels, h, w) in [0, 1]: its middle, resized; in four channels with alpha. */
export function pixels(source, { channels, height, width }, background) {
  const context = element("canvas", { width, height }).getContext("2d");
  context.imageSmoothingQuality = "high";
  cover(context, source, channels === 4 ? null : background);
  const { data } = context.getImageData(0, 0, width, height);
  const values = new Float32Array(channels * height * width);
  for (let place = 0; place < height * width; place++) {
    const [red, green, blue, alpha] = data.subarray(4 * place, 4 * place + 4);
    const colours = channels === 1 ? [0.299 * red + 0.587 * green + 0.114 * blue] : [red, green, blue, alpha].slice(0, channels);
    colours.forEach((value, channel) => { values[channel * height * width + place] = value / 255; });
  }
  return values;
}

/** An audio file as the numbers of a graph, (samples,): its channels averaged, resampled, cut or padded with silence. */
async function waveform(file, { rate, samples }) {
  let clip;
  try {
    clip = await new OfflineAudioContext(1, 1, rate).decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Error(`${file.name} is no audio that this browser can read. Choose another file.`);
  }
  const channels = Array.from({ length: clip.numberOfChannels }, (_, index) => clip.getChannelData(index));
  const values = new Float32Array(samples);
  for (let place = 0; place < Math.min(samples, clip.length); place++) {
    const mean = channels.reduce((sum, channel) => sum + channel[place], 0) / channels.length;
    values[place] = Math.min(Math.max(mean, -1), 1);
  }
  return values;
}

/** How a file is given, by the kind of what it gives: its type, what is done to it, and its numbers. None for the rest. */
const FILES = {
  image: (spec) => COLOURS.includes(spec.channels) && {
    accept: "image/*", done: fitting(spec), read: async (file, background) => pixels(await opened(file), spec, background),
  },
  audio: (spec) => spec.rate >= 8000 && spec.rate <= 96000 && { // what every browser resamples to
    accept: "audio/*", done: `Resampled to ${spec.rate} Hz, cut or padded.`, read: (file) => waveform(file, spec),
  },
};

/** What is done with an image of another size. */
export const fitting = ({ width, height }) => `An image of another size is cropped and resized to ${width}×${height} pixels.`;

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
    for (let value = 0; value < option.spec.classes; value++) select.add(new Option(option.names?.[value] ?? value, value));
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
  given: (option, context) => {
    const { name, spec } = option;
    const given = context.examples[name];
    const at = (place) => given.subarray(place * size(spec), (place + 1) * size(spec));
    const example = element("input", { type: "number", name, min: 0, max: given.length / size(spec) - 1, value: 0, required: true });
    const chosen = element("label", {}, [`${title(name)} from the test data `, example]);
    const { parts, each } = (spec.kind === "text" ? written : displayed)(option, example, at, context);
    return { parts: [chosen, ...parts], each };
  },
};

/** A given text: one of the test data, and what the user makes of it. */
function written({ name, spec }, example, at) {
  const characters = [...spec.vocabulary];
  const text = element(characters.includes("\n") ? "textarea" : "input", { name: `${name}-text`, className: "long" });
  let ids; // of the test data, until the text is changed
  const take = () => {
    ids = at(Number(example.value));
    const end = ids.findLastIndex((id) => Number(id) !== 0) + 1; // without its padding
    text.value = Array.from(ids.subarray(0, end), (id) => characters[Number(id)]).join("");
  };
  text.oninput = () => { ids = null; };
  example.oninput = () => { if (example.validity.valid) take(); };
  take();
  const hint = element("span", { className: "hint", textContent: `At most ${spec.length} characters.` });
  return { parts: [element("label", { className: "wide" }, [`${title(name)} `, text, hint])], each: () => ids ?? tokens(text.value, spec) };
}

/** Another given input: one of the test data, or a file of the user, and a preview of it. */
function displayed({ name, spec }, example, at, { form, background, draw, busy }) {
  const preview = element("div", { className: "samples" });
  const way = FILES[spec.kind]?.(spec);
  let [own, wrong] = [null, null]; // the numbers of a file, or why there are none
  const values = () => {
    if (wrong) throw wrong;
    return own ?? at(Number(example.value));
  };
  const show = () => preview.replaceChildren(...(wrong ? [] : [draw(spec, Array.from(values(), Number), `The ${name}`)]));
  show();
  if (!way) {
    example.oninput = () => { if (example.validity.valid) show(); };
    return { parts: [preview], each: values };
  }
  const file = element("input", { type: "file", accept: way.accept, name: `${name}-file` });
  file.onchange = () => busy($button(form), "Reading the file …", async () => {
    own = wrong = null;
    try {
      if (file.files[0]) own = await way.read(file.files[0], background);
    } catch (error) {
      wrong = error;
      throw error;
    } finally {
      show();
    }
  });
  example.oninput = () => {
    own = wrong = null;
    file.value = "";
    if (example.validity.valid) show();
  };
  const hint = element("span", { className: "hint", textContent: way.done });
  return { parts: [element("label", {}, [`or a file as ${name} `, file, hint]), preview], each: values };
}

/** Add controls for the options of a model to a form, before its button; `draw` shows what is given, and `busy` waits.
 *
 * Returns a function that gives the inputs of the graph, for `count` samples from index `first` on.
 */
export function controls(form, { options, examples, background }, draw, busy) {
  const context = { form, examples, background, draw, busy };
  const made = options.filter(({ what }) => what in KINDS).map((option) => [option, KINDS[option.what](option, context)]);
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
