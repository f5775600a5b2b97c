// Sorts and filters what the page shows, and copies lines of code. The view is in the address: #q=…&data=…&task=…&sort=…&down.
"use strict";

const $ = (selector, within = document) => within.querySelector(selector);
const [form, status, table] = [$("#filters"), $("#status"), $("#models")];
const models = [...table.tBodies[0].rows].map((row) => {
  const card = document.getElementById($("a", row).hash.slice(1));
  const about = $("h3", card).textContent + $(".title", card).textContent + $(".title + p", card).textContent;
  return { row, card, words: about.toLowerCase(), data: card.dataset.data, tasks: card.dataset.tasks.split(" ") };
});
const heads = [...table.tHead.rows[0].cells];
const view = { sort: "name", down: false };

/** Text before numbers would be odd, so a column has one of both; what is not there comes last, up or down. */
function compare(column, down) {
  const value = ({ row }) => row.cells[column].dataset.value;
  const numbers = heads[column].classList.contains("number");
  return (one, other) => {
    const [a, b] = [value(one), value(other)];
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
    const order = numbers ? a - b : a.localeCompare(b, "en", { numeric: true });
    return down ? -order : order;
  };
}

function show() {
  const { q, data, task } = form.elements;
  const words = q.value.toLowerCase().split(/\s+/);
  let count = 0;
  for (const model of models) {
    const fits = words.every((word) => model.words.includes(word))
      && (!data.value || data.value === model.data) && (!task.value || model.tasks.includes(task.value));
    model.row.hidden = model.card.hidden = !fits;
    count += fits;
  }
  const column = heads.findIndex((head) => head.dataset.key === view.sort);
  models.sort(compare(column, view.down));
  table.tBodies[0].append(...models.map(({ row }) => row));
  $(".cards").append(...models.map(({ card }) => card));
  heads.forEach((head, index) => {
    head.setAttribute("aria-sort", index !== column ? "none" : view.down ? "descending" : "ascending");
  });
  status.textContent = `${count} of ${models.length} models`;
}

/** Keep the view in the address, without a step in the history for every letter. */
function keep() {
  const given = new URLSearchParams();
  for (const name of ["q", "data", "task"]) if (form.elements[name].value) given.set(name, form.elements[name].value);
  if (view.sort !== "name" || view.down) given.set("sort", view.sort);
  if (view.down) given.set("down", "1");
  history.replaceState(null, "", `#${given}`);
  show();
}

/** Take the view from the address; one that names a model shows everything that it hides. */
function read() {
  const hash = location.hash.slice(1);
  const target = models.find(({ card }) => card.id === hash);
  if (target && !target.card.hidden) return show();
  const given = new URLSearchParams(target ? "" : hash);
  form.elements.q.value = given.get("q") ?? "";
  for (const name of ["data", "task"]) {
    const { options } = form.elements[name];
    form.elements[name].value = [...options].some(({ value }) => value === given.get(name)) ? given.get(name) : "";
  }
  view.sort = heads.some(({ dataset }) => dataset.key === given.get("sort")) ? given.get("sort") : "name";
  view.down = given.has("down");
  show();
  if (target) target.card.scrollIntoView();
}

async function copy(button) {
  const code = $("pre", button.parentElement);
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch { // a page that did not come over https may not write to the clipboard
    getSelection().selectAllChildren(code);
    button.textContent = "Press Ctrl+C";
  }
  status.textContent = button.textContent;
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

for (const head of heads) {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: head.textContent });
  button.onclick = () => {
    view.down = view.sort === head.dataset.key && !view.down;
    view.sort = head.dataset.key;
    keep();
  };
  head.replaceChildren(button);
}
for (const button of document.querySelectorAll(".copy")) {
  button.hidden = false;
  button.onclick = () => copy(button);
}
form.oninput = keep;
form.onsubmit = (event) => event.preventDefault();
form.onreset = () => setTimeout(keep);
addEventListener("hashchange", read);
form.hidden = status.hidden = false;
read();
document.body.dataset.ready = "yes";
